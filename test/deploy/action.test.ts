/** Runs the steps of the GitHub Action as a runner does, except for installing the package. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../cli/support.ts";

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly default: string; readonly description: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}

const action = parse(readFileSync(join(root, "action.yml"), "utf8")) as Action;
const folder = mkdtempSync(join(tmpdir(), "tripline-action-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a step of the action in a folder with rules, as a runner does: bash that stops at the first failure. */
function runStep(name: string, inputs: Readonly<Record<string, string>> = {}) {
  const step = action.runs.steps.find((candidate) => candidate.name === name);
  const values = Object.entries(step?.env ?? {}).map(([variable, value]) => {
    const filled = value.replaceAll(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_, input: string) => {
      const known = action.inputs[input];
      if (known === undefined) throw new Error(`${name} uses an input that is not declared: ${input}`);
      return inputs[input] ?? known.default;
    });
    return [variable, filled] as const;
  });
  const { status, stdout, stderr } = spawnSync(
    "bash",
    ["--noprofile", "--norc", "-eo", "pipefail", "-c", step?.run ?? "exit 99"],
    {
      cwd: folder,
      encoding: "utf8",
      env: { ...Object.fromEntries(values), PATH: `${join(root, "bin")}:${process.env["PATH"]}`, CI: "true" },
    },
  );
  return { status, output: `${stdout}${stderr}` };
}

interface Matcher {
  readonly owner: string;
  readonly severity: string;
  readonly pattern: readonly Readonly<Record<string, number | string>>[];
}

/** The annotations that a runner would make from the output of a step. */
function annotationsIn(text: string): Record<string, string>[] {
  const path = join(root, "deploy", "github-action", "problem-matcher.json");
  const { problemMatcher } = JSON.parse(readFileSync(path, "utf8")) as { problemMatcher: Matcher[] };
  const lines = text.split("\n");
  return problemMatcher.flatMap(({ severity, pattern }) =>
    lines.flatMap((_, start) => {
      const annotation: Record<string, string> = { severity };
      for (const [offset, { regexp, ...groups }] of pattern.entries()) {
        const match = new RegExp(String(regexp)).exec(lines[start + offset] ?? "");
        if (match === null) return [];
        for (const [field, group] of Object.entries(groups)) annotation[field] = match[Number(group)] ?? "";
      }
      return [annotation];
    }),
  );
}

const write = (name: string, text: string): void => {
  mkdirSync(join(folder, "rules"), { recursive: true });
  writeFileSync(join(folder, "rules", name), text);
};

const rule = `name: pump-stopped
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions: [{type: do-nothing}]
`;
const cases = (time: string): string => `cases:
  - name: a pump that stops is reported
    steps:
      - {at: 1m, event: pump.stopped, resource: pump.1}
    expect:
      - {at: ${time}}
`;

describe("the GitHub Action", () => {
  test("passes valid rules whose tests pass, without annotations", () => {
    write("pump.yaml", rule);
    write("pump.test.yaml", cases("1m"));
    for (const step of ["Check rules", "Test rules"]) {
      const { status, output } = runStep(step);
      expect({ status, output }).toMatchObject({ status: 0 });
      expect(annotationsIn(output)).toEqual([]);
    }
    expect(runStep("Check rules", { rules: "\nrules/pump.yaml\nrules\n", strict: "true" }).status).toBe(0);
  });

  test("annotates each mistake at its line", () => {
    write("pump.yaml", rule.replace("expect", "expct"));
    const { status, output } = runStep("Check rules");
    expect(status).toBe(1);
    expect(annotationsIn(output)).toContainEqual({
      severity: "error",
      file: "rules/pump.yaml",
      line: "2",
      column: "30",
      message: "unknown key `expct`; did you mean `expect`?",
    });
  });

  test("annotates warnings, and fails because of them only if strict is set", () => {
    write("pump.yaml", rule.replace("expect: [pump.stopped], ", ""));
    const { status, output } = runStep("Check rules");
    expect(status).toBe(0);
    const [first] = annotationsIn(output);
    expect(first).toMatchObject({ severity: "warning", file: "rules/pump.yaml", line: "2" });
    expect(annotationsIn(output).map(({ severity }) => severity)).not.toContain("error");
    expect(runStep("Check rules", { strict: "true" }).status).toBe(1);
  });

  test("annotates a failing case at its place", () => {
    write("pump.yaml", rule);
    write("pump.test.yaml", cases("2m"));
    const { status, output } = runStep("Test rules");
    expect(status).toBe(1);
    expect(annotationsIn(output)).toContainEqual({
      severity: "error",
      file: "rules/pump.test.yaml",
      line: "2",
      column: "5",
      message: "a pump that stops is reported",
    });
  });
});
