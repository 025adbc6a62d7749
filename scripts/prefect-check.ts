/**
 * `npm run prefect:setup` installs Prefect's client and schemathesis into a virtual environment.
 * `npm run prefect:check` does the same, then runs the tests that use them. `npm test` runs those tests if the
 * environment exists.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const environment = resolve(root, process.env["TRIPLINE_PREFECT_VENV"] ?? ".tripline/prefect-venv");
const bin = join(environment, "bin");

/** Prefect 3, whose wire format Tripline speaks, and a fuzzer that reads OpenAPI documents. */
const packages = ["prefect>=3.8,<4", "schemathesis>=4,<5"];

/** The oldest Python that Prefect 3 supports. */
const oldestPython = [3, 10] as const;

function setUp(): void {
  const isInstalled = ["prefect", "schemathesis"].every((program) => existsSync(join(bin, program)));
  if (isInstalled) {
    console.log(
      `prefect and schemathesis are already in ${environment}. To reinstall them, delete that folder.`,
    );
    return;
  }
  const python = ["python3", "python"].find(isNewEnough);
  if (python === undefined) {
    fail(
      `Python ${oldestPython.join(".")} or newer is not on the PATH. Install it (on Debian: python3 and python3-venv).`,
    );
  }
  console.log(`Installing ${packages.join(" and ")} into ${environment}. This takes a few minutes.`);
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
      `Command failed${error === undefined ? "" : ` (${error.message})`}: ${program} ${parameters.join(" ")}`,
    );
}

function fail(remedy: string): never {
  console.error(
    `${remedy}\nWithout these packages, the tests that use Prefect's client are skipped. All other tests run.`,
  );
  process.exit(1);
}

const [command] = process.argv.slice(2);
setUp();
if (command === "check")
  run(process.execPath, "node_modules/vitest/vitest.mjs", "run", "test/prefect", "test/fuzz");
