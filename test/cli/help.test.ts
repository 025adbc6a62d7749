/** Every command explains its options with examples, and says what to do when it is misused. */

import { afterAll, describe, expect, test } from "vitest";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox.close());

const commands = [
  ...["serve", "emit", "listen", "check", "test", "simulate", "apply", "explain", "windows", "completion"],
  ...["events ls", "events tail", "events count"],
  ...["automations ls", "automations show", "automations pause", "automations resume", "automations rm"],
  ...["deliveries ls", "deliveries show", "deliveries redeliver"],
  ...["keys create", "keys ls", "keys revoke", "keys forget", "keys new-token"],
];

describe("the help", () => {
  test.each(commands)("of %s has examples, and shows no default as raw JSON", async (name) => {
    const { code, stdout } = await sandbox.output([...name.split(" "), "--help"]);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/default: (?:\{|\[)/);
    expect(stdout).toContain("Examples:\n");
  });

  test("is shown by tripline alone, by a group alone and by tripline help", async () => {
    const alone = await sandbox.output([]);
    expect(alone).toMatchObject({ code: 0, stderr: "" });
    expect(alone.stdout).toContain("First steps");
    const group = await sandbox.output(["events"]);
    expect(group).toMatchObject({ code: 0, stdout: expect.stringContaining("tail") });
    expect((await sandbox.output(["help", "emit"])).stdout).toBe(
      (await sandbox.output(["emit", "--help"])).stdout,
    );
  });
});

describe("a misused command", () => {
  test.each([
    [["emti"], "Did you mean emit?"],
    [["events", "tial"], "Did you mean tail?"],
    [["emit", "--evnt", "a"], "Did you mean --event?"],
    [["events", "ls", "--limit", "many"], "Expected a whole number"],
    [["events", "ls", "--last", "soon"], "Expected a duration"],
    [["events", "ls", "--since", "1h", "--last", "1h"], "cannot be used with"],
    [["windows", "--output", "xml"], "table"],
    [["completion", "csh"], "bash, zsh, fish"],
  ])("exits with 2 and says what to do: %j", async (words, says) => {
    const { code, stdout, stderr } = await sandbox.output(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/Run tripline .*--help/);
  });
});
