/** Builds the dashboard into dist/dashboard, with compressed copies of its files: part of `npm run build`. */

import { globSync, renameSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build, mergeConfig } from "vite";
import config, { dashboardFolder } from "./dashboard-config.ts";

// Whatever calls this, such as a test: what is built is what is published.
process.env["NODE_ENV"] = "production";

/** Shorter files are not worth a second copy. */
const compressedBytesMin = 1_000;

// Beside the old one until it is complete: a running server may be reading that.
const folder = `${dashboardFolder}-${process.pid}`;
try {
  await build(mergeConfig(config, { build: { outDir: folder } }));
  await Promise.all(globSync("assets/*.{js,css,svg}", { cwd: folder }).map(compress));
  rmSync(dashboardFolder, { recursive: true, force: true });
  renameSync(folder, dashboardFolder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Writes the copies that browsers prefer, which the server finds by their names. */
async function compress(name: string): Promise<void> {
  const path = join(folder, name);
  const bytes = await readFile(path);
  if (bytes.length < compressedBytesMin) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  await Promise.all([
    promisify(brotliCompress)(bytes, { params }).then((packed) => writeFile(`${path}.br`, packed)),
    promisify(gzip)(bytes, { level: 9 }).then((packed) => writeFile(`${path}.gz`, packed)),
  ]);
}
