/** Rules mounted by Kubernetes: links into a folder that is replaced as a whole. */

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { logLines, Sandbox } from "../cli/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const sandbox = new Sandbox();
const mount = mkdtempSync(join(tmpdir(), "tripline-configmap-"));
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
  rmSync(mount, { recursive: true, force: true });
});

let version = 0;

/** Does what the kubelet does: writes a new folder, then switches the link `..data` to it. */
function mountFiles(files: Readonly<Record<string, string>>): void {
  version += 1;
  const folder = join(mount, `..version-${version}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  symlinkSync(`..version-${version}`, join(mount, "..data_tmp"));
  renameSync(join(mount, "..data_tmp"), join(mount, "..data"));
  for (const name of Object.keys(files)) {
    if (version === 1) symlinkSync(join("..data", name), join(mount, name));
  }
  rmSync(join(mount, `..version-${version - 1}`), { recursive: true, force: true });
}

const rule = (name: string) => `name: ${name}
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions: [{type: do-nothing}]
`;

test("a changed ConfigMap applies without a restart", async () => {
  mountFiles({ "pump.yaml": rule("pump-stopped") });
  const server = await sandbox.serve(redis.url, ["--rules", mount]);
  const names = async () => {
    const answer = await fetch(`${server.api}/automations/filter`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    return ((await answer.json()) as { name: string }[]).map(({ name }) => name);
  };
  expect(await names()).toEqual(["pump-stopped"]);
  mountFiles({ "pump.yaml": rule("pump-halted") });
  await server.process.until(
    () => logLines(server.process).filter(({ msg }) => msg === "Rules applied").length === 2,
  );
  expect(await names()).toEqual(["pump-halted"]);
}, 60_000);
