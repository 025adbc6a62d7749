import { expect, test } from "vitest";
import type { Event } from "../../src/core/model/event.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { formatTime, type Micros, second } from "../../src/core/model/time.ts";
import { start } from "../support/anything.ts";
import { CoreRun } from "../support/core-runner.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const twoFailures = greenhouseAutomation("Two failures", {
  trigger: { expect: ["pump.failed"], threshold: 2, within: 60 },
});

const idOf = (number: number): string => `00000000-0000-4000-8000-00000000000${number}`;

function failure(number: number, received: Micros, follows: string | null = null): Event {
  const wire = {
    ...{ id: idOf(number), occurred: formatTime(start), event: "pump.failed", follows },
    ...{ resource: { "prefect.resource.id": "pump.north" }, related: [], payload: {} },
  };
  return eventOf(wire, received);
}

function startRun(): CoreRun {
  const run = new CoreRun(0);
  run.take({ kind: "automation-put", position: "1-0", received: start, automation: twoFailures });
  return run;
}

function send(run: CoreRun, position: number, event: Event): void {
  run.take({ kind: "event", position: `${position}-0`, received: event.received, event });
}

// Followers of one leader that occurred at the same time go in the order in which they came. The state's fields come back
// in any order. Taken in that order, the second follower would go first, and a different event would fire.
test("followers that occurred at the same time keep their order across a restart", () => {
  const run = startRun();
  send(run, 2, failure(2, start + second, idOf(1)));
  send(run, 3, failure(3, start + second, idOf(1)));
  run.interrupt("restart");
  const leader = { ...failure(1, start + 2 * second), name: "pump.started" };
  send(run, 4, leader);
  expect(run.fired().map(({ event }) => event?.id)).toEqual([idOf(3)]);
});

// Redis's clock may step back while the engine is away; log time never does.
test("an entry from before the watermark counts as received at the watermark, even right after a restart", () => {
  const run = startRun();
  send(run, 2, failure(1, start + 10 * second));
  run.interrupt("restart");
  expect(run.watermark).toBe(start + 10 * second);
  send(run, 3, failure(2, start + 4 * second));
  expect(run.fired().map(({ triggered }) => triggered)).toEqual([start + 10 * second]);
});
