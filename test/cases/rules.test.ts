import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { Case, ExpectedFiring } from "../../src/cases/case.ts";
import { loadCases } from "../../src/cases/load-cases.ts";
import { runCase } from "../../src/cases/run-case.ts";
import { testRules } from "../../src/cli/test.ts";
import { loadRules } from "../../src/rules/load.ts";

const cwd = resolve(import.meta.dirname, "../..");
const options = { cwd };
const { cases, diagnostics } = loadCases(["rules"], options);
const { automations } = loadRules(["rules"], { ...options, workspace: "default", env: {}, now: 0 });

describe("the automations in rules/", () => {
  test("pass their cases", () => {
    let printed = "";
    const stream = { write: (text: string) => (printed += text) };
    const exitCode = testRules(["rules"], { stdout: stream, stderr: stream, cwd, color: false });
    expect(exitCode, printed).toBe(0);
  });

  test.each(automations.map(({ name }) => name))(
    "%s has a case that fires, and one that does not",
    (name) => {
      const own = cases.filter((one) => one.automations.some((automation) => automation.name === name));
      const firings = own.map((one) => runCase(one).firings.filter(({ automation }) => automation === name));
      expect(firings.some((ofCase) => ofCase.length > 0)).toBe(true);
      expect(firings.some((ofCase) => ofCase.length === 0)).toBe(true);
    },
  );

  test("show every request that they make in some case", () => {
    const shown = new Set(
      cases.flatMap(({ expected }) =>
        expected
          .filter(({ requests }) => requests !== undefined)
          .map(({ automation, state }) => `${automation} ${state}`),
      ),
    );
    const made = automations.flatMap(({ name, actions, actions_on_resolve: onResolve }) => [
      ...(actions.length > 0 ? [`${name} Triggered`] : []),
      ...(onResolve.length > 0 ? [`${name} Resolved`] : []),
    ]);
    expect(made.filter((request) => !shown.has(request))).toEqual([]);
  });
});

// A runner that is content with less than all would pass everything above.
describe("of a good case nothing can be changed", () => {
  const changes: readonly { what: string; change: (firing: ExpectedFiring) => readonly ExpectedFiring[] }[] =
    [
      { what: "a firing left out", change: () => [] },
      { what: "a firing twice", change: (firing) => [firing, firing] },
      { what: "a firing a microsecond earlier", change: (firing) => [{ ...firing, at: firing.at - 1 }] },
      { what: "a firing a microsecond later", change: (firing) => [{ ...firing, at: firing.at + 1 }] },
      {
        what: "its labels left out",
        change: (firing) => (Object.keys(firing.labels).length > 0 ? [{ ...firing, labels: {} }] : []),
      },
      { what: "the other lateness", change: (firing) => [{ ...firing, late: firing.late !== true }] },
      { what: "another label", change: (firing) => [{ ...firing, labels: { ...firing.labels, other: "" } }] },
      {
        what: "the other state",
        change: (firing) => [{ ...firing, state: firing.state === "Triggered" ? "Resolved" : "Triggered" }],
      },
      { what: "another event", change: (firing) => [{ ...firing, event: "no such event" }] },
      {
        what: "one request more",
        change: (firing) => [{ ...firing, requests: [...(firing.requests ?? [{}]), {}] }],
      },
      {
        what: "another url",
        change: (firing) => [{ ...firing, requests: [{ url: "https://example.com/other" }] }],
      },
    ];

  test.each(changes)("$what fails it", ({ change }) => {
    expect(diagnostics).toEqual([]);
    const wrong = cases.flatMap((one): Case[] =>
      one.expected.map((firing, index) => ({
        ...one,
        expected: one.expected.toSpliced(index, 1, ...change(firing)),
      })),
    );
    expect(wrong.length).toBeGreaterThan(20);
    expect(wrong.filter((one) => runCase(one).passed).map(({ name }) => name)).toEqual([]);
  });
});
