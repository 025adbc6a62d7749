/** docs/rule-warnings.md explains every warning, and its examples get the warnings that it says. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { warningCodes } from "../../src/lint/warning.ts";
import { warningsIn } from "./support.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/rule-warnings.md"), "utf8");
const codes = Object.keys(warningCodes);

interface Section {
  readonly code: string;
  readonly examples: readonly { readonly kind: string; readonly rule: string }[];
}

const sections: Section[] = text
  .split(/^### /m)
  .slice(1)
  .map((section) => ({
    code: section.slice(0, section.indexOf("\n")).trim(),
    examples: examplesIn(section),
  }));

function examplesIn(part: string) {
  return [...part.matchAll(/```yaml ?(\w*)\n([\s\S]*?)```/g)].map(([, kind = "", rule = ""]) => ({
    kind,
    rule,
  }));
}

test("every warning has a row in the table and a section, in the order of the codes", () => {
  const inTable = [...text.matchAll(/^\| \[(TL\d+)\]\(#tl\d+\) \| .+ \| .+ \|$/gm)].map(([, code]) => code);
  expect(inTable).toEqual(codes);
  expect(sections.map(({ code }) => code)).toEqual(codes);
});

describe.each(sections)("$code", ({ code, examples }) => {
  const [bad, good] = examples;

  test("is the only warning for its example", () => {
    expect(bad?.kind).toBe("");
    expect(warningsIn(bad?.rule ?? "").map((warning) => warning.code)).toEqual([code]);
  });

  test("is not given for the corrected example", () => {
    expect(good?.kind).toBe("fixed");
    expect(warningsIn(good?.rule ?? "")).toEqual([]);
  });
});

test("the comment in the introduction silences the warning", () => {
  const [ignored] = examplesIn(text).filter(({ kind }) => kind === "ignored");
  expect(warningsIn(ignored?.rule ?? "")).toEqual([]);
  expect(warningsIn((ignored?.rule ?? "").replace(/^ *#.*\n/m, "")).map(({ code }) => code)).toEqual([
    "TL201",
  ]);
});
