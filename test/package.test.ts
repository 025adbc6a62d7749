/** The package as npm would publish it: installed, it serves, and its client works. */

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { logLines, root, Sandbox } from "./cli/support.ts";
import { startRedis, type TestRedis } from "./support/redis.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "tripline-package-"));
const installed = join(folder, "node_modules", "tripline");
const sandbox = new Sandbox();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
  const npm = { cwd: root, env: { ...process.env, npm_config_loglevel: "error" } };
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], npm);
  const [{ filename = "" } = {}] = JSON.parse(stdout.slice(stdout.indexOf("[\n"))) as { filename?: string }[];
  mkdirSync(installed, { recursive: true });
  await run("tar", ["-xzf", join(folder, filename), "-C", installed, "--strip-components=1"]);
  // The packages that it needs are those of this checkout: nothing is downloaded.
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (!name.startsWith("."))
      symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  }
}, 180_000);

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("says its version", async () => {
  const { stdout } = await run(process.execPath, [join(installed, "bin", "tripline.js"), "--version"]);
  expect(stdout).toBe("0.1.0\n");
});

// Compiled files lie elsewhere than the sources: scripts, workers and versions that they read must have come along.
test("serves, and its client emits and finds events", async () => {
  const history = `sqlite:${join(folder, "history.sqlite")}`;
  const words = ["serve", "--port", "0", "--redis", redis.url];
  const launcher = join(installed, "bin", "tripline.js");
  const server = sandbox.run(process.execPath, [launcher, ...words], { TRIPLINE_HISTORY_URL: history });
  const url = await server.until(
    () => logLines(server).find(({ msg }) => msg === "Tripline is running")?.["url"] as string | undefined,
  );
  const program = join(folder, "program.mjs");
  writeFileSync(
    program,
    `import { Tripline } from "tripline/client";
    const tripline = new Tripline({ url: process.argv[2] });
    const [{ id }] = await tripline.events.emit({ event: "pump.stopped", resource: { "prefect.resource.id": "pump.1" } });
    const { events } = await tripline.events.page();
    console.log(events.some((event) => event.id === id));`,
  );
  const { stdout } = await run(process.execPath, [program, `${url}/api`], { cwd: folder });
  expect(stdout).toBe("true\n");
  expect((await server.end()).code).toBe(0);
});

test("brings the client's types", async () => {
  const program = join(folder, "typed.ts");
  writeFileSync(
    program,
    `import { type ReceivedEvent, Tripline } from "tripline/client";
    const tripline = new Tripline();
    export async function names(): Promise<string[]> {
      const names: string[] = [];
      for await (const event of tripline.events.filter({ event: { prefix: ["pump."] } })) names.push((event satisfies ReceivedEvent).event);
      const { actions } = await tripline.automations.create({ name: "n", trigger: { expect: ["a"], within: "90s" }, actions: [] });
      for (const action of actions) if (action.type === "call-webhook") names.push(action.url ?? "");
      // @ts-expect-error: a trigger has no such posture
      await tripline.automations.create({ name: "n", trigger: { posture: "Patient" }, actions: [] });
      return names;
    }`,
  );
  const options = [
    "--strict",
    "--noEmit",
    "--target",
    "es2023",
    "--module",
    "nodenext",
    "--lib",
    "es2023,dom",
  ];
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const { stdout } = await run(tsc, [...options, "--types", "node", program], { cwd: folder }).catch(
    (error: { stdout: string }) => error,
  );
  expect(stdout).toBe("");
});
