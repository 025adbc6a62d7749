/**
 * Checks the npm package before a release: publint, Are The Types Wrong, and the tests of the installed package on
 * every supported Node. It downloads these tools and Node versions, so it needs network access and a few minutes.
 *
 * Run: npm run package:check
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
/** The oldest version that `engines` allows, and the newest of each supported major. */
const nodeVersions = ["22.16.0", "22", "24", "26"];
// Not dependencies: only this script needs them, and Are The Types Wrong brings its own TypeScript.
const publint = "publint@0.3.25";
const typesWrong = "@arethetypeswrong/cli@0.18.5";

const folder = mkdtempSync(join(tmpdir(), "tripline-package-check-"));
try {
  run("npm", ["run", "build"]);
  run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder]);
  const tarball = join(folder, readdirSync(folder)[0] ?? "");
  run("npm", ["exec", "--yes", `--package=${publint}`, "--", "publint", "run", "--strict", tarball]);
  // The package has only ES modules. Every supported Node can require() them, which this rule does not consider.
  const rules = ["--ignore-rules", "cjs-resolves-to-esm"];
  run("npm", ["exec", "--yes", `--package=${typesWrong}`, "--", "attw", tarball, ...rules]);
  run("npx", ["vitest", "run", "test/package/package.test.ts"], {
    TRIPLINE_PACKAGE_NODES: nodeVersions.join(),
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a command. Exits if the command fails. */
function run(program: string, words: readonly string[], env: Record<string, string> = {}): void {
  console.log(`\n> ${[program, ...words].join(" ")}`);
  const { status } = spawnSync(program, words, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  if (status === 0) return;
  rmSync(folder, { recursive: true, force: true });
  process.exit(status ?? 1);
}
