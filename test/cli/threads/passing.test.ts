/** Who reads the logs for whom. */

import { expect, test } from "vitest";
import { roles } from "../../../src/cli/settings.ts";
import { connectThreads, portsOf } from "../../../src/cli/threads/passing.ts";
import { planThreads } from "../../../src/cli/threads/plan.ts";

/** For each thread that a way leads to or from: how many ways begin there, and whether one ends there. */
function waysOf(settings: Partial<Parameters<typeof planThreads>[0]>, hasHistory = true) {
  const plan = planThreads({ roles, apiThreads: 2, engineThreads: 1, ...settings }, 4, true);
  const ways = connectThreads(plan.others, hasHistory);
  return Object.fromEntries(
    [...ways].map(([{ name }, passing]) => {
      for (const port of portsOf(passing)) port.close();
      return [name, [passing.to.length, passing.from !== null]];
    }),
  );
}

test("the engine reads for the recorder", () => {
  expect(waysOf({})).toEqual({ engine: [1, false], recorder: [0, true] });
});

test("the first of several engines reads for the others as well", () => {
  expect(waysOf({ engineThreads: 3 })).toEqual({
    "engine-1": [3, false],
    "engine-2": [0, true],
    "engine-3": [0, true],
    recorder: [0, true],
  });
});

// What nobody takes would stay in memory.
test("nobody reads for a recorder that records nothing, or without an engine", () => {
  expect(waysOf({}, false)).toEqual({});
  expect(waysOf({ roles: ["api", "recorder", "actions"] })).toEqual({});
});
