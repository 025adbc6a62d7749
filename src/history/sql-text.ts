/** SQL conditions on texts. They use the indexes on the first characters, and give the same results in both databases. */

import { type Expression, type RawBuilder, type SqlBool, sql } from "kysely";
import { compileGlob, type Element, piecesOf } from "../core/model/glob.ts";
import type { DialectName } from "./schema.ts";

/** Indexes hold this many characters of a text. */
export const indexedLength = 100;

type Condition = RawBuilder<SqlBool>;
type Column = Expression<string>;

/** True if the text is one of `values`. */
export function isOneOf(column: Column, values: readonly string[]): Condition {
  const short = values.filter((value) => lengthOf(value) < indexedLength);
  const long = values.filter((value) => lengthOf(value) >= indexedLength);
  const conditions = long.map(
    (value) => sql<SqlBool>`(${head(column)} = ${headOf(value)} and ${column} = ${value})`,
  );
  if (short.length > 0) conditions.push(sql`${head(column)} in (${sql.join(short)})`);
  return some(conditions);
}

/** True if the text starts with one of `prefixes`. */
export function beginsWithOneOf(column: Column, prefixes: readonly string[]): Condition {
  return some(
    prefixes.map((prefix) => {
      const start = headOf(prefix);
      const end = successor(start);
      const conditions: Condition[] = [sql`${head(column)} >= ${start}`];
      if (end !== null) conditions.push(sql`${head(column)} < ${end}`);
      if (start !== prefix) conditions.push(sql`substr(${column}, 1, ${lengthOf(prefix)}) = ${prefix}`);
      return every(conditions);
    }),
  );
}

/** True if the text matches one of the globs. */
export function matchesOneOf(column: Column, patterns: readonly string[], dialect: DialectName): Condition {
  const globs = patterns.map(compileGlob);
  const literals = globs.flatMap(({ literal }) => literal ?? []);
  const conditions = globs
    .filter(({ literal }) => literal === null)
    .map(({ pattern, negated, prefix }) => {
      const condition: Condition =
        dialect === "sqlite"
          ? sql`tripline_glob(${pattern}, ${column}) = 1`
          : sql`${column} ${sql.raw(negated ? "!~" : "~")} ${regexOf(pattern)}`;
      return prefix === "" ? condition : every([beginsWithOneOf(column, [prefix]), condition]);
    });
  return some(literals.length > 0 ? [isOneOf(column, literals), ...conditions] : conditions);
}

/** True if the text contains `part`. */
export function containsText(column: Column, part: string, dialect: DialectName): Condition {
  return dialect === "sqlite" ? sql`instr(${column}, ${part}) > 0` : sql`strpos(${column}, ${part}) > 0`;
}

export function every(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`1 = 1` : sql`(${sql.join(conditions, sql` and `)})`;
}

export function some(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`1 = 0` : sql`(${sql.join(conditions, sql` or `)})`;
}

// Must be exactly the expression of the indexes.
function head(column: Column): RawBuilder<string> {
  return sql`substr(${column}, 1, ${sql.lit(indexedLength)})`;
}

function headOf(text: string): string {
  return lengthOf(text) <= indexedLength ? text : [...text].slice(0, indexedLength).join("");
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** The first text, in code point order, after all texts that start with `prefix`; null if there is none. */
function successor(prefix: string): string | null {
  const codes = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (codes.at(-1) === 0x10ffff) codes.pop();
  const last = codes.pop();
  if (last === undefined) return null;
  return String.fromCodePoint(...codes, last === 0xd7ff ? 0xe000 : last + 1);
}

/** A glob as a PostgreSQL regular expression. The operator takes care of a leading `!`. */
function regexOf(pattern: string): string {
  const body = piecesOf(pattern.startsWith("!") ? pattern.slice(1) : pattern)
    .map((piece) => piece.map(regexOfElement).join(""))
    .join(".*");
  return `^${body}$`;
}

function regexOfElement(element: Element): string {
  if (typeof element === "string") return escaped(element.codePointAt(0) ?? 0);
  const ranges = element.ranges.filter(([low, high]) => low <= high);
  const members = ranges.map(([low, high]) => `${escaped(low)}-${escaped(high)}`).join("");
  if (element.negated) return members === "" ? "." : `[^${members}]`;
  return members === "" ? "(?!)" : `[${members}]`;
}

function escaped(code: number): string {
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
