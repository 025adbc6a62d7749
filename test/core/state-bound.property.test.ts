import { expect, test } from "vitest";
import { day, formatTime, second } from "../../src/core/model/time.ts";
import {
  anyCase,
  anyTrigger,
  automationWith,
  busy,
  longRunning,
  start,
  uuidOf,
} from "../support/anything.ts";
import { CoreRun, type Interruption, type Step, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { expectSame } from "../support/minimal.ts";
import type { TimelineLine } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

type WrittenTrigger = Record<string, unknown>;

/**
 * The same trigger, but with a bound on what it keeps and on what it does in a month without events: it has no window
 * without end, no key that is expected forever, and no steps without a limit between them.
 */
function bounded(trigger: WrittenTrigger): WrittenTrigger {
  if (Array.isArray(trigger["triggers"])) {
    return { ...trigger, within: trigger["within"] ?? 20, triggers: trigger["triggers"].map(bounded) };
  }
  if (trigger["schedule"]) {
    return { ...trigger, within: trigger["within"] ?? 20, schedule: { cron: "0 */8 * * *", remember: "1d" } };
  }
  const after = (trigger["after"] ?? []) as string[];
  if (trigger["posture"] === "Proactive")
    return after.length > 0 ? trigger : { ...trigger, after: ["pump.on"] };
  return trigger["within"] === 0 ? { ...trigger, within: 5 } : trigger;
}

const anyBusyTime = fc.oneof(
  anyCase(busy, anyTrigger.map(bounded)),
  anyCase(longRunning, anyTrigger.map(bounded)),
);

// What can no longer matter must be dropped. Otherwise every key that ever came stays forever.
test(
  `after a long silence the state is that of a shard that never saw an event (seed ${seed})`,
  () =>
    search(
      fc.tuple(anyBusyTime, fc.constantFrom<Interruption>("none", "restart")),
      ([scenario, interruption]) =>
        expectSame(
          { ...scenario, timeline: scenario.timeline.map(withUniqueKey) },
          (busyTime) => fieldsAfter(stepsOf(busyTime), interruption),
          (busyTime) => fieldsAfter(stepsOf(busyTime).map(withoutEvent)),
        ),
    ),
  searchTimeoutMs,
);

/** The names of the state's fields 40 days after a case, perhaps with a restart at its end. */
function fieldsAfter(steps: readonly Step[], interruption: Interruption = "none"): string {
  const run = new CoreRun(5 * second);
  for (const step of steps) run.take(step);
  run.interrupt(interruption);
  run.advance(start + 40 * day);
  run.fired();
  return [...run.state.keys()].sort().join("\n");
}

function withoutEvent(step: Step): Step {
  return step.kind === "event" ? { kind: "tick", received: step.received } : step;
}

function withUniqueKey(line: TimelineLine, number: number): TimelineLine {
  if (!("event" in line)) return line;
  return { ...line, resource: { ...line.resource, "prefect.resource.id": `device.${number}` } };
}

test("counts without a window are kept for any length of time", () => {
  const run = new CoreRun(5 * second);
  const beat = {
    event: "pump.on",
    resource: { "prefect.resource.id": "device.1" },
    related: [],
    payload: {},
  };
  const timeline = [0, 1, 300].map((days) => ({
    ...beat,
    id: uuidOf(days),
    follows: null,
    occurred: formatTime(start + days * day),
  }));
  const third = automationWith({ within: 0, threshold: 3, for_each: ["prefect.resource.id"] });
  for (const step of stepsOf({ automations: [third], timeline })) run.take(step);
  expect(run.fired().map(({ triggered }) => triggered)).toEqual([start + 300 * day]);
});
