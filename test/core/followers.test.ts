import { expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { formatTime, millisecond, second } from "../../src/core/model/time.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const start = Date.UTC(2026, 2, 1) * millisecond;

// Nothing else runs while they are released. If each were searched for among all the others, the shard would lose its
// lease, and again at each new attempt.
test("40,000 events that wait for another one are released as soon as it comes", { timeout: 20_000 }, () => {
  const count = 40_000;
  const core = new Core({ latenessDefault: 5 * second });
  const automation = greenhouseAutomation("a pump failed");
  core.apply({ kind: "automation-put", position: "1-0", received: start, automation });
  for (let index = 1; index <= count; index += 1) core.apply(failure(`${index}`, "leader", index));
  expect(core.drain().firings).toEqual([]);
  core.apply(failure("leader", null, count + 1));
  expect(core.drain().firings).toHaveLength(count + 1);
});

/** A pump failure, received `after` microseconds after the start. */
function failure(id: string, follows: string | null, after: number): LogEntry {
  const received = start + after;
  const resource = { "prefect.resource.id": "pump.1" };
  const occurred = formatTime(received);
  const event = { id, occurred, event: "pump.failed", resource, related: [], payload: {}, follows };
  return { kind: "event", position: `1-${after}`, received, event: eventOf(event, received) };
}
