/** Parsing: what it keeps, and what it bounds. */

import { describe, expect, test } from "vitest";
import { AutomationSchema } from "../../src/core/model/automation.ts";
import { renderHook } from "../../src/templates/hook-template.ts";
import { parseTemplateOver, programOf, templateProblem } from "../../src/templates/template.ts";

describe("a parsed template", () => {
  test("is kept for the next delivery, up to a total length", () => {
    const source = "{{ event.id }} is kept";
    const first = programOf(source);
    expect(programOf(source)).toBe(first);
    for (let index = 0; index < 25; index++) programOf(`{{ ${index} }}${"x".repeat(19_900)}`);
    expect(programOf(source)).not.toBe(first);
    expect(programOf(source)).toEqual(first);
  });

  test("is kept for its own variables only", () => {
    const [pumps, vents] = [["pump"], ["vent"]] as const;
    expect(parseTemplateOver(pumps, "{{ pump }}").render({ pump: 1 })).toBe("1");
    expect(() => parseTemplateOver(vents, "{{ pump }}")).toThrow("there is no pump");
  });
});

describe("the templates of an automation", () => {
  const automation = (count: number) => ({
    name: "a",
    trigger: { type: "event", posture: "Reactive", expect: ["b"] },
    actions: [
      { type: "call-webhook", url: "http://x/", payload: Array(count).fill(`{{ 1 }}${"x".repeat(9_993)}`) },
    ],
  });

  test("have a limited length together, because they are parsed at once", () => {
    expect(AutomationSchema.safeParse(automation(10)).error).toBeUndefined();
    expect(AutomationSchema.safeParse(automation(11)).error?.issues).toMatchObject([
      {
        path: ["actions"],
        message:
          "The templates of a list of actions should have at most 100000 characters together; these have 110000",
      },
    ]);
  });

  test("are refused with a limited number of mistakes, and each mistake once", () => {
    expect(templateProblem("{{a}}".repeat(4_000))).toBe(
      "there is no a; a template sees automation, event, labels, firing, firings, events (column 3 of the template)",
    );
    const names = Array.from({ length: 1_000 }, (_, index) => `x${index}`);
    expect(templateProblem(`{{ [${names.join(",")}] }}`)?.split("; a template sees")).toHaveLength(21);
    const parts = Array.from({ length: 1_000 }, (_, index) => `event.x${index}`);
    expect(templateProblem(`{{ [${parts.join(",")}] }}`)?.split("event has no")).toHaveLength(21);
  });
});

test.each([
  ["{{ 'a", 4, "the string that begins with ' is not closed"],
  ["{{ (1 + [2)] }}", 11, ") closes no bracket"],
  ["{{ event.id", 1, "{{ is not closed; add }}"],
  ["{% if event %}x", 4, "{% if %} is not closed; add {% endif %}"],
  ["{% for x in events %}{% if x %}{% endfor %}", 35, "{% endfor %} has no statement to close"],
  ["{% raw %}x", 1, "{% raw %} is not closed; add {% endraw %}"],
  ["x {# y", 3, "the comment {# is not closed"],
  ["{% whlie x %}", 4, "there is no statement whlie; there are if, for, set"],
  ["{% macro m() %}{% endmacro %}", 4, "macros cannot be used"],
  ["{% include 'x' %}", 4, "a template cannot include another one"],
  ["{{ 1 2 }}", 6, "expected }} or an operator, found 2"],
  ["{{ a.b | first.c }}", 15, "put the filter and the value before it in parentheses: (… | first)"],
  ["{{ f(*x) }}", 6, "* cannot be used on arguments"],
  ["{{ event.payload.x ? 1 : 2 }}", 20, "? has no meaning here"],
  ["{% set 1 = 2 %}", 8, "expected a name to assign to, found 1"],
])("the mistake in %s is at column %i: %s", (template, column, problem) => {
  const found = templateProblem(template);
  expect(found).toContain(problem);
  expect(found).toContain(`column ${column} of the template`);
});

test.each([
  ["a\n  {% if true %}  \nb\n  {% endif %}\nc\n", "a\n  \nb\nc"],
  ["a {%- if true -%} b {%- endif -%} c", "abc"],
  ["  {%+ if true +%}\nx{% endif %}", "  \nx"],
  ["a\n{# note #}\nb {#- c -#} d", "a\nbd"],
  ["{{- 1 -}}  \n  2", "12"],
  ["a {% raw -%}  {{ x }}  {%- endraw %} b", "a {{ x }} b"],
  ["{{ {'a': {'b': 1}} }} {{ '}}' }} {{ \"%}\" }}", '{"a":{"b":1}} }} %}'],
  ["{{ 'a' 'b' ~ \"\\n\" ~ '\\x41\\u0042\\q' }}", "ab\nAB\\q"],
  ["{{ 1_000 + 0x10 }} {{ 1e3 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 10 - 2 - 3 }}", "1016 1000 64 4 5"],
  ["{{ not true or true }} {{ 1 if false }}|{{ 1 if false else 2 if false else 3 }}", "true |3"],
  ["{% set a, (b, c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}", "123"],
  ["{% set x | upper | trim %} hi {% endset %}{{ x }}{% filter upper | trim %} a {% endfilter %}", "HIA"],
  ["{% with a = 1, b = a + 1 %}{{ b }}{% endwith %}", "2"],
  ["{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"],
  [
    "{{ [1, 2, 3, 4][::2] }} {{ [1, 2, 3][::-1] }} {{ 'abcd'[-3:-1] }} {{ [[1, 2]].0.1 }}",
    "[1,3] [3,2,1] bc 2",
  ],
])("white space and syntax are Jinja's: %j", (template, text) => {
  expect(parseTemplateOver([], template).render({})).toBe(text);
});

test("a hook's payload keeps the types of values, and the rest of its event is text", () => {
  const template = {
    event: "{{ body.n }}",
    resource: { "prefect.resource.id": "{{ body.n }}", flag: "{{ body.ok }}" },
    payload: {
      n: "{{ body.n }}",
      list: "{{ body.list }}",
      none: "{{ body.none }}",
      text: "n = {{ body.n }}",
    },
  };
  const body = { n: 7, ok: true, list: [1, "a"] };
  const context = { body, headers: {}, query: {}, method: "POST", received: "2026-03-01T12:00:00Z" };
  expect(renderHook(template, context).rendered).toEqual({
    event: "7",
    resource: { "prefect.resource.id": "7", flag: "true" },
    payload: { n: 7, list: [1, "a"], none: null, text: "n = 7" },
  });
});

test.each([" {{ 7 }} ", "\n{{ 7 }}\n\n", "\r\n  {{- 7 -}}  ", "{{ 7 }}{# a note #}\n"])(
  "white space around a single expression does not make it a text: %j",
  (template) => expect(parseTemplateOver([], template).value({})).toBe(7),
);

test.each(["{{ 7 }}{{ 7 }}", "7{{ 7 }}", "{% if true %}{{ 7 }}{% endif %}", "{{ 7 }} ."])(
  "%j is a text",
  (template) => expect(typeof parseTemplateOver([], template).value({})).toBe("string"),
);
