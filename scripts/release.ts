/**
 * Prepares a release: checks the tree, sets the version, dates the "Unreleased" section of CHANGELOG.md, runs the
 * checks, commits and tags. It never pushes and never publishes: it prints the commands that do.
 *
 * Run: npm run release -- 1.2.3
 */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = process.cwd();
const [version = ""] = process.argv.slice(2);
const changelogPath = join(root, "CHANGELOG.md");
const tag = `v${version}`;

const current = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
if (!/^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/.test(version)) {
  refuse(`Specify the new version: npm run release -- 1.2.3. The current version is ${current}.`);
}
if (git("status", "--porcelain") !== "") refuse("There are uncommitted changes. Commit or stash them first.");
const branch = git("rev-parse", "--abbrev-ref", "HEAD");
if (branch !== "main") refuse(`The current branch is ${branch}. Releases are made from main.`);
if (git("tag", "--list", tag) !== "") refuse(`The tag ${tag} already exists. Choose another version.`);

const changelog = readFileSync(changelogPath, "utf8");
const unreleased = /^## Unreleased\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(changelog);
if (unreleased === null || (unreleased[1] ?? "").trim() === "") {
  refuse('The "Unreleased" section of CHANGELOG.md is empty. Describe there what changes for users.');
}

const today = new Date().toISOString().slice(0, 10);
const released = `## Unreleased\n\n## ${version} (${today})\n\n${(unreleased[1] ?? "").trim()}\n\n`;
writeFileSync(
  changelogPath,
  changelog
    .replace(unreleased[0], () => released)
    .trimEnd()
    .concat("\n"),
);
run("npm", "version", version, "--no-git-tag-version", "--allow-same-version");
// The tagged commit has passed the checks, with its new version.
const checks = [
  ["npm", "test"],
  ["npm", "run", "package:check"],
] as const;
for (const [program, ...words] of checks) {
  if (!succeeds(program, ...words)) {
    git("checkout", "--", ".");
    refuse(`"${[program, ...words].join(" ")}" failed. The version and CHANGELOG.md were restored.`);
  }
}
run("git", "commit", "--all", "--message", `Release ${version}`);
run("git", "tag", "--annotate", tag, "--message", `Tripline ${version}`);

console.log(`
${tag} is committed and tagged locally. To publish it:

  git push origin main ${tag}
  npm publish        # in a CI job that may sign provenance; elsewhere add --provenance=false
`);

function git(...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("git", words, { cwd: root, encoding: "utf8" });
  if (status !== 0) refuse(`git ${words.join(" ")} failed: ${stderr.trim()}`);
  return stdout.trim();
}

function run(program: string, ...words: readonly string[]): void {
  if (!succeeds(program, ...words)) refuse(`${[program, ...words].join(" ")} failed.`);
}

function succeeds(program: string, ...words: readonly string[]): boolean {
  return spawnSync(program, words, { cwd: root, stdio: "inherit" }).status === 0;
}

function refuse(reason: string): never {
  console.error(reason);
  process.exit(1);
}
