import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { testGroups } from "./groups.ts";
import { chooseSeed } from "./seed.ts";

const root = resolve(import.meta.dirname, "../..");

test("every test file is in one group: real if it starts servers or processes, otherwise fast", () => {
  const { fast, real } = testGroups();
  expect([...fast, ...real].sort()).toEqual(globSync("test/**/*.test.ts", { cwd: root }).sort());
  expect(fast).toEqual(expect.arrayContaining(["test/tidy.test.ts", "test/core/windows.test.ts"]));
  // The first starts its Redis itself, the second through a helper of its folder.
  expect(real).toEqual(expect.arrayContaining(["test/store/log.test.ts", "test/cli/serve.test.ts"]));
});

test("the seed comes from the commit, unless one is given", () => {
  const commit = spawnSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" });
  const fromCommit = Number.parseInt(commit.stdout.slice(0, 7), 16);
  expect(chooseSeed(undefined)).toBe(commit.status === 0 ? fromCommit : 20_261_123);
  expect(chooseSeed("7")).toBe(7);
  expect(() => chooseSeed("tomorrow")).toThrow("expected a whole number");
});
