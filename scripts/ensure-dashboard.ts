/** Makes sure that the dashboard of this clone is built from its present sources: for `npm start` and the tests. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** What it is built from. */
const sources = [
  "src/dashboard/**/*",
  "src/client/*.ts",
  "src/core/json/*.ts",
  "scripts/*dashboard*.ts",
  "package-lock.json",
];

/**
 * Builds the dashboard unless that has been done since its sources changed. It takes about two seconds, in a process of its
 * own: the bundler needs much memory.
 *
 * @throws Error if the build fails, with what it printed
 */
export async function ensureDashboard(): Promise<void> {
  if (isFresh()) return;
  const builder = spawn(process.execPath, [join(root, "scripts", "build-dashboard.ts")], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [builder.stdout, builder.stderr])
    stream.on("data", (text: Buffer) => {
      printed += text.toString();
    });
  const [code] = await once(builder, "close");
  if (code !== 0) throw new Error(`The dashboard cannot be built:\n${printed}`);
}

function isFresh(): boolean {
  const built = statSync(join(root, "dist", "dashboard", "index.html"), { throwIfNoEntry: false });
  if (built === undefined) return false;
  return globSync(sources, { cwd: root }).every((path) => statSync(join(root, path)).mtimeMs < built.mtimeMs);
}
