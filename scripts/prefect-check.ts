/**
 * `npm run prefect:setup` installs Prefect's own client, and schemathesis, into a virtual environment of their own;
 * `npm run prefect:check` does so and runs what is tested with them. `npm test` uses the environment where there is one.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const environment = resolve(root, process.env["TRIPLINE_PREFECT_VENV"] ?? ".tripline/prefect-venv");
const bin = join(environment, "bin");

/** What is tested with: Prefect 3 as of the wire contract, and a fuzzer that reads OpenAPI. */
const packages = ["prefect>=3.8,<4", "schemathesis>=4,<5"];

/** Prefect 3 runs on these. */
const oldestPython = [3, 10] as const;

function setUp(): void {
  const isThere = ["prefect", "schemathesis"].every((program) => existsSync(join(bin, program)));
  if (isThere) {
    console.log(`prefect and schemathesis are in ${environment}; remove that folder to install them anew.`);
    return;
  }
  const python = ["python3", "python"].find(isNewEnough);
  if (python === undefined) {
    fail(
      `No Python ${oldestPython.join(".")} or newer is on the PATH. Install it (on Debian: python3 and python3-venv).`,
    );
  }
  console.log(`Installing ${packages.join(" and ")} into ${environment}; this takes some minutes.`);
  run(python, "-m", "venv", environment);
  run(join(bin, "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", ...packages);
}

function isNewEnough(python: string): boolean {
  const test = `import sys; sys.exit(sys.version_info < (${oldestPython.join(", ")}))`;
  return spawnSync(python, ["-c", test], { stdio: "ignore" }).status === 0;
}

function run(program: string, ...parameters: string[]): void {
  const { status, error } = spawnSync(program, parameters, { cwd: root, stdio: "inherit" });
  if (status !== 0)
    fail(
      `That failed${error === undefined ? "" : ` (${error.message})`}: ${program} ${parameters.join(" ")}`,
    );
}

function fail(remedy: string): never {
  console.error(
    `${remedy}\nWithout them, the tests with Prefect's own client are skipped; everything else runs.`,
  );
  process.exit(1);
}

const [command] = process.argv.slice(2);
setUp();
if (command === "check")
  run(process.execPath, "node_modules/vitest/vitest.mjs", "run", "test/prefect", "test/fuzz");
