import { expect, test } from "vitest";
import { EventSchema } from "../../src/core/model/event.ts";
import { formatTime, type Micros, millisecond, minute, second } from "../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../src/core/model/trigger.ts";
import {
  type AnyAutomation,
  type AnyCase,
  anyEvent,
  anyTrigger,
  automationWith,
  start,
  uuidOf,
} from "../support/anything.ts";
import { firingsOf, formatCase } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { timeOf } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

const lateness = 5 * second;

// Several events for each instant, which arrive one after the other before those of the next one.
const instantsOf = (event: typeof anyEvent) =>
  fc.array(fc.array(fc.record({ event, place: fc.integer() }), { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 8,
    size: "max",
  });

const anyPlainEvent = fc
  .constantFrom("pump.on", "pump.on", "pump.off", "pump.off", "vent.open")
  .map((name) => ({
    ...{ event: name, resource: { "prefect.resource.id": "device.1" }, related: [] },
  }));

// Composites of single events, at times that are often the same: here it matters what a firing uses and what it leaves.
const anyPlainComposite = fc.record({
  type: fc.constantFrom("compound", "sequence"),
  within: fc.constantFrom(null, 2, 6, 30),
  triggers: fc.constantFrom(
    [{ expect: ["pump.on"] }, { expect: ["pump.off"] }],
    [{ expect: ["pump.on"] }, { expect: ["pump.on"] }],
    [{ expect: ["pump.on"] }, { expect: ["pump.off"] }, { expect: ["vent.open"] }],
    [{ expect: ["pump.off"] }, { expect: ["pump.on"], after: ["vent.open"], within: 3 }],
    [
      { type: "compound", within: 6, triggers: [{ expect: ["pump.on"] }, { expect: ["pump.off"] }] },
      { expect: ["vent.open"] },
    ],
    [
      { expect: ["vent.open"] },
      { type: "sequence", within: 6, triggers: [{ expect: ["pump.on"] }, { expect: ["pump.off"] }] },
    ],
  ),
});

// Senders with clocks of whole seconds give many events the same time. Then only the order of arrival is left, which says
// nothing: it must neither raise nor hide an alarm.
test.each([
  {
    kind: "any triggers",
    automations: anyTrigger.map(automation).filter(isDecidedByTime),
    anyInstants: instantsOf(anyEvent),
  },
  {
    kind: "composites of single events",
    automations: anyPlainComposite.map((trigger) => automationWith(trigger)),
    anyInstants: instantsOf(anyPlainEvent),
  },
])(
  `of events that occurred at the same time, any order of arrival gives the same firings, for $kind (seed ${seed})`,
  ({ automations, anyInstants }) =>
    search(fc.tuple(automations, anyInstants, anyPace), ([drawn, instants, pace]) => {
      // Whether a tick finds a Reactive window open is decided when it ticks, so no tick may come between these events.
      fc.pre(pace.spread <= 300 * millisecond || !hasReactiveSchedule(drawn.trigger));
      const original = caseOf(drawn, instants, pace, () => 0);
      const permuted = caseOf(drawn, instants, pace, ({ place }) => place);
      expect(happenings(permuted), `${formatCase(original)}\n\n${formatCase(permuted)}`).toBe(
        happenings(original),
      );
    }),
  searchTimeoutMs,
);

interface Pace {
  /** The time between two instants. */
  readonly apart: Micros;
  /** The time between two events of one instant, as they arrive. */
  readonly spread: Micros;
  readonly lateness: Micros;
}

// All events of an instant arrive within the lateness: at once, one after the other, or until its very end.
const anyPace = fc.constantFrom<Pace>(
  { apart: 2 * second, spread: 300 * millisecond, lateness },
  { apart: 6 * second, spread: 300 * millisecond, lateness },
  { apart: 6 * second, spread: 1_250 * millisecond, lateness },
  { apart: 2 * second, spread: 0, lateness },
  { apart: 2 * second, spread: 0, lateness: 0 },
);

const names = ["pump.on", "pump.off", "vent.open", "vent.shut"];

/**
 * The same trigger without a lateness of its own. The children of a composite expect different events: one event that could
 * be several steps counts as one, and which child's firing it completes does depend on the order.
 */
function automation(trigger: Record<string, unknown>): AnyAutomation {
  const leafCount = (part: Record<string, unknown>): number =>
    Array.isArray(part["triggers"])
      ? part["triggers"].reduce<number>((sum, child) => sum + leafCount(child), 0)
      : 1;
  let leaves = 0;
  const adapted = (part: Record<string, unknown>): Record<string, unknown> => {
    const { lateness: _lateness, triggers, ...rest } = part;
    if (Array.isArray(triggers)) return { ...rest, triggers: triggers.map(adapted) };
    const number = leaves++;
    const after = rest["after"] as string[] | undefined;
    const opener = names[number + 2];
    const opens = after !== undefined && after.length > 0 && opener !== undefined && leafCount(trigger) <= 2;
    return { ...rest, expect: [names[number % 4] ?? ""], ...(after && { after: opens ? [opener] : [] }) };
  };
  if (!Array.isArray(trigger["triggers"])) return automationWith({ ...trigger, lateness: undefined });
  const composite = adapted(trigger);
  return automationWith(leaves <= 4 ? composite : { expect: ["pump.on"] });
}

/**
 * The exceptions that docs/triggers.md names. A firing cannot be taken back, so an event that starts a count over must not
 * arrive after the one that completed it; and what of more firings than required is left depends on which came first.
 */
function isDecidedByTime({ trigger }: { trigger: TriggerDefinition }): boolean {
  if (trigger.type !== "event") {
    const { triggers } = trigger;
    const required = trigger.type === "compound" ? trigger.require : "all";
    const takesSome = typeof required === "number" && required > 1 && required < triggers.length;
    return !takesSome && triggers.every((child) => isDecidedByTime({ trigger: child }));
  }
  return trigger.posture === "Proactive" || trigger.after.length === 0 || trigger.within > 0;
}

function hasReactiveSchedule(trigger: TriggerDefinition): boolean {
  if (trigger.type !== "event") return trigger.triggers.some(hasReactiveSchedule);
  return trigger.posture === "Reactive" && trigger.schedule !== undefined;
}

type Instants = ReturnType<typeof instantsOf> extends fc.Arbitrary<infer Drawn> ? Drawn : never;

function caseOf(
  drawn: AnyAutomation,
  instants: Instants,
  { apart, spread, lateness }: Pace,
  placeOf: (drawn: Instants[number][number]) => number,
): AnyCase {
  let number = 0;
  const lines = instants.flatMap((instant, index) => {
    const occurred = start + (index + 1) * apart;
    const events = instant.map((drawn) => {
      number += 1;
      const event = EventSchema.parse({ ...drawn.event, id: uuidOf(number), occurred: formatTime(occurred) });
      return { event, place: placeOf(drawn) };
    });
    return events
      .sort((a, b) => a.place - b.place)
      .map(({ event }, place) => ({ ...event, received: formatTime(occurred + place * spread) }));
  });
  const timeline = [{ tick: formatTime(start) }, ...lines.sort((a, b) => timeOf(a) - timeOf(b))];
  return { automations: [drawn], timeline, until: start + 5 * minute, lateness };
}

/** What fired for what, and when it happened. Which of the events completed it, and so when it was known, may differ. */
function happenings(scenario: AnyCase): string {
  return firingsOf(scenario)
    .filter(({ state }) => state === "Triggered")
    .map(({ labels, happened }) => `${(happened - start) / second} ${JSON.stringify(labels)}`)
    .sort()
    .join("\n");
}
