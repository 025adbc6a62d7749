import { expect, test } from "vitest";
import { HeldJob, JobLost } from "../../src/delivery/held-job.ts";
import type { JobStore, TakenJob } from "../../src/delivery/ports.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { invocationOf } from "./support.ts";

const lockMs = 8_000;

function hold(holders: (string | null)[]) {
  const clock = new VirtualClock();
  const jobs = { holder: async () => holders.shift() ?? null } as unknown as JobStore;
  const job = { data: { invocation: invocationOf({ type: "do-nothing" }) } } as unknown as TakenJob;
  return { clock, holders, held: new HeldJob(job, "own", jobs, clock, lockMs) };
}

test("a worker asks who has a delivery before it sends it, unless it has just seen that", async () => {
  const { clock, holders, held } = hold(["own", "other"]);
  await held.check();
  clock.block(lockMs / 4 - 1);
  await held.check();
  expect(holders).toHaveLength(1);
  clock.block(1);
  await expect(held.check()).rejects.toThrow(JobLost);
});

// It was paused with the answer on its way, and others have taken the delivery over since.
test("an answer counts from when the worker asked, not from when it reads it", async () => {
  const { clock, held } = hold(["other"]);
  const asked = clock.now();
  clock.block(lockMs);
  held.markHeld(asked);
  await expect(held.check()).rejects.toThrow(JobLost);
});
