/** Other versions of Node to run the package on, from the npm package `node`, downloaded once. */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const cache = resolve(import.meta.dirname, "../../node_modules/.cache/node-versions");

/**
 * The path of a Node binary.
 *
 * @param version as npm names it: `22.16.0`, or `22` for the newest release of that major version
 * @throws if it is not in the cache and cannot be downloaded
 */
export async function nodeBinary(version: string): Promise<string> {
  const folder = join(cache, version);
  const binary = join(folder, "node_modules", "node", "bin", "node");
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  // The binary is fetched by an install script.
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, allowScripts: { node: true } }),
  );
  await run("npm", ["install", "--no-audit", "--no-fund", `node@${version}`], { cwd: folder });
  return binary;
}
