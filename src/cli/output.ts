/** What commands print: tables for people, JSON and YAML for programs. */

import { type Command, Option } from "commander";
import { stringify } from "yaml";

export const outputFormats = ["table", "json", "yaml"] as const;

export type OutputFormat = (typeof outputFormats)[number];

export interface OutputOptions {
  readonly output: OutputFormat;
}

export function addOutput(command: Command, fallback: OutputFormat = "table"): Command {
  return command.addOption(
    new Option("-o, --output <format>", "how to print it").choices(outputFormats).default(fallback),
  );
}

/** Prints a value as JSON or YAML, or else the text that is made of it. */
export function print(value: unknown, format: OutputFormat, asText: () => string): void {
  if (format === "json") console.log(JSON.stringify(value, null, 2));
  else if (format === "yaml") process.stdout.write(stringify(value));
  else console.log(asText());
}

/** Prints one of many values, of which nobody knows how many there will be. */
export function printOneOfMany(value: unknown, format: OutputFormat, asText: () => string): void {
  if (format === "json") console.log(JSON.stringify(value));
  else if (format === "yaml") process.stdout.write(`---\n${stringify(value)}`);
  else console.log(asText());
}

const gap = "  ";

/** Rows below a heading, in columns. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const printable = rows.map((row) => row.map(onOneLine));
  const widths = heading.map((head, column) =>
    Math.max(head.length, ...printable.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd();
  return [paint(line(heading), "bold"), ...printable.map(line)].join("\n");
}

/** Names and labels come from outside: none of them may move the cursor or forge a line. */
export function onOneLine(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (control) => `\\u${(control.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

const colors = { bold: 1, red: 31, green: 32, yellow: 33, dim: 2 } as const;

/** In colour on a terminal, unless NO_COLOR is set. */
export function paint(text: string, color: keyof typeof colors): string {
  const isWanted = process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
  return isWanted ? `\u001b[${colors[color]}m${text}\u001b[0m` : text;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
