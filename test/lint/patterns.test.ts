import { expect, test } from "vitest";
import { compileGlob } from "../../src/core/model/glob.ts";
import { alwaysWithin, findCommonValue, findValue } from "../../src/lint/pattern-search.ts";
import fc from "../support/fast-check.ts";
import { numRuns, seed } from "../support/search.ts";

const anyPattern = fc
  .array(fc.constantFrom("a", "b", "*", "*", "?", "[ab]", "[!a]", "[b-c]", "["), { maxLength: 4 })
  .chain((parts) => fc.constantFrom("", "", "!").map((sign) => sign + parts.join("")));

/** Every value of up to four of these letters; no pattern contains the x. */
const values = ((): string[] => {
  const all = [""];
  for (let index = 0; (all[index]?.length ?? 4) < 4; index++)
    for (const letter of "abcx") all.push(`${all[index]}${letter}`);
  return all;
})();

// A warning that something never matches would be false if the search overlooked a value.
test(`a value is found if there is one, and it is right (seed ${seed})`, () => {
  const patterns = fc.array(anyPattern, { minLength: 1, maxLength: 3 });
  const agrees = fc.property(
    patterns,
    fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    (texts, signs) => {
      const globs = texts.map(compileGlob);
      const wanted = (matches: readonly boolean[]) => matches.every((match, index) => match === signs[index]);
      const holds = (value: string) => wanted(globs.map((glob) => glob.matches(value)));
      const answer = findValue(globs, wanted);
      if (answer.kind === "found") expect(holds(answer.value), answer.value).toBe(true);
      else {
        expect(answer.kind).toBe("none");
        expect(values.filter(holds)).toEqual([]);
      }
    },
  );
  fc.assert(agrees, { numRuns: 4 * numRuns, seed });
});

test(`a common value of two lists is found if there is one, and it is right (seed ${seed})`, () => {
  const list = fc.array(fc.oneof(anyPattern, fc.constantFrom("a", "ab", "b")), { maxLength: 2 });
  const agrees = fc.property(list, list, (some, others) => {
    const [first, second] = [some.map(compileGlob), others.map(compileGlob)];
    const common = values.filter(
      (value) => first.some((glob) => glob.matches(value)) && second.some((glob) => glob.matches(value)),
    );
    const answer = findCommonValue(first, second);
    if (answer.kind === "none") expect(common).toEqual([]);
    else if (answer.kind === "found") {
      const { value } = answer;
      expect(first.some((glob) => glob.matches(value)) && second.some((glob) => glob.matches(value))).toBe(
        true,
      );
    }
  });
  fc.assert(agrees, { numRuns: 2 * numRuns, seed });
});

test("a pattern lies within others only if they match every value that it matches", () => {
  const within = (inner: string, ...outer: string[]) =>
    alwaysWithin(compileGlob(inner), outer.map(compileGlob));
  expect(within("pump.*", "*")).toBe(true);
  expect(within("pump.[12]", "pump.1", "pump.2")).toBe(true);
  expect(within("pump.*", "pump.?*")).toBe(false);
  expect(within("!pump.*", "!pump.1")).toBe(true);
  expect(within("!pump.1", "!pump.*")).toBe(false);
});

test("a value is found even if it needs unusual characters", () => {
  const globs = ["?", "![\u0001-~]", "!\u0000"].map(compileGlob);
  expect(findValue(globs, (matches) => matches.every(Boolean))).toEqual({ kind: "found", value: "\u007f" });
});

test("a search that would take too long ends soon without an answer", () => {
  const hard = ["*a???????????????????", "*b???????????????????"].map(compileGlob);
  const begin = performance.now();
  const answer = findValue(hard, ([first, second]) => first === true && second === true && false);
  expect(answer.kind).toBe("unknown");
  expect(performance.now() - begin).toBeLessThan(5_000);
});
