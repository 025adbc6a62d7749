/**
 * Compiles src/ to dist/, for the npm package: Node does not strip types below node_modules.
 *
 * Run: npm run build (npm also runs it before it packs)
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, globSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, "node_modules", ".bin", "tsc");
const { status } = spawnSync(compiler, ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

// Everything that the compiler does not copy: the Lua scripts, and other files that the program reads.
for (const path of globSync("**/*.*", { cwd: join(root, "src") })) {
  if (!/\.(tsx?|md)$/.test(path)) copyFileSync(join(root, "src", path), join(dist, path));
}
