/** Rates as people write them: `100/s`, `5000/h`, `10/30s`. */

import { formatDuration, type Micros, parseDuration, second } from "./time.ts";

/** `count` in `seconds`. What that means for bursts is up to what is limited. */
export interface Rate {
  readonly count: number;
  readonly seconds: number;
}

/** Parses a rate such as `100/s`, `5000/h` or `10/30s`; null if it is invalid. */
export function parseRate(text: string): Rate | null {
  const [, count, unit = ""] = /^(\d{1,9})\/(\d*[smhd])$/.exec(text) ?? [];
  const length = parseDuration(/^\d/.test(unit) ? unit : `1${unit}`);
  if (length === null || length <= 0 || !(Number(count) > 0)) return null;
  return { count: Number(count), seconds: length / second };
}

/** The inverse of `parseRate`. */
export function formatRate({ count, seconds }: Rate): string {
  return `${count}/${formatDuration(seconds * second).replace(/^1(?=[a-z]$)/, "")}`;
}

/** The time in which the count may be used up. */
export function periodOf({ seconds }: Rate): Micros {
  return seconds * second;
}

/** What is wrong with a rate; null when nothing is. */
export function rateProblem(text: string): string | null {
  if (parseRate(text) !== null) return null;
  return "rate should be a count per time, such as 100/s, 5000/h or 10/30s";
}
