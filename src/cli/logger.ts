/** The log of a process: JSON for programs or text for people, with secrets masked. */

import { styleText } from "node:util";
import { type Logger, type LoggerOptions, pino } from "pino";
import { printable, printableLines } from "./output/text.ts";

export type LogFormat = "json" | "text";

/** Fields with these names are masked, up to three levels deep. */
const secretKeys = ["secret", "secrets", "authorization", "Authorization", "token", "password"];

const redact = {
  paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]),
  censor: "********",
};

/**
 * Creates the logger of a process. It writes to standard output.
 *
 * @param level the minimum level: `trace`, `debug`, `info`, `warn`, `error` or `silent`
 * @param format `json` writes one object per line, with the name of the level in `level` and an ISO 8601 time in
 *   `time`; `text` writes lines for a person at a terminal
 */
export function createLogger(level: string, format: LogFormat): Logger {
  // Without a destination, pino writes to standard output itself, which is quicker.
  return format === "json" ? pino(optionsFor(level)) : pino(optionsFor(level), { write: lineWriter(format) });
}

/**
 * Creates the logger of a thread that does not write itself.
 *
 * @param write takes each line, as JSON with a line break
 */
export function createThreadLogger(level: string, write: (line: string) => void): Logger {
  return pino(optionsFor(level), { write });
}

/** Writes the lines of such a logger to standard output, in a format. */
export function lineWriter(format: LogFormat): (line: string) => void {
  if (format === "json") return (line) => void process.stdout.write(line);
  return (line) => void process.stdout.write(`${lineOf(JSON.parse(line) as LogLine)}\n`);
}

function optionsFor(level: string): LoggerOptions {
  return {
    level,
    redact,
    timestamp: pino.stdTimeFunctions.isoTime,
    base: null,
    // Log collectors know "warn"; 40 is known to pino alone.
    formatters: { level: (name: string) => ({ level: name }) },
    // The messages of our errors include their cause; pino's default would repeat it.
    serializers: { err: pino.stdSerializers.errWithCause },
  };
}

interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly err?: { readonly message: string; readonly stack?: string };
  readonly [field: string]: unknown;
}

const levelColors: Readonly<Record<string, "red" | "yellow" | "dim">> = {
  fatal: "red",
  error: "red",
  warn: "yellow",
  debug: "dim",
  trace: "dim",
};

function lineOf({ level, time, msg, err, ...fields }: LogLine): string {
  const clock = styleText("dim", new Date(time).toTimeString().slice(0, 8));
  const color = levelColors[level];
  // A line without a label is info, which most lines are.
  const label = color === undefined ? "" : `${styleText(color, level.padEnd(5))}  `;
  // Each mistake is a sentence with its place, so it gets a line of its own.
  const { mistakes = [], ...others } = fields as { readonly mistakes?: readonly string[] };
  const fieldTexts = Object.entries(others).map(([name, value]) => `${name}=${fieldText(value)}`);
  const isBug = level === "error" || level === "fatal";
  // A stack helps to find a bug. For a failure of the outside world the message is enough.
  const reason = err === undefined ? [] : [isBug ? (err.stack ?? err.message) : err.message];
  return [
    // What others sent may be part of any of these, and must not forge a line or control the terminal.
    `${clock}  ${label}${printable(msg ?? "")}`,
    ...(fieldTexts.length > 0 ? [styleText("dim", printable(fieldTexts.join(" ")))] : []),
    ...reason.map((text) => (isBug ? printableLines(text) : printable(text))),
  ]
    .join("  ")
    .concat(...mistakes.map((mistake) => `\n          ${printable(mistake)}`));
}

/** How many items of a list are printed. */
const listedCountMax = 10;

function fieldText(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value) || value.length <= listedCountMax) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, listedCountMax))} and ${value.length - listedCountMax} more`;
}
