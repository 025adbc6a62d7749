/**
 * Compiles src/ to dist/, for a published package: Node does not strip types below node_modules.
 *
 * Run by `npm run build`, and by npm before it packs.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, "node_modules", ".bin", "tsc");
const { status } = spawnSync(compiler, ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

// What the compiler leaves behind: every other file of the sources, and the version.
const others = globSync("src/**/*.*", { cwd: root }).filter((path) => !/\.tsx?$/.test(path));
for (const path of [...others, "package.json"]) {
  mkdirSync(dirname(join(dist, path)), { recursive: true });
  copyFileSync(join(root, path), join(dist, path));
}
