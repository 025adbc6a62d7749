/** Completion, run in the real shells where they are installed. */

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi, type TestApi } from "../api/support.ts";
import { root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
let api: TestApi;

beforeAll(async () => {
  api = await startApi();
  for (const name of ["Pump went quiet", "Vent opened"]) {
    const body = JSON.stringify({ name, trigger: { expect: ["a"] }, actions: [] });
    const headers = { "Content-Type": "application/json" };
    const { status } = await fetch(`${api.url}/api/automations/`, { method: "POST", headers, body });
    expect(status).toBe(201);
  }
  mkdirSync(join(sandbox.folder, "bin"));
  symlinkSync(join(root, "bin", "tripline"), join(sandbox.folder, "bin", "tripline"));
});

afterAll(async () => {
  await sandbox.close();
  await api.stop();
});

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
  expect(complete("auto")).toEqual(["automations"]);
  expect(complete("automations", "")).toEqual(["--help", "ls", "pause", "resume", "rm", "show"]);
  expect(complete("automations", "ls", "--o")).toEqual(["--output"]);
  expect(complete("automations", "ls", "--output", "")).toEqual(["json", "table", "yaml"]);
  // An option's value is not a command, so the options of `events ls` still follow.
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

describe("completion of names", () => {
  // This must not block: the server that it asks runs in this process.
  async function run(shell: string, program: string, url: string): Promise<string[]> {
    const env = { PATH: `${join(sandbox.folder, "bin")}:${process.env["PATH"]}`, TRIPLINE_API_URL: url };
    const child = spawn(shell, ["-c", program], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(stderr).toBe("");
    return stdout.split("\n").filter((line) => line !== "");
  }
  const bash = async (current: string, url = `${api.url}/api`, line = "tripline windows ") =>
    run(
      "bash",
      `source '${await script("bash")}'; COMP_WORDS=(tripline windows '${current}'); COMP_CWORD=2; ` +
        `COMP_LINE='${line}'; _tripline; printf '%s\\n' "\${COMPREPLY[@]}"`,
      url,
    );

  test.skipIf(!has("bash"))("asks the server in bash, even for a half-typed or quoted name", async () => {
    expect(await bash("")).toEqual(expect.arrayContaining(["Pump went quiet", "Vent opened"]));
    expect(await bash("Pump\\ w")).toEqual(["Pump went quiet"]);
    expect(await bash('"Vent o')).toEqual(["Vent opened"]);
  });

  test.skipIf(!has("bash"))("asks the server given with --url", async () => {
    const line = `tripline windows --url ${api.url}/api P`;
    expect(await bash("P", "http://127.0.0.1:9/api", line)).toEqual(["Pump went quiet"]);
  });

  test.skipIf(!has("bash"))("prints nothing when no server answers", async () => {
    expect(await bash("P", "http://127.0.0.1:9/api")).toEqual([]);
    const values = await sandbox.output(["completion-values", "keys"], { REDIS_URL: "redis://127.0.0.1:9" });
    expect(values).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test.skipIf(!has("fish"))("asks the server in fish, for arguments and option values", async () => {
    const complete = async (line: string) =>
      run("fish", `source '${await script("fish")}'; complete -C '${line}'`, `${api.url}/api`);
    expect(await complete("tripline windows P")).toEqual(["Pump went quiet"]);
    expect(await complete("tripline events ls --output j")).toEqual([expect.stringMatching(/^json\b/)]);
    expect(await complete("tripline explain -a V")).toEqual([expect.stringMatching(/^Vent opened\b/)]);
  });
});
