/** fast-check with the seed of this run. A failure says how to repeat it. Always import fast-check from here. */

import { relative, resolve } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";

/** The seed of this run; see seed.ts. */
export const seed = Number(process.env["TRIPLINE_TEST_SEED"]);

/** The command that repeats a failure of the test file that is running. */
function repetition(used: number): string {
  const file = relative(resolve(import.meta.dirname, "../.."), expect.getState().testPath ?? "test");
  return `Repeat with: TRIPLINE_TEST_SEED=${used} npx vitest run ${file}`;
}

fc.configureGlobal({
  seed,
  reporter: (details) => {
    if (!details.failed) return;
    throw new Error(`${fc.defaultReportMessage(details)}\n\n${repetition(details.seed)}`, {
      cause: details.errorInstance,
    });
  },
});

export default fc;
