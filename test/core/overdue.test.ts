import { expect, test } from "vitest";
import { eventOf } from "../../src/core/model/event.ts";
import { overdueWindowsMax } from "../../src/core/model/limits.ts";
import { formatTime, second } from "../../src/core/model/time.ts";
import { start } from "../support/anything.ts";
import { CoreRun } from "../support/core-runner.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

// Otherwise one sender whose clock starts in 1970, or a backlog from last year, would keep the engine busy forever, and
// again after each restart.
test("a key's first event, however old, opens a limited number of windows that have already ended", () => {
  const run = new CoreRun(0);
  const trigger = { posture: "Proactive", expect: ["pump.pulse"], for_each: ["pump"], within: 10 };
  const automation = greenhouseAutomation("Pump quiet", { trigger });
  run.take({ kind: "automation-put", position: "1-0", received: start, automation });
  const wire = {
    ...{ id: "00000000-0000-4000-8000-000000000001", occurred: formatTime(0), event: "pump.pulse" },
    ...{
      resource: { "prefect.resource.id": "pump.north", pump: "north" },
      related: [],
      payload: {},
      follows: null,
    },
  };
  const received = start + 5 * second;
  run.take({ kind: "event", position: "2-0", received, event: eventOf(wire, received) });
  const overdue = run.fired();
  expect(overdue).toHaveLength(overdueWindowsMax);
  expect(overdue.at(-1)?.window?.end).toBe(start);
  run.advance(start + 10 * second);
  expect(
    run
      .fired()
      .slice(overdueWindowsMax)
      .map(({ triggered }) => triggered),
  ).toEqual([start + 10 * second]);
});
