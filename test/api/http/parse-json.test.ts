import { expect, test } from "vitest";
import { JsonTooComplex, parseInSlices } from "../../../src/api/http/parse-json.ts";
import { parseExactJson } from "../../../src/core/json/exact-json.ts";
import fc from "../../support/fast-check.ts";

const bounds = { depthMax: 1_000, valuesMax: 1_000_000 };

/** What became of a text: its value, or that it is not JSON. */
async function outcomeOf(parse: () => unknown): Promise<unknown> {
  try {
    return { value: await parse() };
  } catch (error) {
    if (error instanceof SyntaxError) return "not JSON";
    throw error;
  }
}

/** JSON with blanks between its tokens, and keys that an assignment would lose. */
const anyJson = fc
  .tuple(fc.json({ maxDepth: 6 }), fc.constantFrom("", " ", "\n\t "))
  .map(([json, blank]) => json.replace(/[[\]{},:]/g, (token) => `${blank}${token}${blank}`))
  .map((json) => json.replace(/"[a-z]":/, '"__proto__":'));

// Pieces of a few characters, so that every text is cut in many places.
test("a text has the same value in pieces as at once, or is refused by both", async () => {
  await fc.assert(
    fc.asyncProperty(anyJson, fc.nat(8), async (text, pieceLength) => {
      const expected = await outcomeOf(() => parseExactJson(text));
      expect(await outcomeOf(() => parseInSlices(text, bounds, pieceLength))).toEqual(expected);
    }),
  );
});

test("a text with a mistake is refused wherever it is cut", async () => {
  const mistake = fc.constantFrom(",", "[", "]", "{", "}", ":", '"', "\\", "x", "[1,]", "],[", "},{", " ");
  await fc.assert(
    fc.asyncProperty(
      anyJson,
      mistake,
      fc.nat(),
      fc.nat(8),
      fc.boolean(),
      async (json, token, at, length, cut) => {
        const position = at % (json.length + 1);
        const text = `${json.slice(0, position)}${token}${json.slice(position + (cut ? 1 : 0))}`;
        const expected = await outcomeOf(() => parseExactJson(text));
        expect(await outcomeOf(() => parseInSlices(text, bounds, length))).toEqual(expected);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("keys keep their order, and the last of equal keys counts", async () => {
  const text = '{"b": 1, "a": [1, 2, 3], "b": {"x": 1}, "__proto__": {"y": 2}}';
  expect(JSON.stringify(await parseInSlices(text, bounds, 3))).toBe(JSON.stringify(parseExactJson(text)));
});

test.each([
  ["[".repeat(50), "too_deep"],
  ['{"a":'.repeat(50), "too_deep"],
  [`[${"1,".repeat(100)}1]`, "too_long"],
  [`[${"[],".repeat(60)}1]`, "too_long"],
])("%s is too complex, and is not parsed", async (text, type) => {
  const parsing = parseInSlices(text, { depthMax: 40, valuesMax: 100 });
  await expect(parsing).rejects.toThrow(JsonTooComplex);
  await expect(parsing).rejects.toMatchObject({ type });
});

// One event that nests too deep, or is too long, must not keep the other events of a batch from being stored.
test("items of a list that are too complex are replaced, if they are to harm only themselves", async () => {
  const deep = fc.constantFrom("[[[[]]]]", '{"a":{"b":{"c":{}}}}', '[1,[2,[{"x":[","]}]]]');
  const long = fc.integer({ min: 31, max: 60 }).map((length) => JSON.stringify("x".repeat(length)));
  const simple = fc.constantFrom("1", '"],["', '{"a": [1, 2]}', " null ", "[]");
  const item = fc.oneof(
    simple.map((text) => ({ text, type: null })),
    deep.map((text) => ({ text, type: "too_deep" })),
    long.map((text) => ({ text, type: "too_long" })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(item), fc.nat(30), async (items, pieceLength) => {
      const limits = { depthMax: 4, valuesMax: 1_000, itemLengthMax: 30, sparesOthers: true };
      const text = `[${items.map((each) => each.text).join()}]`;
      expect(await parseInSlices(text, limits, pieceLength)).toEqual(
        items.map(({ text, type }, index) =>
          type === null ? JSON.parse(text) : expect.objectContaining({ name: "JsonTooComplex", type, index }),
        ),
      );
    }),
  );
});

test.each(["[".repeat(50), `[${"[".repeat(50)},1`])("%s is refused without being parsed", async (text) => {
  const limits = { depthMax: 40, valuesMax: 1_000, sparesOthers: true };
  await expect(parseInSlices(text, limits)).rejects.toThrow(JsonTooComplex);
});

test("brackets and commas in strings count for nothing", async () => {
  const text = JSON.stringify(['[[[[{{{{,,,,"\\', "\\\\", ",".repeat(100)]);
  expect(await parseInSlices(text, { depthMax: 1, valuesMax: 10 }, 2)).toEqual(parseExactJson(text));
});

test.each([
  ["few values in many items", { list: Array(100).fill([1, 2, 3]) }, null],
  [
    "many values in one item",
    { list: [[1], Array(20).fill(1), [1]] },
    "Item 1 of a list holds more than 10 values",
  ],
  ["many nested ones", { a: 1, list: [Array(11).fill([])] }, "Item 0 of a list holds more than 10 values"],
  [
    "many keys in the last one",
    { list: [1, Object.fromEntries([..."abcdefghijkl"].entries())] },
    "Item 1 of a list",
  ],
  [
    "a long text in one",
    { list: ["a", "b".repeat(1_000)] },
    "Item 1 of a list holds more than 100 characters",
  ],
  ["a long text beside the list", { text: "b".repeat(1_000), list: ["a"] }, null],
])("the items of inner lists are bounded: %s", async (_what, value, problem) => {
  const parsed = parseInSlices(JSON.stringify(value), {
    ...bounds,
    innerItems: { valuesMax: 10, lengthMax: 100 },
  });
  if (problem === null) expect(await parsed).toEqual(value);
  else await expect(parsed).rejects.toThrow(problem);
});
