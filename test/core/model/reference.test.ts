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
import { Budget } from "../../../src/templates/template.ts";

describe("a reference", () => {
  test.each<[string, string[]]>([
    ["${env.A} and ${env.B_2:-x y}", ["A", "B_2"]],
    ["${env.A}${env.A:-}", ["A", "A"]],
    ["$${env.A}", []],
    ["$$${env.A}", []],
    ["$${env.A} ${env.B}", ["B"]],
    ["${env.9} ${env.} ${env.a-b} ${env.A", []],
    ["${ENV.A} ${env A}", []],
  ])("is found in %s unless it is escaped or malformed", (text, names) => {
    expect(referencesIn(text).map(({ name }) => name)).toEqual(names);
  });

  test("that is malformed is reported as it is written", () => {
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
  ])("is the whole of %j: %j", (text, name) => {
    expect(soleReferenceIn(text)?.name ?? null).toBe(name);
  });

  test("takes its default if the value is missing or empty, and never a property that objects inherit", () => {
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

// Loading a rule and delivering an action must read the same text in the same way.
test.each([
  "${env.A}",
  "$${env.A}",
  "$$${env.A}",
  "$${env.9}",
  "a$${env.A}b${env.B:-z}",
  "$${env.A",
  "${env.B:-}",
])("loading and delivery fill in %s in the same way", (text) => {
  const env = { A: "alpha" };
  const secrets = new Map<string, string>();
  const kept = keepReferences(text, env, secrets);
  expect(kept.problems).toEqual([]);
  expect(fillReferences(kept.text, Object.fromEntries(secrets), new Budget())).toBe(
    substitute(text, env).text,
  );
});

test("an escaped reference stands for its text, also in a hook's template", () => {
  const context = { body: null, headers: {}, query: {}, method: "POST", received: "" };
  expect(renderHook("$${env.A} {{ method }}", context).rendered).toBe("${env.A} POST");
  expect(replaceReferences("$${env.A}", { escaped: unescapeReference })).toBe("${env.A}");
});
