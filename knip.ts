/** Finds files, exports and dependencies that nothing uses: `npm run lint`. */

import type { KnipConfiguration } from "knip";

/**
 * Twice: over everything, an export must be used in some other file. With `--production`, over what is published, a
 * constant or function may be exported for its tests only if its own file uses it as well.
 */
export default ({ production = false }: { readonly production?: boolean }): KnipConfiguration => ({
  // Exclamation marks are for what is published.
  entry: [
    "src/cli/bin.ts!",
    "src/client/index.ts!",
    "src/history/sqlite-worker.ts!",
    "src/cli/threads/part-thread.ts!",
    "src/cli/threads/check-thread.ts!",
    "scripts/*.ts",
    "scripts/chaos/receiver.ts", // a process of its own
    "bench/*.ts",
    "test/support/turn-meter.ts", // loaded by a process that a test starts
  ],
  project: [
    "src/**/*.ts!",
    "!src/dashboard/**!",
    "src/dashboard/**/*.{ts,tsx}",
    "{test,scripts,bench}/**/*.ts",
  ],
  ignoreExportsUsedInFile: production || { interface: true, type: true },
  // Programs that are installed by hand, where a test or script needs them.
  ignoreBinaries: ["redis-server", "openssl", "promtool", "helm", "go", "unshare", "mount", "umount"],
});
