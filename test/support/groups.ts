/**
 * Two groups of test files: `fast` files need only this process; `real` files start servers, databases or other
 * processes. A file's imports decide, so that no list can go stale.
 */

import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");

/** These need only this process, but they are too slow for `fast`. */
const slowFolders = ["test/simulation/", "test/history/"];

export interface TestGroups {
  readonly fast: readonly string[];
  readonly real: readonly string[];
}

/** Every test file, in exactly one group. */
export function testGroups(): TestGroups {
  const fast: string[] = [];
  const real: string[] = [];
  const known = new Map<string, boolean>();
  for (const path of globSync("test/**/*.test.ts", { cwd: root }).sort()) {
    const isSlow = slowFolders.some((folder) => path.startsWith(folder)) || startsProcess(path, known);
    (isSlow ? real : fast).push(path);
  }
  return { fast, real };
}

/** Whether a file, or a test helper that it imports, can start a process. */
function startsProcess(path: string, known: Map<string, boolean>): boolean {
  const answer = known.get(path);
  if (answer !== undefined) return answer;
  known.set(path, false); // Ends import cycles.
  const text = readFileSync(join(root, path), "utf8");
  const imports = [...text.matchAll(/\bfrom "([^"]+)"|\bimport\("([^"]+)"\)|^import "([^"]+)"/gm)].map(
    ([, named, dynamic, bare]) => named ?? dynamic ?? bare ?? "",
  );
  const starts = imports.some((specifier) => {
    if (specifier === "node:child_process") return true;
    if (!specifier.startsWith(".")) return false;
    const target = relative(root, resolve(root, dirname(path), specifier));
    return target.startsWith("test/") && startsProcess(target, known);
  });
  known.set(path, starts);
  return starts;
}
