import { expect, test } from "vitest";
import { EventSchema } from "../../src/core/model/event.ts";
import { formatTime, type Micros, millisecond, minute, second } from "../../src/core/model/time.ts";
import {
  type AnyCase,
  anyEvent,
  anyProactiveTree,
  automationWith,
  start,
  uuidOf,
} from "../support/anything.ts";
import { coreFirings, formatCase, formatFirings } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { timeOf } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

const lateness = 5 * second;

const anyDelay = fc.oneof(
  fc.constantFrom(0, lateness),
  fc.integer({ min: 0, max: 5_000 }).map((delay) => delay * millisecond),
);

// On a coarse grid, so that many events occur at the same time.
const anyEvents = fc.array(
  fc.record({
    event: anyEvent,
    occurred: fc.integer({ min: 0, max: 45 }).map((step) => start + lateness + 2 * step * second),
    delay: anyDelay,
    otherDelay: anyDelay,
  }),
  { maxLength: 25, size: "max" },
);

// Two machines that report to one log have different delays. That alone must neither raise nor hide an alarm.
test(
  `any order of arrival within the lateness gives the same absences (seed ${seed})`,
  () =>
    search(fc.tuple(anyProactiveTree, anyEvents), ([trigger, events]) => {
      const original = caseOf(trigger, events, (event) => event.delay);
      const reordered = caseOf(trigger, events, (event) => event.otherDelay);
      expect(absences(original), `${formatCase(original)}\n\n${formatCase(reordered)}`).toBe(
        absences(reordered),
      );
    }),
  searchTimeoutMs,
);

type AnyEvents = typeof anyEvents extends fc.Arbitrary<infer Events> ? Events : never;

function caseOf(
  trigger: Record<string, unknown>,
  events: AnyEvents,
  delayOf: (event: AnyEvents[number]) => Micros,
): AnyCase {
  const lines = events.map((drawn, number) => {
    const occurred = formatTime(drawn.occurred);
    const event = EventSchema.parse({ ...drawn.event, id: uuidOf(number), occurred });
    return { ...event, received: formatTime(drawn.occurred + delayOf(drawn)) };
  });
  const timeline = [{ tick: formatTime(start) }, ...lines.sort((a, b) => timeOf(a) - timeOf(b))];
  return { automations: [automationWith(trigger)], timeline, until: start + 5 * minute, lateness };
}

function absences(scenario: AnyCase): string {
  return formatFirings(coreFirings(scenario).filter(({ state }) => state === "Triggered"));
}
