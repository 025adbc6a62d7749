/** `npm run release`, in a temporary repository whose checks take no time. */

import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = resolve(import.meta.dirname, "../../scripts/release.ts");
const changelog = "# Changes\n\n## Unreleased\n\n- Pumps stop.\n\n## 0.1.0\n\nThe first version.\n";
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tripline-release-"));
  writeFileSync(join(folder, "CHANGELOG.md"), changelog);
  writeManifest("true");
  git("init", "--quiet", "--initial-branch", "main");
  git("config", "user.name", "Greenhouse");
  git("config", "user.email", "greenhouse@example.org");
  git("add", ".");
  git("commit", "--quiet", "--message", "Begin");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("release sets the version, dates the changelog, commits, tags, and only prints how to publish", () => {
  const { status, stdout } = release("0.2.0");
  expect(status).toBe(0);
  expect(git("log", "--format=%s")).toBe("Release 0.2.0\nBegin\n");
  expect(git("tag", "--list")).toBe("v0.2.0\n");
  expect(git("status", "--porcelain")).toBe("");
  expect(JSON.parse(read("package.json"))).toMatchObject({ version: "0.2.0" });
  expect(read("CHANGELOG.md")).toMatch(
    /^# Changes\n\n## Unreleased\n\n## 0\.2\.0 \(\d{4}-\d\d-\d\d\)\n\n- Pumps stop\.\n\n## 0\.1\.0\n\nThe first version\.\n$/,
  );
  expect(stdout).toContain("git push origin main v0.2.0");
});

test.each([
  {
    reason: "a dirty tree",
    refusal: "uncommitted changes",
    prepare: () => appendFileSync(join(folder, "CHANGELOG.md"), "x"),
  },
  {
    reason: "another branch",
    refusal: "Releases are made from main",
    prepare: () => git("checkout", "--quiet", "-b", "pumps"),
  },
  {
    reason: "an existing tag",
    refusal: "The tag v0.2.0 already exists",
    prepare: () => git("tag", "v0.2.0"),
  },
  {
    reason: "an empty Unreleased section",
    refusal: "is empty",
    prepare: () => {
      writeFileSync(join(folder, "CHANGELOG.md"), changelog.replace("- Pumps stop.\n\n", ""));
      git("commit", "--quiet", "--all", "--message", "Say nothing");
    },
  },
  {
    reason: "failing checks",
    refusal: '"npm test" failed',
    prepare: () => {
      writeManifest("false");
      git("commit", "--quiet", "--all", "--message", "Break a test");
    },
  },
])("release refuses $reason and changes nothing", ({ refusal, prepare }) => {
  prepare();
  const before = [git("rev-parse", "HEAD"), git("status", "--porcelain"), git("tag", "--list")];
  const { status, stderr } = release("0.2.0");
  expect(stderr).toContain(refusal);
  expect(status).toBe(1);
  expect([git("rev-parse", "HEAD"), git("status", "--porcelain"), git("tag", "--list")]).toEqual(before);
});

test("release refuses an invalid version", () => {
  expect(release("soon").stderr).toContain("npm run release -- 1.2.3. The current version is 0.1.0");
});

function release(version: string) {
  return spawnSync(process.execPath, [script, version], { cwd: folder, encoding: "utf8" });
}

function git(...words: readonly string[]): string {
  return spawnSync("git", words, { cwd: folder, encoding: "utf8" }).stdout;
}

function writeManifest(check: string): void {
  const scripts = { test: check, "package:check": "true" };
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "greenhouse", version: "0.1.0", scripts }),
  );
}

function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}
