/** Texts that are safe on a terminal, and as wide as they should be. */

import stringWidth from "string-width";

/**
 * Replaces control characters by `\u001b` and the like. Names and labels come from outside: they must not move the
 * cursor, forge a line or reverse the reading direction.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (control) => `\\u${(control.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * As `printable`, for whole output: line breaks, tabs and our own colors stay. In JSON, and in quoted YAML, an escape stands
 * for the same character.
 */
export function harmless(output: string): string {
  const parts = output.split(/(\u001b\[(?:[012]|22|3[0-9])m|[\n\t])/);
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join("");
}

/** Makes everything harmless that a stream prints, whoever prints it: a command may forget it for a text from outside. */
export function guardOutput(stream: Pick<NodeJS.WriteStream, "write">): void {
  const write = stream.write.bind(stream) as (chunk: unknown, ...rest: unknown[]) => boolean;
  stream.write = ((chunk: unknown, ...rest: unknown[]) =>
    write(typeof chunk === "string" ? harmless(chunk) : chunk, ...rest)) as typeof stream.write;
}

/** As `printable`, for a text of several lines. Its line breaks stay, and each further line is indented. */
export function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line, index) => (index === 0 ? printable(line) : `    ${printable(line.trimStart())}`))
    .join("\n");
}

/** How many columns a text takes on a terminal: a Chinese character or an emoji takes two. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

const ellipsis = "…";

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Cuts a text to a width in columns, and marks the cut with an ellipsis. It splits no visible character. */
export function cutToWidth(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let keptWidth = 0;
  for (const { segment } of segmenter.segment(text)) {
    keptWidth += widthOf(segment);
    if (keptWidth > width - 1) break;
    kept += segment;
  }
  return width < 1 ? "" : `${kept.trimEnd()}${ellipsis}`;
}

/** `1 event`, `2 events`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The values of a key: `room=4 floor=2`. A key that is just the resource's id is written as that id. */
export function keyText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === "prefect.resource.id") return first[1];
  return entries.map(([label, value]) => `${label}=${value}`).join(" ");
}

/**
 * The beginning of an id, long enough to tell ids apart; commands accept it in place of the whole id.
 *
 * Most UUIDs are random from their first digit on. Those that begin with their time of creation (versions 1, 6 and 7)
 * need more digits.
 */
export function shortId(id: string): string {
  const version = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])/i.exec(id)?.[1];
  if (version === undefined) return id;
  return /[167]/.test(version) ? id.slice(0, 18) : id.slice(0, 8);
}
