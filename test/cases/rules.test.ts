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
    "include %s, which has a case that fires and one that does not",
    (name) => {
      const own = cases.filter((testCase) =>
        testCase.automations.some((automation) => automation.name === name),
      );
      const firings = own.map((testCase) =>
        runCase(testCase).firings.filter(({ automation }) => automation === name),
      );
      expect(firings.some((ofCase) => ofCase.length > 0)).toBe(true);
      expect(firings.some((ofCase) => ofCase.length === 0)).toBe(true);
    },
  );

  test("show every request that they make in a case", () => {
    const withRequests = new Set(
      cases.flatMap(({ expected }) =>
        expected
          .filter(({ requests }) => requests !== undefined)
          .map(({ automation, state }) => `${automation} ${state}`),
      ),
    );
    const withActions = automations.flatMap(({ name, actions, actions_on_resolve: onResolve }) => [
      ...(actions.length > 0 ? [`${name} Triggered`] : []),
      ...(onResolve.length > 0 ? [`${name} Resolved`] : []),
    ]);
    expect(withActions.filter((request) => !withRequests.has(request))).toEqual([]);
  });
});

// A runner that checks too little would pass everything above.
describe("a passing case fails", () => {
  const changes: readonly { what: string; change: (firing: ExpectedFiring) => readonly ExpectedFiring[] }[] =
    [
      { what: "without one of its firings", change: () => [] },
      { what: "with a firing listed twice", change: (firing) => [firing, firing] },
      { what: "with a firing a microsecond earlier", change: (firing) => [{ ...firing, at: firing.at - 1 }] },
      { what: "with a firing a microsecond later", change: (firing) => [{ ...firing, at: firing.at + 1 }] },
      {
        what: "without a firing's labels",
        change: (firing) => (Object.keys(firing.labels).length > 0 ? [{ ...firing, labels: {} }] : []),
      },
      { what: "with the opposite of late", change: (firing) => [{ ...firing, late: firing.late !== true }] },
      {
        what: "with another label",
        change: (firing) => [{ ...firing, labels: { ...firing.labels, other: "" } }],
      },
      {
        what: "with the other state",
        change: (firing) => [{ ...firing, state: firing.state === "Triggered" ? "Resolved" : "Triggered" }],
      },
      { what: "with another event", change: (firing) => [{ ...firing, event: "no such event" }] },
      {
        what: "with one more request",
        change: (firing) => [{ ...firing, requests: [...(firing.requests ?? [{}]), {}] }],
      },
      {
        what: "with another url",
        change: (firing) => [{ ...firing, requests: [{ url: "https://example.com/other" }] }],
      },
    ];

  test.each(changes)("$what", ({ change }) => {
    expect(diagnostics).toEqual([]);
    const wrong = cases.flatMap((testCase): Case[] =>
      testCase.expected.map((firing, index) => ({
        ...testCase,
        expected: testCase.expected.toSpliced(index, 1, ...change(firing)),
      })),
    );
    expect(wrong.length).toBeGreaterThan(20);
    expect(wrong.filter((testCase) => runCase(testCase).passed).map(({ name }) => name)).toEqual([]);
  });
});
