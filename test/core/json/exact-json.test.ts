import { describe, expect, test } from "vitest";
import { compareDecimals } from "../../../src/core/json/decimal.ts";
import { parseExactJson } from "../../../src/core/json/exact-json.ts";
import { ExactNumber, readNumber } from "../../../src/core/json/exact-number.ts";
import fc from "../../support/fast-check.ts";

describe("JSON is read without changing a number:", () => {
  test.each([
    "9400053101578681001",
    "-9400053101578681001",
    "9007199254740993",
    // A double prints these digits, but has another value, which arithmetic would show.
    "9400053101578681000",
    "1152921504606846976",
    "123456789012345678901234567890",
    "0.1234567890123456789",
    "12345678.123456789",
    "0.10000000000000001",
    "1764254000.1234567891",
    "1e400",
    "-1E+400",
    "1e-400",
    "12e-326",
    `1${"0".repeat(400)}`,
    `0.${"0".repeat(400)}1`,
  ])("%s keeps its digits", (text) => {
    for (const json of [text, `[${text}]`, `{"a":{"b":[1,${text}]},"c":"x"}`, `{"\\"1e400":${text}}`]) {
      expect(JSON.stringify(parseExactJson(json))).toBe(json);
    }
    expect(String(parseExactJson(text))).toBe(text);
  });

  test.each([
    ["1.0", 1],
    ["1.10", 1.1],
    ["-0", -0],
    ["0e400", 0],
    ["0.00000000000000000000", 0],
    ["1.000000000000000000000", 1],
    ["0.30000000000000004", 0.30000000000000004],
    ["1764254000.1234567", 1764254000.1234567],
    ["9007199254740991", 9007199254740991],
    ["-9007199254740991", -9007199254740991],
    ["1e21", 1e21],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["5e-324", 5e-324],
    ["1E+0000", 1],
  ])("%s is an ordinary number, because only the value counts", (text, value) => {
    expect(parseExactJson(text)).toBe(value);
    expect(parseExactJson(`{"x": [${text} ]}`)).toEqual({ x: [value] });
  });

  test("three ids that are the same double are three ids", () => {
    const ids = parseExactJson("[9400053101578681001, 9400053101578681002, 9400053101578681003]");
    expect((ids as unknown[]).map(String)).toEqual([
      "9400053101578681001",
      "9400053101578681002",
      "9400053101578681003",
    ]);
    expect(BigInt(String((ids as unknown[])[0]))).toBe(9400053101578681001n);
  });

  test("digits in strings and keys stay text, whatever else the strings hold", () => {
    const value = {
      9400053101578681001: "9400053101578681001",
      '\\":1e400,': '", 1e400 \\',
      "\0": ["\0\0\0", "1e400"],
    };
    const json = JSON.stringify(value);
    const numbered = `{"n":1e400,"v":${json}}`;
    expect(parseExactJson(json)).toEqual(value);
    expect(parseExactJson(numbered)).toEqual({ n: new ExactNumber("1e400"), v: value });
    expect(JSON.stringify(parseExactJson(numbered))).toBe(numbered);
  });

  test("a key called __proto__ is a key like any other", () => {
    const json = '{"__proto__":9400053101578681001,"a":{"__proto__":{"b":1e400}}}';
    expect(JSON.stringify(parseExactJson(json))).toBe(json);
  });

  test.each([
    "01234567890123456789",
    "1.2.34567890123456789",
    "1e400e5",
    "[1e400",
    '{"a":1e400,}',
    "-",
    "\0",
  ])("%j is refused, as JSON.parse refuses it", (text) =>
    expect(() => parseExactJson(text)).toThrow(SyntaxError),
  );

  test("a text may nest very deep", () => {
    const depth = 200_000;
    expect(() => parseExactJson(`${"[".repeat(depth)}1e400${"]".repeat(depth)}`)).not.toThrow();
  });

  test("of any JSON, strings and small numbers are read as by JSON.parse, and every number keeps its value", () => {
    fc.assert(
      fc.property(anyJsonText, (text) => {
        const value = parseExactJson(text);
        const written = JSON.stringify(value);
        expect(JSON.parse(written, withoutMinusZero)).toEqual(JSON.parse(text, withoutMinusZero));
        expect(numbersIn(value)).toEqual(numbersIn(JSON.parse(text, keepingSources)));
      }),
    );
  });
});

describe("decimals", () => {
  test("are in the order of their values", () => {
    fc.assert(
      fc.property(anyDecimal, anyDecimal, (a, b) => {
        const [left, right] = [scaled(a), scaled(b)];
        expect(Math.sign(compareDecimals(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
      }),
    );
  });

  test("are read as doubles only where that changes no value", () => {
    fc.assert(
      fc.property(anyDecimal, (text) => {
        expect(compareDecimals(String(readNumber(text)), text)).toBe(0);
      }),
    );
  });

  test("are ordinary numbers if they print as doubles do", () => {
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (value) => {
        fc.pre(!Number.isInteger(value) || Number.isSafeInteger(value));
        expect(readNumber(String(value))).toBe(Object.is(value, -0) ? 0 : value);
      }),
    );
  });
});

/** 0 and -0 are the same number, and JSON.stringify writes both as 0. */
const withoutMinusZero = (_key: string, value: unknown): unknown => (value === 0 ? 0 : value);

const digits = (maxLength: number) =>
  fc.array(fc.constantFrom(..."0123456789"), { minLength: 1, maxLength }).map((parts) => parts.join(""));

/** Often of the lengths at which doubles end. */
const anyDecimal = fc
  .record({
    minus: fc.constantFrom("", "-"),
    whole: digits(20).map((text) => text.replace(/^0+(?=.)/, "")),
    fraction: fc.option(digits(20), { nil: "" }),
    exponent: fc.oneof(
      { weight: 3, arbitrary: fc.constant("") },
      fc.integer({ min: -420, max: 420 }).map((exponent) => `e${exponent}`),
      fc.integer({ min: 0, max: 9 }).map((exponent) => `E+00${exponent}`),
    ),
  })
  .map(
    ({ minus, whole, fraction, exponent }) =>
      minus + whole + (fraction === "" ? "" : `.${fraction}`) + exponent,
  );

/** An integer with the order of the decimal. */
function scaled(text: string): bigint {
  const [, minus, whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const value = BigInt(whole + fraction) * 10n ** BigInt(500 + Number(exponent) - fraction.length);
  return minus === "-" ? -value : value;
}

const anyString = fc
  .array(
    fc.constantFrom(
      "1e400",
      "12345678",
      "90123456",
      '"',
      "\\",
      "\0",
      " ",
      ":",
      "[",
      ",",
      "-",
      "é",
      "\ud83d\ude00",
    ),
  )
  .map((parts) => parts.join(""));

const anyJsonText: fc.Arbitrary<string> = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    anyDecimal,
    anyString.map((text) => JSON.stringify(text)),
    fc.constantFrom("true", "null", "{}", "[]"),
    fc.array(tie("json"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
    fc
      .array(fc.tuple(anyString, tie("json")), { maxLength: 4 })
      .map((entries) => `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${item}`).join(",")}}`),
  ),
})).json;

/** Another way to the same, which is too slow and recursive for the server. */
function keepingSources(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === "number" && source !== undefined ? readNumber(source) : value;
}

/** As texts, in order. */
function numbersIn(value: unknown): string[] {
  if (typeof value === "number" || value instanceof ExactNumber) return [String(value)];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}
