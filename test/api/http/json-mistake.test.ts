import { describe, expect, test } from "vitest";
import { jsonMistakeInSlices } from "../../../src/api/http/json-mistake.ts";
import fc from "../../support/fast-check.ts";

describe("the place where a text stops being JSON", () => {
  // A scanner that is stricter or laxer than JSON.parse would point at a place where nothing is wrong, or at no place.
  test("is found exactly when JSON.parse refuses the text", async () => {
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.nat(2),
      insert: fc.constantFrom(...'[]{}",:01-.eE\\u \nt\u0001'),
    });
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.array(edit, { maxLength: 3 }), async (json, edits) => {
        const text = edits.reduce((before, { at, remove, insert }) => {
          const place = at % (before.length + 1);
          return before.slice(0, place) + insert + before.slice(place + remove);
        }, json);
        expect((await jsonMistakeInSlices(text)) === null).toBe(parses(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test("is found in a long text too", async () => {
    expect(await jsonMistakeInSlices(`["${"x".repeat(15_000_000)}"`)).toMatchObject({ position: 15_000_003 });
    expect(await jsonMistakeInSlices(`["${"x".repeat(15_000_000)}`)).toMatchObject({ position: 1 });
    expect(await jsonMistakeInSlices("[".repeat(1_000_000))).toMatchObject({ position: 1_000_000 });
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
