import { expect, test } from "vitest";
import { missingPlatforms, readLockFile } from "../../scripts/complete-lock.ts";

// `npm ci`, the first command of the README, fails if the lock file lacks them.
test("the lock file names the packages for every platform; if not, run: npm run lock", () => {
  expect(Object.keys(missingPlatforms(readLockFile()))).toEqual([]);
});

test("a package for another platform is locked only for that platform", () => {
  const packages = {
    "node_modules/tool": {
      version: "2.0.0",
      optionalDependencies: { "tool-linux-x64-musl": "2.0.0", "tool-x": "1" },
    },
  };
  expect(missingPlatforms({ packages })).toEqual({
    "node_modules/tool-linux-x64-musl": {
      version: "2.0.0",
      cpu: ["x64"],
      libc: ["musl"],
      optional: true,
      os: ["linux"],
    },
  });
});
