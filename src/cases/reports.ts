/** Prints the results of cases for people and for other programs. */

import { formatTime } from "../core/model/time.ts";
import { isGood } from "./compare.ts";
import type { CaseResult } from "./run-case.ts";
import { type Paint, timelineOf } from "./timeline.ts";

export const reporters = ["text", "tap", "junit"] as const;
export type Reporter = (typeof reporters)[number];

const unpainted: Paint = (_tone, text) => text;

/** The output of `tripline test`. */
export function report(results: readonly CaseResult[], reporter: Reporter, paint = unpainted): string {
  if (reporter === "tap") return asTap(results);
  return reporter === "junit" ? asJunit(results) : asText(results, paint);
}

function asText(results: readonly CaseResult[], paint: Paint): string {
  const lines: string[] = [];
  for (const [file, ofFile] of Map.groupBy(results, (result) => result.case.file)) {
    const failed = ofFile.filter(({ passed }) => !passed);
    const count = counted(ofFile.length, "case");
    if (failed.length === 0) lines.push(paint("good", `✓ ${file} (${count})`));
    else lines.push(paint("bad", `✗ ${file} (${failed.length} of ${count} failed)`));
    for (const result of failed) lines.push("", ...indented(failureLines(result, paint), "  "), "");
  }
  const failedCount = results.filter(({ passed }) => !passed).length;
  const durationMs = results.reduce((sum, result) => sum + result.durationMs, 0);
  const outcome = failedCount === 0 ? "all passed" : `${failedCount} failed`;
  const summary = `${counted(results.length, "case")}: ${outcome} (${Math.ceil(durationMs)} ms)`;
  return `${[...lines, paint(failedCount === 0 ? "good" : "bad", summary)].join("\n")}\n`;
}

/** What `tripline test` prints about a case that failed. */
export function failureText(result: CaseResult): string {
  return failureLines(result, unpainted).join("\n");
}

/** What went wrong in a case, with its timeline. */
function failureLines(result: CaseResult, paint: Paint): string[] {
  const { case: one, pairs, restartPairs } = result;
  const { line, column } = one.place;
  const from = `the case starts at ${formatTime(one.start)}`;
  const lines = [paint("bad", one.name), paint("faint", `${one.file}:${line}:${column}: ${from}`), ""];
  const isAsExpected = pairs.every(isGood);
  if (!isAsExpected) lines.push(...timelineOf(one, pairs, paint));
  if (restartPairs !== null) {
    if (!isAsExpected) lines.push("");
    const sentence =
      "The run with a restart between every two steps fires differently. This is a bug in Tripline, not in the rule. Please report it.";
    lines.push(
      paint("bad", sentence),
      "",
      ...timelineOf(one, restartPairs, paint, ["as written", "restarted"]),
    );
  }
  return lines;
}

function asTap(results: readonly CaseResult[]): string {
  const lines = ["TAP version 14", `1..${results.length}`];
  for (const [index, result] of results.entries()) {
    const { case: one, passed, durationMs } = result;
    const description = `${one.file} › ${one.name}`.replaceAll(/[\\#]/g, "\\$&").replaceAll(/\s+/g, " ");
    lines.push(`${passed ? "ok" : "not ok"} ${index + 1} - ${description}`);
    lines.push("  ---", `  duration_ms: ${durationMs.toFixed(3)}`);
    if (!passed) {
      lines.push("  at:", `    file: ${JSON.stringify(one.file)}`, `    line: ${one.place.line}`);
      lines.push("  timeline: |2", ...indented(failureLines(result, unpainted).slice(3), "    "));
    }
    lines.push("  ...");
  }
  return `${lines.join("\n")}\n`;
}

function asJunit(results: readonly CaseResult[]): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>', `<testsuites${attributes(totals(results))}>`];
  for (const [file, ofFile] of Map.groupBy(results, (result) => result.case.file)) {
    lines.push(`  <testsuite${attributes({ name: file, ...totals(ofFile) })}>`);
    for (const result of ofFile) {
      const { case: one, passed, durationMs } = result;
      const named = {
        name: one.name,
        classname: file,
        file,
        line: one.place.line,
        time: seconds(durationMs),
      };
      if (passed) {
        lines.push(`    <testcase${attributes(named)}/>`);
        continue;
      }
      const isRestart = result.restartPairs !== null;
      const message = isRestart
        ? "a restart changes the firings"
        : "the firings differ from the expected ones";
      lines.push(
        `    <testcase${attributes(named)}>`,
        `      <failure${attributes({ message, type: isRestart ? "restart" : "firings" })}>`,
        escaped(failureLines(result, unpainted).slice(3).join("\n")),
        "      </failure>",
        "    </testcase>",
      );
    }
    lines.push("  </testsuite>");
  }
  return `${[...lines, "</testsuites>"].join("\n")}\n`;
}

function totals(results: readonly CaseResult[]): Record<string, string | number> {
  return {
    tests: results.length,
    failures: results.filter(({ passed }) => !passed).length,
    errors: 0,
    time: seconds(results.reduce((sum, { durationMs }) => sum + durationMs, 0)),
  };
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(
      ([name, value]) =>
        ` ${name}="${escaped(String(value)).replaceAll(/[\n\t\r]/g, (c) => `&#${c.charCodeAt(0)};`)}"`,
    )
    .join("");
}

/** Characters that XML 1.0 cannot represent, even escaped, become replacement characters. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, "\u{FFFD}")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(6);
}

function indented(lines: readonly string[], by: string): string[] {
  return lines.map((line) => (line === "" ? "" : `${by}${line}`));
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
