import { expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import { eventOf } from "../../src/core/model/event.ts";
import {
  formatTime,
  type Micros,
  millisecond,
  minute,
  parseTime,
  second,
} from "../../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../src/core/model/uuid.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;

// A key's counts are kept for a day, because an event may come late. Shown as open, they would hide the open windows.
test.each([
  { what: "counted too few events", threshold: 3 },
  { what: "fired", threshold: 1 },
])("a window that has $what is open until its end has settled", ({ threshold }) => {
  const trigger = { expect: ["door.*"], for_each: ["prefect.resource.id"], threshold, within: "10m" };
  const automation = greenhouseAutomation("Doors", { trigger });
  const core = new Core({ latenessDefault: 5 * second });
  core.apply({ kind: "automation-put", position: "1-0", received: start, automation });
  const event = eventOf(
    {
      id: uuid5(triplineNamespace, "door"),
      occurred: formatTime(start),
      event: "door.opened",
      resource: { "prefect.resource.id": "door.1" },
      related: [],
      payload: {},
      follows: null,
    },
    start,
  );
  core.apply({ kind: "event", position: "2-0", received: start + millisecond, event });
  core.advance(start + 10 * minute + 5 * second - 1);
  expect([...core.windowsOf(automation.id)]).toHaveLength(1);
  core.advance(start + 10 * minute + 5 * second);
  expect([...core.windowsOf(automation.id)]).toEqual([]);
  expect(new Map(core.takeOpenCounts()).get(automation.id)).toEqual({ open: 0, unresolved: 0 });
});
