import { describe, expect, test } from "vitest";
import { parseExactJson } from "../../src/core/json/exact-json.ts";
import { parseTemplateOver, TemplateError } from "../../src/templates/template.ts";
import fc from "../support/fast-check.ts";

/** Renders a template over the variable `p`, as read from JSON. */
function rendered(source: string, json = "{}"): string {
  return parseTemplateOver(["p"], source).render({ p: parseExactJson(json) });
}

const payload = `{
  "id": 9400053101578681001, "next": 9400053101578681002, "small": 5, "owing": -9400053101578681001,
  "fraction": 0.1234567890123456789, "huge": 1e400, "text": "9400053101578681001", "zero": -0, "one": 1.0
}`;

describe("a number beyond a double in a template", () => {
  test.each([
    ["{{ p.id }}", "9400053101578681001"],
    ["{{ p.fraction }} {{ p.huge }}", "0.1234567890123456789 1e400"],
    ["{{ p.id | tojson }} {{ [p.id] | tojson(indent=1) }}", "9400053101578681001 [\n 9400053101578681001\n]"],
    ["{{ [p.id, {'a': p.huge}] }}", '[9400053101578681001,{"a":1e400}]'],
    [
      "{{ 'x-' ~ p.id }} {{ p.id | string | length }} {{ [p.id, 1] | join('/') }}",
      "x-9400053101578681001 19 9400053101578681001/1",
    ],
    ["{{ p.id | urlencode }} {{ p.id | upper }}", "9400053101578681001 9400053101578681001"],
    ["{{ p.one }} {{ p.zero }}", "1 0"],
  ])("prints its digits: %s", (source, text) => expect(rendered(source, payload)).toBe(text));

  test.each([
    ["p.id == 9400053101578681001", true],
    ["p.id == 9400053101578681002", false],
    ["p.id != p.next and p.id < p.next and p.next > p.id and not p.id >= p.next", true],
    ["p.owing < p.small and p.small < p.id and -p.id == p.owing", true],
    ["p.fraction < 0.1235 and p.fraction > 0.1234 and p.huge > p.id and -p.huge < p.owing", true],
    ["p.id in [1, 9400053101578681001] and p.id not in [p.next]", true],
    ["p.id == p.text", false],
    ["p.id == p.text | int and p.owing == ('-' ~ p.text) | int", true],
    ["p.id is number and p.id is integer and p.id is not float and p.id is not string", true],
    ["p.id is not mapping and p.id is not iterable and p.id is not sequence", true],
    ["p.fraction is number and p.fraction is float and p.fraction is not integer", true],
    ["p.id is odd and p.next is even and p.owing is odd", true],
    ["[p.id, p.next] | select('divisibleby', 2) | first == p.next", true],
    ["p.id and p.huge and p.fraction", true],
    ["[p.next, p.id, 1] | sort == [1, p.id, p.next] and [p.id, p.next] | max == p.next", true],
    ["{'a': p.id} == {'a': p.id} and {'a': p.id} != {'a': p.next}", true],
    ["[p.id, p.next, p.id] | unique | length == 2", true],
  ])("is compared by its value: %s", (condition, expected) => {
    expect(rendered(`{{ true if ${condition} else false }}`, payload)).toBe(String(expected));
  });

  test.each([
    ["p.id + 1", "9400053101578681002"],
    ["1 + p.id - 1", "9400053101578681001"],
    ["p.id - p.next", "-1"],
    ["p.id * 10", "94000531015786810010"],
    ["p.id // 1000", "9400053101578681"],
    ["p.owing // 1000", "-9400053101578682"],
    ["p.id % 1000", "1"],
    ["p.owing % 1000", "999"],
    ["2 ** 64", "18446744073709551616"],
    ["9007199254740991 + 2", "9007199254740993"],
    ["-p.id", "-9400053101578681001"],
    ["p.owing | abs", "9400053101578681001"],
    ["[p.id, p.id] | sum", "18800106203157362002"],
    ["p.id | round", "9400053101578681001"],
    ["'9400053101578681001.9' | int", "9400053101578681001"],
    ["' 007 apples' | int", "7"],
    ["'.5' | float", "0.5"],
    ["'many' | int(3)", "3"],
    ["p.id / 2", "4700026550789340000"],
    ["p.fraction * 2", "0.24691357802469135"],
    ["p.id | float", "9400053101578680000"],
    ["2 ** -1", "0.5"],
    ["0.5 + 1", "1.5"],
  ])("is computed with exactly, as long as all are integers: %s", (expression, text) => {
    expect(rendered(`{{ ${expression} }}`, payload)).toBe(text);
  });

  test.each(["p.n * p.n", "p.n + 1", "10 ** 2000", "2 ** 9007199254740991", "(-1) ** 9007199254740993"])(
    "may have too many digits to compute with, which is an error and takes no time: %s",
    (expression) => {
      const json = `{"n": 1${"0".repeat(1_000_000)}}`;
      expect(() => rendered(`{{ ${expression} }}`, json)).toThrow(
        new TemplateError("a template can compute with integers of up to 1000 digits"),
      );
    },
  );

  test("cannot be divided by zero", () => {
    expect(() => rendered("{{ p.id % 0 }}", payload)).toThrow("division by zero");
  });

  // JSON has no Infinity: it would be sent as null.
  test.each(["1e308 * 10", "p.huge + 1", "0 ** -1", "-3 ** 0.5", "10.5 ** 400", "1e308 + 1e308"])(
    "has no result that is no number: %s",
    (expression) => {
      expect(() => rendered(`{{ ${expression} }}`, payload)).toThrow(/has no result for/);
    },
  );

  test("has the arithmetic of integers, with Python's signs", () => {
    const big = fc.oneof(
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
      fc.bigInt({ min: -20n, max: 20n }),
    );
    fc.assert(
      fc.property(big, big, (a, b) => {
        const json = `{"a": ${a}, "b": ${b}}`;
        expect(rendered("{{ p.a + p.b }},{{ p.a - p.b }},{{ p.a * p.b }}", json)).toBe(
          `${a + b},${a - b},${a * b}`,
        );
        expect(rendered("{{ p.a < p.b }},{{ p.a == p.b }}", json)).toBe(`${a < b},${a === b}`);
        if (b === 0n) return;
        const remainder = ((a % b) + b) % b;
        expect(rendered("{{ p.a // p.b }},{{ p.a % p.b }}", json)).toBe(
          `${(a - remainder) / b},${remainder}`,
        );
      }),
    );
  });
});
