/**
 * Adds the packages for other platforms to package-lock.json. npm leaves one out when its registry cannot provide it at
 * that moment, and then `npm ci` fails on that platform.
 *
 * Run: npm run lock. test/package/lock-file.test.ts fails if someone forgets.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  packages: Record<string, LockedPackage | PlatformPackage>;
}

interface PlatformPackage {
  readonly version: string;
  readonly cpu: readonly string[];
  readonly dev?: boolean;
  readonly libc?: readonly string[];
  readonly optional: true;
  readonly os: readonly string[];
}

const file = resolve(import.meta.dirname, "..", "package-lock.json");
const platform = /-(android|darwin|linux|win32)-(x64|arm64|arm)(?:-(musl))?$/;

/** The missing entries, by their path in the lock file. */
export function missingPlatforms(lock: LockFile): Record<string, PlatformPackage> {
  const missing: Record<string, PlatformPackage> = {};
  for (const { dev, optionalDependencies = {} } of Object.values(lock.packages) as LockedPackage[]) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const path = `node_modules/${name}`;
      const [, os, cpu, libc] = platform.exec(name) ?? [];
      if (path in lock.packages || os === undefined || cpu === undefined) continue;
      missing[path] = {
        version,
        cpu: [cpu],
        ...(dev === true ? { dev } : {}),
        ...(libc === undefined ? {} : { libc: [libc] }),
        optional: true,
        os: [os],
      };
    }
  }
  return missing;
}

/** The lock file of this project. */
export function readLockFile(): LockFile {
  return JSON.parse(readFileSync(file, "utf8")) as LockFile;
}

if (import.meta.main) {
  const lock = readLockFile();
  const missing = missingPlatforms(lock);
  const packages = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
  console.log(`Added ${Object.keys(missing).length} packages for other platforms to package-lock.json`);
}
