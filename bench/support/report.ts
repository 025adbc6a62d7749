/** What a bench has found: printed for people, and collected by bench/run.ts. */

import { appendFileSync } from "node:fs";
import { median, spread } from "./figures.ts";

export interface Finding {
  /** What was asked, such as `webhooks per second`; the same in every version. */
  readonly question: string;
  readonly unit: string;
  /** One value for each round. */
  readonly values: readonly number[];
  /** Whether a lower value is better. */
  readonly lowerIsBetter?: boolean;
  /** What the machine allows, measured in the same rounds. */
  readonly limit?: { readonly name: string; readonly values: readonly number[] };
}

/** The file to which findings are appended, a JSON object a line; unset: they are only printed. */
export const resultsVariable = "TRIPLINE_BENCH_RESULTS";

export function report(finding: Finding): void {
  const file = process.env[resultsVariable];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(finding)}\n`);
  console.log(columnsOf(finding).join("  "));
}

/** Question, figure, limit, ratio and spread. */
export function columnsOf(finding: Finding): string[] {
  const { question, unit, values, limit } = finding;
  const figure = `${readable(median(values))} ${unit}`;
  if (limit === undefined) return [question, figure, "", "", spread(values)];
  const ratios = ratiosOf(finding);
  return [
    question,
    figure,
    `${limit.name}: ${readable(median(limit.values))}`,
    median(ratios).toFixed(3),
    spread(ratios),
  ];
}

/** The values beside their limits, round by round, so that what slows the machine in a round cancels out. */
export function ratiosOf({ values, limit }: Finding): readonly number[] {
  if (limit === undefined) return values;
  return values.map((value, round) => value / (limit.values[round] ?? median(limit.values)));
}

function readable(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}
