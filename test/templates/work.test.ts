/** Budgets count work, so the work of one step must not depend on how large the values are that it only looks at. */

import { describe, expect, test } from "vitest";
import { actionTextProblem } from "../../src/templates/action-checks.ts";
import { fillReferences } from "../../src/templates/references.ts";
import { Budget, parseTemplateOver, TemplateError } from "../../src/templates/template.ts";

const names = ["value"] as const;

/** Milliseconds of CPU time: ten times what an idle machine takes for the whole budget. Each took seconds or minutes. */
const cpuMsMax = 500;

const large: Readonly<Record<string, unknown>> = {
  keys: Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, index])),
  numbers: Array(700_000).fill(1),
  "millions of numbers": Array(6_000_000).fill(1),
  "a long text": "a b <c> ".repeat(2_000_000),
  "one long text among many": [
    "x".repeat(1_000_000),
    ...Array.from({ length: 50_000 }, (_, index) => `x${index}`),
  ],
  zones: Array.from(
    { length: 24 * 60 },
    (_, index) =>
      `+${String(Math.floor(index / 60)).padStart(2, "0")}:${String(index % 60).padStart(2, "0")}`,
  ),
};

describe("however large the values are, a template soon ends", () => {
  test.each([
    ["keys", "{% for i in range(90000) %}{% if value %}{% endif %}{% endfor %}"],
    ["keys", "{% for i in range(90000) %}{{ value == {} }}{{ value in [{}] }}{{ not value }}{% endfor %}"],
    ["keys", "{% for key, each in value %}{{ key }}{% endfor %}"],
    ["keys", "{{ value | dictsort | length }}"],
    ["millions of numbers", "{{ value | tojson }}"],
    ["one long text among many", "{{ value | max }}"],
    ["one long text among many", "{{ value | sort | length }}"],
    ["one long text among many", "{{ value | select('lt', value[0]) | list | length }}"],
    ["a long text", "{{ value | title | length }}"],
    ["a long text", "{% for each in value %}{{ each }}{% endfor %}"],
    ["a long text", "{{ value[0] }}{{ value | wordcount }}"],
    ["a long text", "{{ value | wordwrap(3) | length }}"],
    [
      "numbers",
      `{% for i in range(2000) %}{{ '{:${"%c".repeat(2_000)}}'.format('2026-01-01T00:00:00Z') }}{% endfor %}`,
    ],
    ["a long text", "{{ value | replace('', '-') | length }}{{ value | indent(2) | length }}"],
    ["a long text", "{{ value.swapcase() | length }}{{ value.title() | length }}"],
    ["a long text", "{{ '%s' % value }}{{ value * 9 }}"],
    ["numbers", "{% for i in range(90000) %}{{ '%.50f' % 1e300 }}{{ '-' * 900 }}{% endfor %}"],
    [
      "numbers",
      "{% set d = dict(resource={}, related=value) %}{% for i in range(9000) %}{% set x = d.resource_in_role %}{% endfor %}",
    ],
    ["zones", "{% for zone in value %}{{ '2026-01-01T00:00:00Z' | in_timezone(zone) }}{% endfor %}"],
    [
      "numbers",
      `{% for i in range(2000) %}{{ '2026-01-01T00:00:00Z' | strftime('${"%c".repeat(2_000)}') }}{% endfor %}`,
    ],
  ])("over %s: %s", (what, source) => {
    const template = parseTemplateOver(names, source);
    const before = process.threadCpuUsage();
    try {
      template.render({ value: large[what] });
    } catch (error) {
      expect(error).toBeInstanceOf(TemplateError);
    }
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(cpuMsMax);
  });
});

test("secrets that references fill in count as work", () => {
  const secrets = { LONG: "s".repeat(100_000) };
  expect(() => fillReferences("${env.LONG}".repeat(1_000), secrets, new Budget())).toThrow(TemplateError);
});

test("a text refers to the environment a bounded number of times, with values of a bounded length", () => {
  const problemOf = (count: number, length: number) =>
    actionTextProblem(
      "call-webhook",
      { path: ["url"], text: `https://a.example/${"${env.A}".repeat(count)}` },
      { A: "s".repeat(length) },
    );
  expect(problemOf(1_000, 1_000)).toBeNull();
  expect(problemOf(1_001, 1)).toContain("may refer to the environment 1000 times");
  expect(problemOf(1_000, 1_000_000)).toContain("at most 2000000 characters");
});
