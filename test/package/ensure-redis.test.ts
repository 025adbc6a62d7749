/** Without redis-server, nothing is installed unless someone agrees. */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = resolve(import.meta.dirname, "../../scripts/ensure-redis.ts");
let folder = "";

// A machine with an apt-get that logs its arguments and "installs" redis-server.
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tripline-ensure-"));
  const lines = [
    "#!/bin/sh",
    `[ "$1" = --version ] || echo "$@" >> ${folder}/log`,
    `[ "$1" != install ] || { echo '#!/bin/sh' > ${folder}/redis-server; /bin/chmod +x ${folder}/redis-server; }`,
  ];
  writeFileSync(join(folder, "apt-get"), lines.join("\n"));
  writeFileSync(
    join(folder, "sudo"),
    '#!/bin/sh\n[ "$1" = -n ] && shift\n[ "$1" = --version ] || PATH=$PATH:/bin:/usr/bin exec "$@"\n',
  );
  chmodSync(folder, 0o777);
  for (const name of ["apt-get", "sudo"]) chmodSync(join(folder, name), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the script as an ordinary user, even if the tests run as root. */
function ensure(env: Record<string, string>) {
  const user = process.getuid?.() === 0 ? { uid: 65_534 } : {};
  const options = { encoding: "utf8", input: "", env: { PATH: folder, ...env }, ...user } as const;
  return spawnSync(process.execPath, [script], options);
}

const install = "apt-get install -y --no-install-recommends redis-server";

test("without a terminal, ensure-redis installs nothing and prints the command", () => {
  const { status, stderr } = ensure({});
  expect(status).toBe(1);
  expect(stderr).toContain(install);
  expect(() => readFileSync(join(folder, "log"))).toThrow("ENOENT");
});

test("in CI, ensure-redis prints what it installs and continues", () => {
  const { status, stdout } = ensure({ CI: "true" });
  expect(stdout).toContain(install);
  expect(status).toBe(0);
  expect(readFileSync(join(folder, "log"), "utf8")).toBe(
    "update\ninstall -y --no-install-recommends redis-server\n",
  );
});
