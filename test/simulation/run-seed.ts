/** Runs the simulation of one seed, and has it judged. */

import { judge } from "./oracle.ts";
import { simulate } from "./simulation.ts";

export interface SeedReport {
  readonly seed: number;
  /** Everything that is wrong, one sentence each. */
  readonly problems: readonly string[];
  /** Numbers by what they count. */
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** How long it took until everything was complete after the last fault; null if it never was. */
  readonly completeAfterMs: number | null;
}

export async function runSeed(seed: number): Promise<SeedReport> {
  const result = await simulate(seed);
  const { problems, firingCount, deliveryCount, deadLetterCount, repeatCount } = judge(result);
  const { clients, receivers, stage, world, stepCount, completeAfterMs } = result;
  const batches = clients.map(({ acknowledged, abandoned }) => ({
    acknowledged: acknowledged.flat().length,
    abandoned: abandoned.flat().length,
  }));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    ...{ seed, problems, completeAfterMs },
    faults: Object.fromEntries(stage.faultCounts),
    counts: {
      steps: stepCount,
      "calls of processes": stage.callCount,
      "events acknowledged": sum(batches.map(({ acknowledged }) => acknowledged)),
      "events never acknowledged": sum(batches.map(({ abandoned }) => abandoned)),
      "posts repeated": sum(clients.map(({ repeatCount }) => repeatCount)),
      "entries of the log": world.log.length,
      "firings and resolutions": firingCount,
      deliveries: deliveryCount,
      "dead letters": deadLetterCount,
      requests: sum([...receivers.received.values()].map(({ length }) => length)),
      "accepted again": repeatCount,
    },
  };
}
