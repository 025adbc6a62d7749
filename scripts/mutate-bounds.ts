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

import { spawn } from "node:child_process";
import { once } from "node:events";
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
export async function mutateBounds(root: string, paths: readonly string[]): Promise<void> {
  const bounds = paths.flatMap((path) => boundsIn(root, path));
  const survivors: Bound[] = [];
  for (const bound of bounds) if (await survives(root, bound)) survivors.push(bound);
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

async function survives(root: string, { path, line, name, mutated }: Bound): Promise<boolean> {
  const original = readFileSync(join(root, path), "utf8");
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on("SIGINT", stop);
  writeFileSync(join(root, path), mutated);
  try {
    let isNoticed = false;
    for (const folder of testFoldersOf(root, path)) {
      isNoticed ||= !(await passes(root, folder, stopping.signal));
    }
    console.log(`${isNoticed ? "noticed    " : "NOT NOTICED"}  ${path}:${line} ${name}`);
    return !isNoticed;
  } finally {
    writeFileSync(join(root, path), original);
    process.off("SIGINT", stop);
  }
}

/** @throws AbortError when it is stopped */
async function passes(root: string, folder: string, signal: AbortSignal): Promise<boolean> {
  const vitest = join(root, "node_modules", ".bin", "vitest");
  const options = { cwd: root, timeout: testMsMax, killSignal: "SIGKILL", signal, stdio: "ignore" } as const;
  const [status] = await once(spawn(vitest, ["run", folder, "--bail=1"], options), "exit");
  return status === 0;
}

/** For `src/api/sockets/peer.ts`: `test/api/sockets`, then `test/api`. Those without tests are left out. */
function testFoldersOf(root: string, path: string): string[] {
  const folder = dirname(path).replace(/^src/, "test");
  const [, part = ""] = folder.split("/");
  return [...new Set([folder, join("test", part)])].filter(
    (each) => globSync(`${each}/**/*.test.ts`, { cwd: root }).length > 0,
  );
}
