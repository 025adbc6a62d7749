/** What a process has to say: structured (pino), without secrets. */

import { Writable } from "node:stream";
import { styleText } from "node:util";
import { type Logger, pino } from "pino";

export type LogFormat = "json" | "text";

/** Wherever an object with one of these is logged, what they hold is not. */
const secretKeys = ["secret", "secrets", "authorization", "Authorization", "token", "password"];

const redact = {
  paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`]),
  censor: "********",
};

/** @param format `json` writes one object a line; `text` is for a person at a terminal */
export function createLogger(level: string, format: LogFormat): Logger {
  const options = {
    level,
    redact,
    timestamp: pino.stdTimeFunctions.isoTime,
    base: null,
    // The messages of our errors name their cause already; pino's default would write it twice.
    serializers: { err: pino.stdSerializers.errWithCause },
  };
  return format === "json" ? pino(options) : pino(options, textLines());
}

function textLines(): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      process.stdout.write(`${lineOf(JSON.parse(chunk.toString()) as LogLine)}\n`);
      done();
    },
  });
}

interface LogLine {
  readonly level: number;
  readonly time: string;
  readonly msg?: string;
  readonly err?: { readonly message: string; readonly stack?: string };
  readonly [field: string]: unknown;
}

function lineOf({ level, time, msg, err, ...fields }: LogLine): string {
  const clock = styleText("dim", new Date(time).toTimeString().slice(0, 8));
  const [name, colour] =
    level >= 50
      ? (["error", "red"] as const)
      : level >= 40
        ? (["warn ", "yellow"] as const)
        : ([null, null] as const);
  const label = name === null ? "" : `${styleText(colour, name)}  `;
  // Mistakes are sentences, each with its place: one a line.
  const { mistakes = [], ...others } = fields as { readonly mistakes?: readonly string[] };
  const shown = Object.entries(others).map(([key, value]) => `${key}=${shownValue(value)}`);
  // A stack is for the mistakes of the program; of the world's, the sentence is enough.
  const trouble = err === undefined ? [] : [level >= 50 ? (err.stack ?? err.message) : err.message];
  return [
    `${clock}  ${label}${msg ?? ""}`,
    ...(shown.length > 0 ? [styleText("dim", shown.join(" "))] : []),
    ...trouble,
  ]
    .join("  ")
    .concat(...mistakes.map((mistake) => `\n          ${mistake}`));
}

/** How many items of a list are worth a person's screen. */
const shownCountMax = 10;

function shownValue(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value) || value.length <= shownCountMax) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, shownCountMax))} and ${value.length - shownCountMax} more`;
}
