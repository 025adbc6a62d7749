import { describe, expect, test } from "vitest";
import { seed } from "../support/fast-check.ts";
import { judge } from "./oracle.ts";
import { runSeed } from "./run-seed.ts";
import { simulate } from "./simulation.ts";

const seeds = Array.from({ length: 15 }, (_, index) => seed + index);

// Whatever crashes, repeats, is delayed or is lost: every acknowledged event counts once, and every firing is delivered.
describe("all processes together under faults", () => {
  test.each(seeds)("do what an uninterrupted core says (seed %i)", async (seed) => {
    const { problems, counts } = await runSeed(seed);
    expect(problems, `Repeat with: npm run simulate:soak -- --seed ${seed} --seeds 1`).toEqual([]);
    expect(counts["events acknowledged"]).toBeGreaterThan(0);
  });

  // Otherwise a failure could not be repeated.
  test("do the same again with the same seed", async () => {
    const [first, second] = [await simulate(seed), await simulate(seed)];
    expect(second.stepCount).toBe(first.stepCount);
    expect([...second.receivers.received]).toEqual([...first.receivers.received]);
    expect(second.world.log).toEqual(first.world.log);
    expect(judge(second)).toEqual(judge(first));
  });
});
