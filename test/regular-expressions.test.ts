/**
 * Every regular expression in src/ takes time in proportion to the text. Texts come from outside, so one that backtracks
 * could be kept busy for minutes by 20 KB.
 */

import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join, resolve } from "node:path";
import { parse } from "acorn";
import { checkSync } from "recheck";
import { describe, expect, test } from "vitest";

// The checker is also published as a native program, which is not available everywhere.
process.env["RECHECK_SYNC_BACKEND"] = "pure";

/** How long to look for a slow text where an expression is beyond exact analysis, because it looks ahead or behind. */
const effort = { maxIteration: 3, incubationTimeout: 100, attackTimeout: 100 };

/** For another look at what seemed slow. */
const patience = { maxIteration: 3, incubationTimeout: 3_000, attackTimeout: 3_000 };

const root = resolve(import.meta.dirname, "..");

interface Found {
  readonly place: string;
  readonly pattern: string;
  readonly flags: string;
}

/** Where an expression is made from variables, and why that is safe. */
const made: Readonly<Record<string, string>> = {
  "src/lint/memory.ts": "from constants of the same file",
  "src/templates/references.ts": "from texts alone: nothing in them repeats",
};

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => ({ path: `src/${name}`, text: readFileSync(join(root, "src", name), "utf8") }));

const found = sources.map(({ path, text }) => ({ path, ...expressionsIn(text, path) }));

describe("a regular expression in src/", () => {
  const literals = found.flatMap((file) => file.literals);

  test("is linear in the length of the text", () => {
    const distinct = new Map(literals.map((literal) => [`/${literal.pattern}/${literal.flags}`, literal]));
    expect(distinct.size).toBeGreaterThan(100);
    const wrong = [...distinct].flatMap(([written, literal]) => {
      const problem = problemOf(literal);
      return problem === null ? [] : [`${literal.place}: ${written} ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  test("is a literal, which the first test reads, except where said why not", () => {
    const files = found.filter((file) => file.madeCount > 0).map(({ path }) => path);
    expect(files.sort()).toEqual(Object.keys(made).sort());
  });
});

// A check that finds nothing would always pass.
describe("the check", () => {
  test.each([
    ["\\s+\\S*$", "2nd degree polynomial"],
    ["^(a+)+$", "exponential"],
    ["^(.*?)\\s*<\\s*([^<>]*?)\\s*>$", "4th degree polynomial"],
  ])("finds that %s is slow", (pattern, complexity) => {
    expect(problemOf({ place: "", pattern, flags: "" })).toContain(complexity);
  });

  test("finds literals and made expressions in TypeScript", () => {
    const code =
      "const a: RegExp = /x+/gu;\nconst b = new RegExp(a as unknown as string);\nRegExp('y');\n'z'.match(w);";
    expect(expressionsIn(code, "f.ts")).toEqual({
      literals: [{ place: "f.ts:1", pattern: "x+", flags: "gu" }],
      madeCount: 2,
    });
  });
});

function problemOf({ pattern, flags }: Found): string | null {
  let { status, ...rest } = checkSync(pattern, flags, effort);
  // Where it tries texts, it measures time, and a busy machine makes any of them look slow.
  if (status === "vulnerable" && (rest as { checker?: string }).checker === "fuzz")
    ({ status, ...rest } = checkSync(pattern, flags, patience));
  if (status === "safe") return null;
  const { complexity } = rest as { complexity?: { summary: string } };
  return `takes too long: ${complexity?.summary ?? status}; use indexOf, a bound such as {1,9}, or a class that excludes what follows`;
}

function expressionsIn(text: string, path: string): { literals: Found[]; madeCount: number } {
  const literals: Found[] = [];
  let madeCount = 0;
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { type, regex, loc, callee } = node as {
      type?: string;
      regex?: { pattern: string; flags: string };
      loc?: { start: { line: number } };
      callee?: { name?: string };
    };
    if (type === "Literal" && regex !== undefined)
      literals.push({ place: `${path}:${loc?.start.line}`, pattern: regex.pattern, flags: regex.flags });
    if ((type === "NewExpression" || type === "CallExpression") && callee?.name === "RegExp") madeCount += 1;
    for (const part of Object.values(node)) visit(part);
  };
  visit(parse(stripTypeScriptTypes(text), { ecmaVersion: "latest", sourceType: "module", locations: true }));
  return { literals, madeCount };
}
