/** `bin/tripline` runs the command in a clone, whatever Node the machine has. */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { launcher, root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
const folder = mkdtempSync(join(tmpdir(), "tripline-launcher-"));
// Stands in for a Node too old for TypeScript, which fails on the first line.
const oldNode = join(folder, "node");
writeFileSync(oldNode, "#!/bin/sh\necho 'SyntaxError: Unexpected token' >&2\nexit 1\n");
chmodSync(oldNode, 0o755);
const onOldNode = { ...process.env, PATH: `${folder}:/usr/bin:/bin` };

afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("bin/tripline", () => {
  test("runs on the Node that the project installs, and passes on its output and exit code", () => {
    const { status, stderr } = spawnSync(launcher, ["emit"], { encoding: "utf8", env: onOldNode });
    expect(stderr).toContain("with --event NAME");
    expect(status).toBe(2);
  });

  test("runs from any folder and through a symbolic link", () => {
    const link = join(folder, "tripline");
    symlinkSync(launcher, link);
    const { status, stdout } = spawnSync(link, ["check", join(root, "rules")], {
      cwd: folder,
      encoding: "utf8",
      env: onOldNode,
    });
    expect(status, stdout).toBe(0);
  });

  test("says how to install the project's packages when they are missing", () => {
    const clone = mkdtempSync(join(folder, "clone-"));
    spawnSync("cp", ["-R", join(root, "bin"), clone]);
    const { status, stderr } = spawnSync(join(clone, "bin", "tripline"), {
      encoding: "utf8",
      env: onOldNode,
    });
    expect(stderr).toBe(
      `tripline: the packages of this clone are missing. Run: npm ci --prefix '${clone}'\n`,
    );
    expect(status).toBe(1);
    spawnSync("mkdir", [join(clone, "node_modules")]);
    const withoutNode = spawnSync(join(clone, "bin", "tripline"), { encoding: "utf8", env: onOldNode });
    expect(withoutNode.stderr).toContain(
      "this clone needs Node 22.18 or newer to run TypeScript. Run: npm ci",
    );
    expect(withoutNode.status).toBe(1);
  });

  // The command replaces the launcher's process, so a signal to one reaches the other and neither outlives it.
  test.each(["SIGTERM", "SIGINT"] as const)("shuts down cleanly on %s", async (signal) => {
    const launched = sandbox.run(launcher, ["listen", "--port", "0"], {});
    const url = await launched.until(() => /http:\S+/.exec(launched.stdout)?.[0]);
    expect(await launched.end(signal)).toEqual({ code: 0, signal: null });
    await expect(fetch(url)).rejects.toThrow();
  });

  test("leaves nothing running when it is killed", async () => {
    const launched = sandbox.run(launcher, ["listen", "--port", "0"], {});
    const url = await launched.until(() => /http:\S+/.exec(launched.stdout)?.[0]);
    expect(await launched.end("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
    await expect(fetch(url)).rejects.toThrow();
  });
});
