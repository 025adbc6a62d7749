import { describe, expect, test } from "vitest";
import {
  firstReferenceIn,
  malformedReferenceIn,
  referencedValue,
  referencesIn,
  replaceReferences,
  soleReferenceIn,
  unescapeReference,
} from "../../../src/core/model/reference.ts";
import { keepReferences, substitute } from "../../../src/templates/environment.ts";
import { renderHook } from "../../../src/templates/hook-template.ts";
import { fillReferences } from "../../../src/templates/references.ts";

describe("references in a text", () => {
  test.each<[string, string[]]>([
    ["${env.A} and ${env.B_2:-x y}", ["A", "B_2"]],
    ["${env.A}${env.A:-}", ["A", "A"]],
    ["$${env.A}", []],
    ["$$${env.A}", []],
    ["$${env.A} ${env.B}", ["B"]],
    ["${env.9} ${env.} ${env.a-b} ${env.A", []],
    ["${ENV.A} ${env A}", []],
  ])("%s", (text, names) => {
    expect(referencesIn(text).map(({ name }) => name)).toEqual(names);
  });

  test("that are none are found as they are written", () => {
    expect(malformedReferenceIn("${env.A} $${env.9} ${env.9}")).toBe("${env.9}");
    expect(malformedReferenceIn("${env.A} $${env.9}")).toBe(null);
    expect(firstReferenceIn("x ${env.A")).toBe("${env.A");
    expect(firstReferenceIn("x $${env.A}")).toBe(null);
  });

  test.each([
    ["${env.A}", "A"],
    ["${env.A:-x}", "A"],
    ["$${env.A}", null],
    [" ${env.A}", null],
    ["${env.9}", null],
    ["${env.A}${env.B}", null],
  ])("%j alone: %j", (text, name) => {
    expect(soleReferenceIn(text)?.name ?? null).toBe(name);
  });

  test("a default stands in for a missing and for an empty value; an inherited name is no value", () => {
    const [a, b] = [
      { name: "A", fallback: "x" },
      { name: "toString", fallback: undefined },
    ];
    expect([referencedValue(a, {}), referencedValue(a, { A: "" }), referencedValue(a, { A: "y" })]).toEqual([
      "x",
      "x",
      "y",
    ]);
    expect(referencedValue(b, {})).toBe(undefined);
  });
});

// What is loaded and what is delivered must read the same text in the same way.
test.each([
  "${env.A}",
  "$${env.A}",
  "$$${env.A}",
  "$${env.9}",
  "a$${env.A}b${env.B:-z}",
  "$${env.A",
  "${env.B:-}",
])("loading and delivery fill %s alike", (text) => {
  const env = { A: "alpha" };
  const secrets = new Map<string, string>();
  const kept = keepReferences(text, env, secrets);
  expect(kept.problems).toEqual([]);
  expect(fillReferences(kept.text, Object.fromEntries(secrets))).toBe(substitute(text, env).text);
});

test("an escape stands for its text, in a hook's template too", () => {
  const context = { body: null, headers: {}, query: {}, method: "POST", received: "" };
  expect(renderHook("$${env.A} {{ method }}", context)).toBe("${env.A} POST");
  expect(replaceReferences("$${env.A}", { escaped: unescapeReference })).toBe("${env.A}");
});
