/**
 * The text of each automation as it is written in its file: with its comments and its layout, without secrets.
 *
 * A text begins with the comments above the automation. Its lines are the lines of the file, so that a place in the file is
 * also one in the text. An item of a list loses its hyphen and its indentation.
 */

import { actionLists } from "../core/model/automation.ts";
import { ruleTextLengthMax } from "../core/model/limits.ts";
import { soleReferenceIn } from "../core/model/reference.ts";
import { type RuleText, withoutSecretTexts } from "../core/model/rule-text.ts";
import { secretMask } from "../core/model/secret.ts";
import type { LoadedRules } from "./load.ts";
import type { RuleMapping, RuleNode, RuleScalar, TextSpan } from "./rule-tree.ts";

/** The texts of the automations of loaded rules, by id. One that is too long to be kept is left out. */
export function ruleTextsOf({ automations, sources, texts }: LoadedRules): Map<string, RuleText> {
  const files = new Map<string, FileLines>();
  for (const [file, text] of texts) files.set(file, new FileLines(text));
  // An alias may make a secret of what is written in another automation of the file.
  const secretSpans = new Map<string, TextSpan[]>();
  for (const { file, tree } of sources.values()) {
    const spans = secretsOf(tree).flatMap(({ span }) => (span === null ? [] : [span]));
    const known = secretSpans.get(file) ?? [];
    known.push(...spans);
    secretSpans.set(file, known);
  }
  const found = new Map<string, RuleText>();
  for (const { id, secrets } of automations) {
    const source = sources.get(id);
    const lines = files.get(source?.file ?? "");
    if (source === undefined || lines === undefined) continue;
    const { file, tree } = source;
    const extent = extentOf(tree, lines);
    const masked = withoutLiteralSecrets(lines.text, extent, secretSpans.get(file) ?? []);
    const yaml = `${withoutSecretTexts(layOut(masked, lines, extent), Object.values(secrets))}\n`;
    if (yaml.length <= ruleTextLengthMax) found.set(id, { yaml, file, line: extent.first + 1 });
  }
  return found;
}

/** The lines of a file, by index, and where each begins. */
class FileLines {
  readonly text: string;
  readonly lines: readonly string[];
  readonly starts: readonly number[];

  constructor(text: string) {
    this.text = text;
    this.lines = text.split("\n");
    let start = 0;
    this.starts = this.lines.map((line) => {
      const at = start;
      start += line.length + 1;
      return at;
    });
  }

  /** The index of the line that contains an offset. */
  at(offset: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

interface Extent {
  /** Indexes of lines, both inclusive. */
  readonly first: number;
  readonly last: number;
  /** Offsets in the file. */
  readonly from: number;
  readonly to: number;
}

const isBlank = (line: string): boolean => line.trim() === "";
const isComment = (line: string): boolean => /^\s*#/.test(line);
const indentationOf = (line: string): number => line.length - line.trimStart().length;
/** What begins an item of a list, perhaps with an anchor, if the item is on the same line or the next. */
const hyphen = /^\s*-\s+(?:&\S+\s+)?$/;
const loneHyphen = /^-(?:\s+&\S+)?(?:\s+#.*)?$/;
const isMarker = (line: string): boolean => /^(?:---|\.\.\.)(?:\s|$)/.test(line);

/** Which part of its file an automation is. */
function extentOf({ span: [start, end] }: RuleMapping, file: FileLines): Extent {
  const { lines, starts } = file;
  const startLine = file.at(start);
  const column = start - (starts[startLine] ?? 0);
  const before = (lines[startLine] ?? "").slice(0, column);
  const isItem = hyphen.test(before);
  if (!isItem && !isBlank(before)) {
    // In the middle of a line, as in JSON: exactly what is written, and nothing around it.
    const last = file.at(Math.max(start, end - 1));
    return { first: startLine, last, from: start, to: end };
  }
  const above = isItem ? startLine : hyphenAbove(lines, startLine, column);
  if (above === null) return documentAround(file, startLine);
  let first = above;
  const hyphenColumn = indentationOf(lines[above] ?? "");
  // A comment that is indented as the item above belongs to that.
  while (
    first > 0 &&
    isComment(lines[first - 1] ?? "") &&
    indentationOf(lines[first - 1] ?? "") <= hyphenColumn
  )
    first--;
  let last = file.at(Math.max(start, end - 1));
  const belongs = (line: string): boolean =>
    !isBlank(line) && (!isComment(line) || indentationOf(line) >= column);
  while (last > startLine && !belongs(lines[last] ?? "")) last--;
  // Comments after a text of several lines are not in the span.
  for (let ahead = last + 1; ahead < lines.length; ahead++) {
    const line = lines[ahead] ?? "";
    if (isBlank(line)) continue;
    if (!isComment(line) || !belongs(line)) break;
    last = ahead;
  }
  return { first, last, from: starts[first] ?? 0, to: endOfLine(file, last) };
}

/** The line of the hyphen whose item begins on a later line; null if there is none, because it is a document. */
function hyphenAbove(lines: readonly string[], startLine: number, column: number): number | null {
  for (let index = startLine - 1; index >= 0; index--) {
    const line = lines[index] ?? "";
    if (isBlank(line) || isComment(line)) continue;
    return loneHyphen.test(line.trim()) && indentationOf(line) < column ? index : null;
  }
  return null;
}

function documentAround(file: FileLines, startLine: number): Extent {
  const { lines, starts } = file;
  let first = startLine;
  while (first > 0 && !isMarker(lines[first - 1] ?? "") && !/^%/.test(lines[first - 1] ?? "")) first--;
  while (first < startLine && isBlank(lines[first] ?? "")) first++;
  let last = startLine;
  while (last + 1 < lines.length && !isMarker(lines[last + 1] ?? "")) last++;
  while (last > startLine && isBlank(lines[last] ?? "")) last--;
  return { first, last, from: starts[first] ?? 0, to: endOfLine(file, last) };
}

function endOfLine({ lines, starts }: FileLines, index: number): number {
  return (starts[index] ?? 0) + (lines[index] ?? "").length;
}

/** The part of a file as a document of its own: without the hyphen of an item, and without its indentation. */
function layOut(
  text: string,
  { lines, starts }: FileLines,
  { first, from }: Pick<Extent, "first" | "from">,
): string {
  const rows = text.split("\n").map((row) => row.replace(/\r$/, ""));
  const isWhole = from === starts[first];
  const hyphenRow = isWhole ? rows.findIndex((row) => !isComment(row)) : -1;
  const begin = /^(\s*)-(\s+(?:&\S+\s+)?|\s*$|\s*#)/.exec(rows[hyphenRow] ?? "");
  if (hyphenRow !== -1 && begin !== null) {
    const row = rows[hyphenRow] ?? "";
    const [, indent = ""] = begin;
    rows[hyphenRow] = `${indent} ${row.slice(indent.length + 1).replace(/^(\s+)&\S+(\s|$)/, "$1")}`;
  }
  // What follows the first line of something in the middle of a line is indented as that line is.
  const own = isWhole ? 0 : indentationOf(lines[first] ?? "");
  const content = rows.filter((row, index) => !isBlank(row) && !isComment(row) && (isWhole || index > 0));
  const indent = isWhole ? Math.min(...content.map(indentationOf)) : own;
  return rows.map((row) => row.slice(Math.min(indent, indentationOf(row))).trimEnd()).join("\n");
}

/** A part of a file in which each literal secret is masked. A mask has as many lines as what it stands for. */
function withoutLiteralSecrets(text: string, { from, to }: Extent, secrets: readonly TextSpan[]): string {
  const inside = secrets.filter(([start, end]) => start >= from && start < to && end <= to + 1);
  const places = new Map(inside.map((span) => [span[0], span]));
  let masked = "";
  let position = from;
  for (const [start, end] of [...places.values()].sort(([a], [b]) => a - b)) {
    masked += text.slice(position, start) + maskFor(text.slice(start, end));
    position = end;
  }
  return masked + text.slice(position, Math.max(position, to));
}

/** A reference to the environment stays, without its default, which is a secret that is written out. */
function maskFor(written: string): string {
  const [, quote = "", inner = ""] = /^(["']?)(.*?)\1$/s.exec(written) ?? [];
  const reference = soleReferenceIn(inner);
  if (reference !== null) {
    const hasDefault = (reference.fallback ?? "") !== "";
    return hasDefault ? `${quote}\${env.${reference.name}:-${secretMask}}${quote}` : written;
  }
  return JSON.stringify(secretMask) + "\n".repeat(written.split("\n").length - 1);
}

/** The values of `secret` in the actions, wherever in the file they are written. */
function secretsOf(tree: RuleMapping): RuleScalar[] {
  return actionLists.flatMap((list) => {
    const actions: RuleNode | undefined = tree.entries.get(list)?.node;
    if (actions?.kind !== "list") return [];
    return actions.items.flatMap((action) => {
      const secret = action.kind === "mapping" ? action.entries.get("secret")?.node : undefined;
      return secret?.kind === "scalar" ? [secret] : [];
    });
  });
}
