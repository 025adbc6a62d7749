/** The Lua scripts and the module generated from them. log.test.ts and test/contract test what each script does. */

import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { luaModuleText } from "../../scripts/write-lua.ts";

const folder = new URL("../../src/store/scripts/", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, folder), "utf8");
const files = globSync("*.lua", { cwd: folder }).sort();

test("the generated module matches the script files (npm run lua)", () => {
  expect(files.length).toBeGreaterThan(10);
  expect(read("generated.ts")).toBe(luaModuleText());
});

test.each(files)("%s begins with its KEYS, its ARGV and everything it can return", (file) => {
  const header = read(file).split("\n\n")[0] ?? "";
  expect(header).toMatch(/^-- [A-Z]/);
  if (header.startsWith("-- A fragment ")) return; // it gets arguments, not KEYS
  const blocks = read(file).split(/\n(?!--)/)[0] ?? "";
  expect(blocks).toMatch(/^-- KEYS {2}1 /m);
  expect(blocks).toMatch(/^-- Returns /m);
  if (/\bARGV\b/.test(read(file).replaceAll(/^--.*$/gm, ""))) expect(blocks).toMatch(/^-- ARGV {2}/m);
});
