import { describe, expect, test } from "vitest";
import { type CheckOptions, checkRules } from "../../src/cli/check.ts";
import { RuleDirectory } from "./support.ts";

function check(files: Readonly<Record<string, string>>, options?: CheckOptions & { color?: boolean }) {
  const directory = new RuleDirectory();
  for (const [file, text] of Object.entries(files)) directory.write(file, text);
  let printed = "";
  const stdout = { write: (text: string) => (printed += text) };
  const io = { stdout, env: {}, cwd: directory.path, color: options?.color ?? false };
  const exitCode = checkRules(["."], io, options);
  directory.remove();
  return { exitCode, printed };
}

const trigger = "trigger: { expect: [pump.failed] }\nactions: [{ type: do-nothing }]\n";
const good = { "a.yaml": `name: a\n${trigger}---\nname: b\n${trigger}` };
const odd = { "a.yaml": `name: a\n${trigger.replace("]", "], threshold: 0")}` };
const bad = {
  ...good,
  "deep/c.yaml": "name: c\ntriger: {}\n",
  "deep/d.yaml": "name: a\ntrigger: {}\ntags: x\n",
};

describe("tripline check", () => {
  test("prints the number of valid automations, and exits with 0", () => {
    expect(check(good)).toEqual({ exitCode: 0, printed: "2 automations in 1 file: no mistakes\n" });
  });

  test("prints every mistake of every file, and exits with 1", () => {
    expect(check(bad)).toEqual({
      exitCode: 1,
      printed: `deep/c.yaml:2:1: unknown key \`triger\`; did you mean \`trigger\`?
deep/d.yaml:1:7: name "a" is taken by a.yaml:1:7; give one of them another name
deep/d.yaml:3:7: tags should be a list; found "x"; write it as a list: [x]
3 mistakes in 2 files
`,
    });
  });

  test("prints JSON for other programs", () => {
    expect(JSON.parse(check(good, { json: true }).printed)).toEqual({
      files: ["a.yaml"],
      automations: ["a", "b"],
      diagnostics: [],
      warnings: [],
    });
    const { exitCode, printed } = check(bad, { json: true });
    expect(exitCode).toBe(1);
    expect(JSON.parse(printed).diagnostics[0]).toEqual({
      file: "deep/c.yaml",
      line: 2,
      column: 1,
      message: "unknown key `triger`; did you mean `trigger`?",
    });
  });

  test("prints warnings, and exits with 1 because of them only with --strict", () => {
    const { exitCode, printed } = check(odd);
    expect(exitCode).toBe(0);
    expect(printed).toMatch(
      /^a\.yaml:2:46: warning TL501: threshold 0 means 1.*; write 1, .*\n1 automation in 1 file: no mistakes, 1 warning\n$/,
    );
    expect(check(odd, { strict: true })).toEqual({ exitCode: 1, printed });
    expect(check(good, { strict: true }).exitCode).toBe(0);
  });

  test("prints warnings among mistakes, in reading order", () => {
    const { exitCode, printed } = check({ ...odd, "0.yaml": "name: c\n", "b.yaml": "name: d\n" });
    expect(exitCode).toBe(1);
    const places = printed.split("\n").map((line) => /^\S+:\d+:\d+: (warning )?/.exec(line)?.[0]);
    expect(places.slice(0, 3)).toEqual(["0.yaml:1:1: ", "a.yaml:2:46: warning ", "b.yaml:1:1: "]);
    expect(printed).toContain("\n2 mistakes in 2 files, 1 warning\n");
  });

  test("prints each field of a warning as JSON", () => {
    const [warning] = JSON.parse(check(odd, { json: true }).printed).warnings;
    expect(Object.keys(warning).sort()).toEqual([
      "automation",
      "code",
      "column",
      "file",
      "fix",
      "line",
      "reason",
    ]);
    expect(warning).toMatchObject({ file: "a.yaml", line: 2, column: 46, code: "TL501", automation: "a" });
  });

  test("prints colors only if they are wanted", () => {
    expect(check(good, { color: true }).printed).toContain("\u001b[32m");
    expect(check(bad).printed).not.toContain("\u001b");
  });
});
