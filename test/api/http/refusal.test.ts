/** What a refusal repeats of a request: enough to recognize it, and never much of it. */

import { expect, test } from "vitest";
import { excerpt, type InvalidRequest, invalidRequest } from "../../../src/api/http/refusal.ts";

const lettersOf = (count: number) => "x".repeat(count);
const keysOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, index]));
/** A value with this many objects around it. */
const nested = (value: unknown, levels: number): unknown =>
  levels === 0 ? value : { a: nested(value, levels - 1) };

test.each([
  ["a text of 200 characters", lettersOf(200), lettersOf(200)],
  ["a longer text", lettersOf(201), `${lettersOf(200)}…`],
  ["a list of 50 items", Array(50).fill(1), Array(50).fill(1)],
  ["a longer list", Array(51).fill(1), [...Array(50).fill(1), "…"]],
  ["50 keys", keysOf(50), keysOf(50)],
  ["more keys", keysOf(51), { ...keysOf(50), "…": "…" }],
  ["a long key", { [lettersOf(201)]: 1 }, { [lettersOf(200)]: 1 }],
  ["6 levels", nested([], 5), nested([], 5)],
  ["more levels", nested([], 6), nested("…", 6)],
])("an excerpt of %s", (_what, value, shown) => {
  expect(excerpt(value)).toEqual(shown);
});

test("a refusal lists 100 mistakes, counts the others, and cuts short what it quotes", () => {
  const input = lettersOf(1_000);
  const mistake = { type: "value_error", loc: ["body"], msg: "It is too long", input };
  const { body } = invalidRequest(Array(103).fill(mistake), [input]);
  const { exception_detail: mistakes, request_body: quoted } = body as InvalidRequest;
  expect(mistakes).toHaveLength(101);
  expect(mistakes.at(-1)?.msg).toBe("And 3 more mistakes");
  expect(mistakes[0]?.input).toBe(`${lettersOf(200)}…`);
  expect(quoted).toEqual([`${lettersOf(200)}…`]);
});

test("an excerpt of many long texts is cut as a whole", () => {
  const texts = Array.from({ length: 50 }, () => Array(50).fill(lettersOf(200)));
  expect(JSON.stringify(excerpt(texts)).length).toBeLessThan(8_000);
});
