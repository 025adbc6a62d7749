import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
const launcher = join(root, "bin", "tripline.js");
/** A Node of this machine that is too old to run TypeScript as it is. */
const oldNode = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "node"))
  .find((path) => existsSync(path) && majorOf(path) < 24);

afterAll(() => sandbox.close());

// What the launcher starts is a process of its own there, which must not outlive it.
describe.skipIf(oldNode === undefined)(
  "tripline on a Node older than 24 (skipped where the machine has none)",
  () => {
    const listen = async () => {
      const launched = sandbox.run(oldNode ?? "", [launcher, "listen", "--port", "0"]);
      const url = await launched.until(() => /http:\S+/.exec(launched.stdout)?.[0]);
      return { launched, url };
    };

    test("runs on the Node that the project brings, with its output and exit code", () => {
      const { status, stderr } = spawnSync(oldNode ?? "", [launcher, "emit"], { encoding: "utf8" });
      expect(stderr).toContain("Give --event NAME");
      expect(status).toBe(2);
    });

    test.each(["SIGTERM", "SIGINT"] as const)("passes %s on and waits for an orderly end", async (signal) => {
      const { launched, url } = await listen();
      expect(await launched.end(signal)).toEqual({ code: 0, signal: null });
      await expect(fetch(url)).rejects.toThrow();
    });

    test("leaves nothing running when it is killed", async () => {
      const { launched, url } = await listen();
      await launched.end("SIGKILL");
      while (
        await fetch(url).then(
          () => true,
          () => false,
        )
      )
        await new Promise((resolve) => setTimeout(resolve, 20));
    });
  },
);

function majorOf(node: string): number {
  return Number(/^v(\d+)/.exec(spawnSync(node, ["--version"], { encoding: "utf8" }).stdout)?.[1] ?? 0);
}
