/**
 * `npm run prefect:setup` installs Prefect's client and schemathesis into a virtual environment, and old versions of the
 * client into environments beside it. `npm run prefect:check` does the same, then runs the tests that use them.
 * `npm test` runs those tests if the environments exist.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const environment = resolve(root, process.env["TRIPLINE_PREFECT_VENV"] ?? ".tripline/prefect-venv");
const bin = join(environment, "bin");

/** Prefect 3, whose wire format Tripline speaks, and a fuzzer that reads OpenAPI documents. */
const packages = ["prefect>=3.8,<4", "schemathesis>=4,<5"];

/** The Pythons that a package runs on. */
interface Pythons {
  readonly oldest: readonly [number, number];
  readonly newest: readonly [number, number];
}

const prefect3: Pythons = { oldest: [3, 10], newest: [3, 99] };

/** Prefect 2 needs a version of pendulum that no newer Python can compile. */
const prefect2: Pythons = { oldest: [3, 8], newest: [3, 11] };

/** Without these, pip tries one version after the other. */
const shortcuts = ["fastapi<0.126", "kubernetes<37", "typer<0.29"];

/** Old clients, with the companions that they need in versions of their time. */
const oldClients: Readonly<Record<string, readonly string[]>> = {
  "2.9.0": ["pydantic<2", "griffe<1", "anyio<4", "sqlalchemy<2", "apprise<1.8", "cachetools", ...shortcuts],
  "2.10.21": ["pydantic<2", "griffe<1", "anyio<4", ...shortcuts],
  "2.20.4": [],
};

function setUp(): void {
  if (["prefect", "schemathesis"].every((program) => existsSync(join(bin, program)))) {
    console.log(
      `prefect and schemathesis are already in ${environment}. To reinstall them, delete that folder.`,
    );
  } else {
    const python = pythonFor(prefect3);
    if (python === null) {
      fail(
        `Python ${prefect3.oldest.join(".")} or newer is not on the PATH. Install it (on Debian: python3 and python3-venv).`,
      );
    }
    install(python, environment, packages);
  }
  for (const [version, companions] of Object.entries(oldClients)) {
    const folder = `${environment}-${version}`;
    if (existsSync(join(folder, "bin", "prefect"))) continue;
    const python = pythonFor(prefect2);
    if (python === null) {
      const newest = prefect2.newest.join(".");
      console.log(
        `Prefect ${version} needs Python ${newest} or older, and none is on the PATH. Its tests are skipped.`,
      );
    } else install(python, folder, [`prefect==${version}`, ...companions]);
  }
}

function install(python: string, folder: string, names: readonly string[]): void {
  console.log(`Installing ${names.join(" and ")} into ${folder}. This takes a few minutes.`);
  // A folder that is there is one that could not be completed.
  run(python, "-m", "venv", "--clear", folder);
  run(
    join(folder, "bin", "python"),
    "-m",
    "pip",
    "install",
    "--disable-pip-version-check",
    "--quiet",
    ...names,
  );
}

function pythonFor({ oldest, newest }: Pythons): string | null {
  const named = [11, 10, 9, 8].map((minor) => `python3.${minor}`);
  const test = `import sys; sys.exit(not ((${oldest.join()}) <= sys.version_info[:2] <= (${newest.join()})))`;
  const fits = (python: string) => spawnSync(python, ["-c", test], { stdio: "ignore" }).status === 0;
  return ["python3", "python", ...named].find(fits) ?? null;
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
