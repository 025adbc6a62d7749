/**
 * Small parts of sentences: lists, lengths of time, patterns. For the sentences that describe triggers and actions.
 *
 * Names and patterns come from outside and may be long, or many, or hold line breaks: what is printed of them is bounded
 * and stays on its line.
 */

import { cut } from "./cut.ts";
import { formatDuration, second } from "./time.ts";

/** How many names of a list are written out. */
const listedMax = 6;
const nameLengthMax = 120;

/** A name or pattern as sentences show it: in quotes if it could be mistaken for words or holds anything unusual. */
export function nameText(name: string): string {
  const short = cut(name, nameLengthMax);
  return /^[\w.*?:@+%~/#!^$&=[\]{}-]+$/.test(short) ? short : JSON.stringify(short);
}

/** `a, b and c`; of many, the first and how many more there are. @param textOf makes the text of one that is shown */
export function listText<T>(
  items: readonly T[],
  conjunction: "and" | "or",
  textOf: (item: T) => string = String,
): string {
  const isLong = items.length > listedMax;
  const shown = items.slice(0, isLong ? listedMax - 1 : listedMax).map(textOf);
  if (isLong) shown.push(`${items.length - shown.length} others`);
  if (shown.length < 2) return shown.join("");
  return `${shown.slice(0, -1).join(", ")} ${conjunction} ${shown.at(-1)}`;
}

const unitNames: Readonly<Record<string, string>> = {
  d: "day",
  h: "hour",
  m: "minute",
  s: "second",
  ms: "millisecond",
};

/** A length of time in words: `1 hour 30 minutes`. @param seconds as triggers store it */
export function lengthText(seconds: number): string {
  const parts = formatDuration(Math.round(seconds * second)).split(/(ms|[dhms])/);
  const words: string[] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const [count, unit] = [parts[index] ?? "", parts[index + 1] ?? ""];
    words.push(`${count} ${unitNames[unit] ?? unit}${count === "1" ? "" : "s"}`);
  }
  return words.join(" ");
}

/** `a pump.failed event`, `an event`: the noun with its article. */
export function withArticle(noun: string): string {
  return `${/^["[*!?]*[aeio]/i.test(noun) ? "an" : "a"} ${noun}`;
}

/** The first letter as a capital one, and a period at the end. */
export function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}

/** Whether a pattern matches what the rest of it does not. */
export function isNegated(pattern: string): boolean {
  return pattern.startsWith("!");
}

/** A pattern of a list: `pump.*`, or `anything but pump.*`. */
export function patternText(pattern: string): string {
  return isNegated(pattern) ? `anything but ${nameText(pattern.slice(1))}` : nameText(pattern);
}

/** What the special characters in patterns stand for; null if there are none. */
export function wildcardText(patterns: readonly string[]): string | null {
  const meanings = [
    ["*", "* stands for any text"],
    ["?", "? for any one character"],
    ["[", "[…] for one of the characters in it"],
  ] as const;
  const found = meanings.filter(([character]) => patterns.some((pattern) => pattern.includes(character)));
  if (found.length === 0) return null;
  const [[, first], ...others] = found as [(typeof meanings)[number], ...(typeof meanings)[number][]];
  const start = first.includes("stands") ? first : first.replace(" for ", " stands for ");
  return sentence(`in names and values, ${listText([start, ...others.map(([, text]) => text)], "and")}`);
}
