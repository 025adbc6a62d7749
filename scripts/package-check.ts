/**
 * Checks the npm package before a release: publint, Are The Types Wrong, and the tests of the installed package on
 * every supported Node. Downloads the tools and the versions of Node, so it needs the network and a few minutes.
 *
 * Run: npm run package:check
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
/** The oldest that `engines` allows, and the newest of each line. */
const nodeVersions = ["22.16.0", "22", "24", "26"];
// Not dependencies: they are needed here alone, and Are The Types Wrong brings a TypeScript of its own.
const publint = "publint@0.3.25";
const typesWrong = "@arethetypeswrong/cli@0.18.5";

const folder = mkdtempSync(join(tmpdir(), "tripline-package-check-"));
try {
  run("npm", ["run", "build"]);
  run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder]);
  const tarball = join(folder, readdirSync(folder)[0] ?? "");
  run("npm", ["exec", "--yes", `--package=${publint}`, "--", "publint", "run", "--strict", tarball]);
  // The package is ES modules only. Every supported Node lets CommonJS require them, which this rule does not know.
  const rules = ["--ignore-rules", "cjs-resolves-to-esm"];
  run("npm", ["exec", "--yes", `--package=${typesWrong}`, "--", "attw", tarball, ...rules]);
  run("npx", ["vitest", "run", "test/package/package.test.ts"], {
    TRIPLINE_PACKAGE_NODES: nodeVersions.join(),
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a command and ends this program if the command fails. */
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
