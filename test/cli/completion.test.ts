/** Completion, in the shells themselves where this machine has them. */

import { spawnSync } from "node:child_process";
import { afterAll, expect, test } from "vitest";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox.close());

const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;

async function script(shell: string): Promise<string> {
  const { code, stdout } = await sandbox.output(["completion", shell]);
  expect(code).toBe(0);
  return sandbox.write(`completion.${shell}`, stdout);
}

test.skipIf(!has("bash"))("bash completes commands, subcommands, options and their values", async () => {
  const file = await script("bash");
  const complete = (...words: string[]): string[] => {
    const array = ["tripline", ...words].map((word) => `'${word}'`).join(" ");
    const program = `source '${file}'; COMP_WORDS=(${array}); COMP_CWORD=${words.length}; _tripline; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", program], { encoding: "utf8", cwd: sandbox.folder });
    expect(stderr).toBe("");
    return stdout.trim().split("\n").sort();
  };
  expect(complete("au")).toEqual(["automations"]);
  expect(complete("automations", "")).toEqual(["--help", "ls", "pause", "resume", "rm", "show"]);
  expect(complete("automations", "ls", "--o")).toEqual(["--output"]);
  expect(complete("automations", "ls", "--output", "")).toEqual(["json", "table", "yaml"]);
  // An option's value is no command, so what follows is still that of `events ls`.
  expect(complete("events", "ls", "--limit", "5", "--sin")).toEqual(["--since"]);
  sandbox.write("rules.yaml", "");
  sandbox.write("rules.txt", "");
  expect(complete("apply", "rul")).toEqual(["rules.yaml"]);
  expect(complete("emit", "compl")).toEqual(["completion.bash"]);
});

test("zsh and fish get a script that names every command and its options", async () => {
  for (const shell of ["zsh", "fish"]) {
    const { stdout } = await sandbox.output(["completion", shell]);
    for (const word of ["automations show", "deliveries redeliver", "dry-run", "prune"]) {
      expect(stdout).toContain(word);
    }
  }
  for (const shell of ["zsh", "fish"].filter(has)) {
    const { status, stderr } = spawnSync(shell, ["-n", await script(shell)], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  }
  expect(await sandbox.output(["completion", "csh"])).toMatchObject({ code: 2 });
});
