/**
 * The seed of everything that tests draw at random. It comes from the commit, so that one commit gives one result, and
 * the next commit searches elsewhere. TRIPLINE_TEST_SEED=123 sets another one.
 */

import { spawnSync } from "node:child_process";

/** Used where there is no git. */
const seedWithoutGit = 20_261_123;

/** The seed for this run: vitest.config.ts asks once and passes it on in TRIPLINE_TEST_SEED. */
export function chooseSeed(given: string | undefined): number {
  if (given !== undefined) {
    const seed = Number(given);
    if (!Number.isInteger(seed) || seed < 0 || seed > 0x7fff_ffff) {
      throw new Error(`TRIPLINE_TEST_SEED is "${given}"; expected a whole number from 0 to ${0x7fff_ffff}`);
    }
    return seed;
  }
  const { status, stdout } = spawnSync("git", ["rev-parse", "HEAD"], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  return status === 0 ? Number.parseInt(stdout.slice(0, 7), 16) : seedWithoutGit;
}
