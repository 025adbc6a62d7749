import { expect, test } from "vitest";
import { keyLabels, keyOf, labelsOf } from "../../src/core/machine/key.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { compileGlob } from "../../src/core/model/glob.ts";
import { compileSpecification, includes } from "../../src/core/model/specification.ts";
import { anyCase } from "../support/anything.ts";
import fc from "../support/fast-check.ts";
import { matches, includes as naivelyIncludes, tupleOf } from "../support/naive/matching.ts";
import { timeOf } from "../support/naive/naive.ts";

const anyText = (units: readonly string[]) =>
  fc.array(fc.constantFrom(...units), { maxLength: 8 }).map((text) => text.join(""));
const anyValue = anyText(["a", "b", "c", ".", "-", "!", "]", "[", "\n", "🌿", "*"]);
const anyPattern = fc.oneof(
  anyText(["a", "b", "c", ".", "*", "?", "🌿", "!"]),
  anyText(["a", "b", "*", "?", "[", "]", "!", "-", "[a-c]", "[!a]", "[b🌿]", "[]a]", "[c-a]"]),
);

test("a glob matches exactly what the grammar says", () => {
  fc.assert(
    fc.property(anyPattern, anyValue, (pattern, value) => {
      expect(compileGlob(pattern).matches(value), `${pattern} on ${value}`).toBe(matches(pattern, value));
    }),
    { numRuns: 20_000 },
  );
});

// A matcher that backtracks takes minutes for this.
test("matching takes time in proportion to pattern and value", () => {
  const glob = compileGlob(`${"a*".repeat(200)}b`);
  const begin = performance.now();
  expect(glob.matches("a".repeat(10_000))).toBe(false);
  expect(performance.now() - begin).toBeLessThan(1_000);
});

const anyLabel = fc.constantFrom("house", "__proto__", "constructor", "prefect.resource.id");
const anyPatterns = fc.oneof(anyPattern, fc.array(anyPattern, { maxLength: 3 }));

test("a specification includes a resource if one pattern of each label matches that label's value", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyLabel, anyPatterns), { maxLength: 3 }),
      fc.array(fc.tuple(anyLabel, anyValue), { maxLength: 3 }),
      (demands, labels) => {
        const definition = Object.fromEntries(demands);
        const resource = new Map(labels);
        expect(includes(compileSpecification(definition), resource)).toBe(
          naivelyIncludes(definition, resource),
        );
      },
    ),
    { numRuns: 5_000 },
  );
});

const anyForEach = fc.subarray(
  ["prefect.resource.id", "house", "related:house:name", "related:crop:name", "related:crop:color", "color"],
  { minLength: 0 },
);

test("a key holds the values of its labels, in the order of the label names", () => {
  fc.assert(
    fc.property(anyCase(), anyForEach, ({ timeline }, forEach) => {
      for (const line of timeline) {
        if (!("event" in line)) continue;
        const event = eventOf(line, timeOf(line));
        const labels = keyLabels(forEach);
        expect(labelsOf(labels, keyOf(labels, event))).toEqual(tupleOf(forEach, event));
      }
    }),
  );
});
