import { expect, test } from "vitest";
import { FormTooLong, formFieldsMax, readFormFields } from "../../../src/api/http/form.ts";
import fc from "../../support/fast-check.ts";

/** What the platform reads. */
function expected(text: string): object {
  const parameters = new URLSearchParams(text);
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const all = parameters.getAll(name);
      return [name, all.length === 1 ? all[0] : all];
    }),
  );
}

test("a form is read as URLSearchParams reads it", async () => {
  const anyPiece = fc.oneof(
    fc.constantFrom(
      "&",
      "=",
      "+",
      "%",
      "%4",
      "%41",
      "%c3%bc",
      "%C3",
      "%ef%bb%bf",
      "%zz",
      "%%41",
      "__proto__",
    ),
    fc.string({ unit: "binary", maxLength: 4 }),
  );
  const anyForm = fc
    .array(anyPiece, { maxLength: 30 })
    .map((pieces) => pieces.join(""))
    .filter((text) => !text.startsWith("?"))
    // Node's own parser takes a character for its last byte where invalid UTF-8 stands beside it.
    .filter((text) => !text.includes("%") || /^\p{ASCII}*$/u.test(text));
  await fc.assert(
    fc.asyncProperty(anyForm, async (text) => {
      expect(await readFormFields(text)).toEqual(expected(text));
    }),
  );
});

test.each(["%C3%BC", "%41+", "a%", "😀%41", "%F0%9F%98%80"])(
  "a value of %s, however long, is read the same in pieces",
  async (unit) => {
    for (const shift of ["", "x", "xx"]) {
      const text = `a=${shift}${unit.repeat(100_000)}&b=1`;
      const [read, wanted] = [await readFormFields(text), expected(text)];
      expect(JSON.stringify(read) === JSON.stringify(wanted)).toBe(true);
    }
  },
);

test("a form with too many fields is refused, and a long one is read at once", async () => {
  const form = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=1`).join("&");
  const before = process.threadCpuUsage();
  expect(Object.keys(await readFormFields(form(formFieldsMax)))).toHaveLength(formFieldsMax);
  await expect(readFormFields(form(1_000_000))).rejects.toThrow(FormTooLong);
  expect(await readFormFields("&".repeat(16_000_000))).toEqual({});
  const { user, system } = process.threadCpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(2_000);
});
