/** Reads the values of options. Each reader throws InvalidArgumentError, which commander prints beside the option. */

import { InvalidArgumentError, Option } from "commander";
import { hasOffset, type Micros, millisecond, parseDuration, parseTime } from "../core/model/time.ts";

/** Where rule files are looked for when a command is given no paths. */
export const rulePathsDefault: readonly string[] = ["rules"];

/** Collects an option that may be repeated. */
export function collect(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** An option that still works but that the help does not show: another name of one that it does. */
export function hiddenAlias(flags: string, read?: (text: string, earlier?: never) => unknown): Option {
  const option = new Option(flags).hideHelp();
  return read === undefined ? option : option.argParser(read as never);
}

/** The values of an option and of its hidden alias together; undefined when neither was given. */
export function joined<T>(...lists: readonly (readonly T[] | undefined)[]): readonly T[] | undefined {
  const given = lists.filter((list) => list !== undefined);
  return given.length === 0 ? undefined : given.flat();
}

export function readWholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

/** A count of results. */
export const readCount = readWholeNumber(0, 1_000_000);

export function readTime(text: string): Micros {
  const time = parseTime(text);
  if (time !== null) {
    noteUtc(text);
    return time;
  }
  throw new InvalidArgumentError("Expected a time such as 2026-03-01T09:30:00Z.");
}

export function readDuration(text: string): Micros {
  const length = parseDuration(text);
  if (length !== null) return length;
  throw new InvalidArgumentError("Expected a duration such as 5s or 1m.");
}

export function readLength(text: string): Micros {
  const length = parseDuration(text);
  if (length !== null && length > 0) return length;
  throw new InvalidArgumentError("Expected a duration such as 90m or 1d.");
}

/** Says on stderr how a time without an offset is read, because the reader may have meant a local time. */
export function noteUtc(time: string): void {
  if (hasOffset(time)) return;
  process.stderr.write(
    `${time} has no offset, so it is taken as UTC. For another time, add one, such as +02:00.\n`,
  );
}

/** A time in RFC 3339, written as such or as the duration that has passed since. */
export function readMoment(text: string): string {
  if (parseTime(text) !== null) {
    noteUtc(text);
    return text;
  }
  const ago = parseDuration(text);
  if (ago !== null) return new Date(Date.now() - ago / millisecond).toISOString();
  throw new InvalidArgumentError(
    "Expected a time such as 2026-03-01T09:30:00Z, or a duration ago such as 90m.",
  );
}
