/**
 * Mutation testing of bounds: raises each limit of a part a thousandfold, in turn, and checks whether a test fails.
 *
 * Stryker changes no numbers, and a bound that no longer bounds is invisible until a machine runs out of memory. A bound is
 * a constant at the top of a file whose name ends in `Max`. The tests that run are those of the folder that mirrors the
 * file's; then those of the whole part.
 *
 * A bound that survives may be a matter of taste (how many lines a table shows) or only make something slow. Then a test is
 * not worth its time. The files are changed in place, one at a time, and restored.
 *
 * Run: npm run mutate -- PART [FILE ...] --bounds
 */

import { spawnSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A test that goes up to its bound may run forever, which counts as noticing. */
const testMsMax = 300_000;

interface Bound {
  readonly path: string;
  readonly line: number;
  readonly name: string;
  /** The file with the bound raised. */
  readonly mutated: string;
}

/** @param paths of sources, below `root` */
export function mutateBounds(root: string, paths: readonly string[]): void {
  const bounds = paths.flatMap((path) => boundsIn(root, path));
  const survivors = bounds.filter((bound) => survives(root, bound));
  console.log(
    `\n${bounds.length} bounds raised: ${bounds.length - survivors.length} noticed by a test, not noticed:`,
  );
  for (const { path, line, name } of survivors) console.log(`  ${path}:${line} ${name}`);
}

const boundPattern = /^(?:export )?const (\w+Max)(?:: \w+)? = ([\w. *]+);/gm;

function boundsIn(root: string, path: string): Bound[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(boundPattern)].map(({ 0: statement, 1: name = "", 2: value = "", index }) => ({
    path,
    line: text.slice(0, index).split("\n").length,
    name,
    mutated: text.replace(statement, statement.replace(`= ${value};`, `= 1_000 * ${value};`)),
  }));
}

function survives(root: string, { path, line, name, mutated }: Bound): boolean {
  const original = readFileSync(join(root, path), "utf8");
  const restore = () => writeFileSync(join(root, path), original);
  const stop = () => {
    restore();
    process.exit(130);
  };
  process.once("SIGINT", stop);
  writeFileSync(join(root, path), mutated);
  try {
    const isNoticed = testFoldersOf(root, path).some((folder) => !passes(root, folder));
    console.log(`${isNoticed ? "noticed    " : "NOT NOTICED"}  ${path}:${line} ${name}`);
    return !isNoticed;
  } finally {
    restore();
    process.off("SIGINT", stop);
  }
}

function passes(root: string, folder: string): boolean {
  const vitest = join(root, "node_modules", ".bin", "vitest");
  const options = { cwd: root, timeout: testMsMax, killSignal: "SIGKILL" } as const;
  return spawnSync(vitest, ["run", folder, "--bail=1"], options).status === 0;
}

/** For `src/api/sockets/peer.ts`: `test/api/sockets`, then `test/api`. Those without tests are left out. */
function testFoldersOf(root: string, path: string): string[] {
  const folder = dirname(path).replace(/^src/, "test");
  const [, part = ""] = folder.split("/");
  return [...new Set([folder, join("test", part)])].filter(
    (each) => globSync(`${each}/**/*.test.ts`, { cwd: root }).length > 0,
  );
}
