/**
 * Anything that may happen in a small greenhouse: random automations, events and timelines.
 *
 * The world is small, so that matches are frequent. Times lie on a coarse grid of seconds, so that they fall on, before
 * and after the edges of windows; sometimes an event is a microsecond off the grid.
 */

import { type AutomationDefinition, AutomationSchema } from "../../src/core/model/automation.ts";
import { EventSchema, type WireEvent } from "../../src/core/model/event.ts";
import { formatTime, type Micros, parseTime, second } from "../../src/core/model/time.ts";
import fc from "./fast-check.ts";
import { type TimelineLine, timeOf } from "./naive/naive.ts";

/** Every timeline starts here: 2026-03-01, midnight. */
export const start: Micros = parseTime("2026-03-01T00:00:00Z") as Micros;

/** An automation with the fields that matter to triggers. */
export type AnyAutomation = AutomationDefinition & { readonly id: string };

export interface AnyCase {
  readonly automations: readonly AnyAutomation[];
  readonly timeline: readonly TimelineLine[];
  readonly until: Micros;
  readonly lateness: Micros;
}

const anyName = fc.constantFrom("pump.on", "pump.off", "vent.open", "vent.shut");
const anyHouse = fc.constantFrom("north", "south");

const anyNamePattern = fc.oneof(
  { weight: 4, arbitrary: anyName },
  { weight: 5, arbitrary: fc.constantFrom("pump.*", "vent.*", "*", "*.o*", "*.sh?t", "[pq]ump.on") },
  { weight: 1, arbitrary: fc.constantFrom("!pump.*", "!*.on", "[!v]*", "vent.[a-o]*", "?ump.of[f", "none") },
);

const anyValuePattern = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("device.1", "device.2", "north", "south") },
  {
    weight: 1,
    arbitrary: fc.constantFrom("*", "device.*", "!device.1", "!north", "*th", "[ns]o*", "device.[!1]"),
  },
);

const anyPatterns = fc.oneof(anyValuePattern, fc.array(anyValuePattern, { maxLength: 2 }));

const anyMatch = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.record({ "prefect.resource.id": anyPatterns }) },
  { weight: 1, arbitrary: fc.record({ house: anyPatterns }) },
);

const anyMatchRelated = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.record({ name: anyPatterns }) },
  {
    weight: 1,
    arbitrary: fc.array(fc.record({ name: anyPatterns, "prefect.resource.role": fc.constant("house") }), {
      maxLength: 2,
    }),
  },
);

const anyForEach = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  {
    weight: 2,
    arbitrary: fc.subarray(["prefect.resource.id", "house", "related:house:name", "related:crop:name"], {
      minLength: 1,
      maxLength: 2,
    }),
  },
);

const anyLateness = fc.constantFrom(undefined, undefined, 0, 3, 5, 10);

const eventTriggerParts = {
  match: anyMatch,
  match_related: anyMatchRelated,
  expect: fc.array(anyNamePattern, { maxLength: 2 }),
  for_each: anyForEach,
  threshold: fc.constantFrom(1, 1, 1, 2, 2, 3, 0),
  lateness: anyLateness,
};

const anyAfter = fc.oneof(fc.constant([]), fc.array(anyNamePattern, { minLength: 1, maxLength: 2 }));

// Every 20 s, every 30 s, every full minute, and at a time that is hours away.
const anySchedule = fc.record({
  cron: fc.constantFrom("*/20 * * * * *", "*/30 * * * * *", "* * * * *", "10 0 0 * * *", "0 6 * * *"),
  timezone: fc.constantFrom("UTC", "Asia/Kolkata"),
  remember: fc.constantFrom(undefined, "20s", "1m"),
});

const proactiveParts = {
  ...eventTriggerParts,
  posture: fc.constant("Proactive"),
  within: fc.constantFrom(undefined, 0, 10, 10, 15, 20, 30),
  refire: fc.constantFrom(undefined, undefined, "every-window", "once"),
  on_gap: fc.constantFrom(undefined, undefined, undefined, "extend", "fire"),
};

const anyReactive = fc.record({
  ...eventTriggerParts,
  posture: fc.constant("Reactive"),
  after: anyAfter,
  within: fc.constantFrom(0, 1, 5, 10, 15, 20),
});

/** The end of a scheduled window: after some time, or at a time of day. */
function withEnd<Trigger extends { schedule: Record<string, unknown>; within: number | undefined }>(
  triggers: fc.Arbitrary<Trigger>,
): fc.Arbitrary<Record<string, unknown>> {
  const anyTimeOfDay = fc.constantFrom(
    ...Array<undefined>(4).fill(undefined),
    "00:01",
    "00:00:45",
    "05:30:50",
  );
  return fc
    .tuple(triggers, anyTimeOfDay)
    .map(([{ schedule, within, ...trigger }, until]) =>
      until === undefined
        ? { ...trigger, schedule, within }
        : { ...trigger, schedule: { ...schedule, until } },
    );
}

const anyReactiveSchedule = withEnd(
  fc.record({
    ...eventTriggerParts,
    posture: fc.constant("Reactive"),
    schedule: anySchedule,
    within: fc.constantFrom(5, 10, 20, 30, 45),
  }),
);

const anyProactive = fc.record({ ...proactiveParts, after: anyAfter });

const anyProactiveSchedule = withEnd(
  fc.record({
    ...proactiveParts,
    schedule: fc
      .tuple(anySchedule, fc.constantFrom(undefined, undefined, 0, 3, 15))
      .map(([schedule, early]) => ({ ...schedule, early })),
  }),
);

/** Any event trigger, as written in a rule. */
export const anyEventTrigger = fc
  .oneof(
    { weight: 5, arbitrary: anyReactive },
    { weight: 2, arbitrary: anyReactiveSchedule },
    { weight: 5, arbitrary: anyProactive },
    { weight: 2, arbitrary: anyProactiveSchedule },
  )
  .map(withoutUndefined);

/** Any composite of these triggers, with a little nesting. */
function compositeOf(eventTriggers: fc.Arbitrary<Record<string, unknown>>) {
  return fc.letrec<{ composite: Record<string, unknown>; child: Record<string, unknown> }>((tie) => {
    const parts = {
      within: fc.constantFrom(null, null, 0, 5, 10, 20, 40),
      for_each: fc.oneof(
        { weight: 2, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: anyForEach },
      ),
    };
    return {
      composite: fc
        .array(tie("child"), { minLength: 1, maxLength: 3 })
        .chain((triggers) =>
          fc.oneof(
            fc.record({
              ...parts,
              type: fc.constant("compound"),
              triggers: fc.constant(triggers),
              require: fc.oneof(
                fc.constantFrom(undefined, "any", "all"),
                fc.integer({ min: 1, max: triggers.length }),
              ),
            }),
            fc.record({ ...parts, type: fc.constant("sequence"), triggers: fc.constant(triggers) }),
          ),
        )
        .map(withoutUndefined),
      child: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        { weight: 4, arbitrary: eventTriggers },
        { weight: 1, arbitrary: tie("composite") },
      ),
    };
  }).composite;
}

/** Any composite trigger, as written in a rule. */
export const anyComposite = compositeOf(anyEventTrigger);

/** Any trigger that only settled time decides: Proactive, without a lateness of its own. */
export const anyProactiveTree: fc.Arbitrary<Record<string, unknown>> = (() => {
  const proactive = fc
    .oneof(anyProactive, anyProactiveSchedule)
    .map(({ lateness: _lateness, ...rest }) => withoutUndefined(rest));
  return fc.oneof({ weight: 3, arbitrary: proactive }, { weight: 1, arbitrary: compositeOf(proactive) });
})();

/** Any trigger, as written in a rule. */
export const anyTrigger: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  { weight: 3, arbitrary: anyEventTrigger },
  { weight: 2, arbitrary: anyComposite },
);

/** An automation with this trigger. Its id and name are derived from its number. */
export function automationWith(
  trigger: Record<string, unknown>,
  number = 0,
  fields: Record<string, unknown> = {},
): AnyAutomation {
  const definition = AutomationSchema.parse({ name: `automation ${number}`, trigger, ...fields });
  return { ...definition, id: uuidOf(1_000_000 + number) };
}

/** An id for the event, or automation, with this number. */
export function uuidOf(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

const anyRelated = fc.array(
  fc.record({
    "prefect.resource.id": fc.constantFrom("house.1", "house.2"),
    "prefect.resource.role": fc.constantFrom("house", "house", "crop"),
    name: anyHouse,
  }),
  { maxLength: 2 },
);

const anyResource = fc
  .record({
    "prefect.resource.id": fc.constantFrom("device.1", "device.2"),
    house: fc.option(anyHouse, { nil: undefined }),
  })
  .map(withoutUndefined) as fc.Arbitrary<Record<string, string>>;

/** An event without its id and its times. */
export const anyEvent = fc.record({ event: anyName, resource: anyResource, related: anyRelated });

interface Draft {
  readonly pause: Micros; // since the line before
  readonly delay: Micros; // from `occurred` to `received`; negative when the sender's clock is ahead
  readonly event: string;
  readonly resource: Record<string, string>;
  readonly related: readonly Record<string, string>[];
  /** The number of the line whose id is used again. */
  readonly repeats: number | null;
  /** The number of the line whose event this one follows. */
  readonly follows: number | null;
  readonly change: Change | null;
}

type Change =
  | { readonly kind: "tick" }
  | {
      readonly kind: "put" | "remove";
      readonly which: number;
      readonly trigger: unknown;
      readonly enabled: boolean;
    };

/** How a kind of timeline is drawn. */
export interface Setting {
  readonly pauses: fc.Arbitrary<Micros>;
  readonly delays: fc.Arbitrary<Micros>;
  /** How many of twenty events repeat the id of another, or follow another. */
  readonly repeatsInTwenty: number;
  readonly followsInTwenty: number;
  /** How many of twenty lines change an automation. */
  readonly changesInTwenty: number;
  readonly linesMax: number;
}

const offGrid = fc.constantFrom(...Array<Micros>(12).fill(0), 1, -1);

function grid(...seconds: number[]): fc.Arbitrary<Micros> {
  return fc
    .tuple(fc.constantFrom(...seconds), offGrid)
    .map(([time, offset]) => Math.max(time * second + offset, 0));
}

const anyDelay = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(1, 2, 3, 5).map((delay) => delay * second) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(5, 10, 6, 11, 20, 40, -1, -3, -5), offGrid)
      .map(([delay, offset]) => delay * second + offset),
  },
);

/** A busy minute or two, which exercises windows. */
export const busy: Setting = {
  pauses: grid(0, 0, 1, 1, 2, 3, 5, 5, 10, 15),
  delays: anyDelay,
  repeatsInTwenty: 1,
  followsInTwenty: 1,
  changesInTwenty: 1,
  linesMax: 25,
};

/** An hour or two of followers, repeats and changes, which exercises what is remembered. */
export const longRunning: Setting = {
  pauses: fc.oneof(grid(0, 1, 5, 10), grid(60, 300, 600, 840, 900, 1_200, 1_800)),
  delays: fc.oneof(anyDelay, grid(60, 600, 899, 900, 901, 1_800)),
  repeatsInTwenty: 4,
  followsInTwenty: 8,
  changesInTwenty: 2,
  linesMax: 20,
};

function draftOf(
  { pauses, delays, repeatsInTwenty, followsInTwenty, changesInTwenty }: Setting,
  triggers: fc.Arbitrary<unknown>,
) {
  const sometimes = <T>(inTwenty: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
    fc.oneof(
      { weight: 20 - inTwenty, arbitrary: fc.constant(null) },
      { weight: inTwenty, arbitrary: arbitrary as fc.Arbitrary<T | null> },
    );
  const anyOther = fc.nat(24);
  const anyChange: fc.Arbitrary<Change> = fc.oneof(
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom("put" as const, "put" as const, "put" as const, "remove" as const),
        which: fc.nat(3),
        trigger: fc.oneof(fc.constant(null), triggers),
        enabled: fc.constantFrom(true, true, false),
      }),
    },
  );
  return fc.record({
    pause: pauses,
    delay: delays,
    event: anyName,
    resource: anyResource,
    related: anyRelated,
    repeats: sometimes(repeatsInTwenty, anyOther),
    follows: sometimes(followsInTwenty, anyOther),
    change: sometimes(changesInTwenty, anyChange),
  }) satisfies fc.Arbitrary<Draft>;
}

/** A timeline, its automations at the start, its end and the lateness. */
export function anyCase(
  setting: Setting = busy,
  triggers: fc.Arbitrary<Record<string, unknown>> = anyTrigger,
): fc.Arbitrary<AnyCase> {
  return fc
    .record({
      triggers: fc.array(triggers, { minLength: 1, maxLength: 3 }),
      drafts: fc.array(draftOf(setting, triggers), {
        minLength: 1,
        maxLength: setting.linesMax,
        size: "max",
      }),
      rest: fc.constantFrom(0, 30, 90, 1_200),
      lateness: fc.constantFrom(0, 5),
    })
    .map(({ triggers: first, drafts, rest, lateness }) => {
      const automations = first.map((trigger, number) => automationWith(trigger, number));
      const timeline = linesOf(drafts, automations);
      const span = drafts.reduce((sum, { pause }) => sum + pause, 0);
      return { automations, timeline, until: start + span + rest * second, lateness: lateness * second };
    });
}

// Most of a server that works, some at the edge of what counts as a gap, and gaps as long as several windows.
const anyBeatPause = fc.oneof(
  { weight: 6, arbitrary: grid(1, 2, 2, 2, 3) },
  { weight: 1, arbitrary: grid(5, 5, 6) },
  { weight: 1, arbitrary: grid(8, 12, 20, 45, 100) },
);

/** The same cases with beats, and so with gaps in which nobody could post. */
export function withBeats(cases: fc.Arbitrary<AnyCase>): fc.Arbitrary<AnyCase> {
  const anyBeats = fc.array(fc.record({ pause: anyBeatPause, isFirst: fc.boolean() }), {
    maxLength: 60,
    size: "max",
  });
  return fc.tuple(cases, grid(0, 0, 0, 5, 20), anyBeats).map(([scenario, firstPause, beats]) => {
    const timeline = [...scenario.timeline];
    let at = start + firstPause;
    for (const { pause, isFirst } of beats) {
      const place = timeline.findIndex((line) => (isFirst ? timeOf(line) >= at : timeOf(line) > at));
      if (at <= scenario.until)
        timeline.splice(place === -1 ? timeline.length : place, 0, { beat: formatTime(at) });
      at += pause;
    }
    return { ...scenario, timeline };
  });
}

function linesOf(drafts: readonly Draft[], automations: readonly AnyAutomation[]): TimelineLine[] {
  const current = new Map(automations.map((automation, number) => [number, automation]));
  let received = start;
  return drafts.map((draft, number): TimelineLine => {
    received += draft.pause;
    const at = formatTime(received);
    const { change } = draft;
    if (change === null) return eventLine(draft, number, received);
    if (change.kind === "tick") return { tick: at };
    if (change.kind === "remove") return { at, remove: uuidOf(1_000_000 + change.which) };
    // Without a new trigger, only the name and `enabled` change.
    const before = current.get(change.which);
    const fields = { name: `automation ${change.which} as of line ${number}`, enabled: change.enabled };
    const trigger = (change.trigger ?? before?.trigger) as Record<string, unknown> | undefined;
    if (trigger === undefined) return { tick: at };
    const after = automationWith(trigger, change.which, fields);
    current.set(change.which, after);
    return { at, put: after };
  });
}

function eventLine(draft: Draft, number: number, received: Micros): WireEvent & { received: string } {
  const { event, resource, related, repeats, follows, delay } = draft;
  const wire = EventSchema.parse({
    occurred: formatTime(received - delay),
    event,
    resource,
    related,
    id: uuidOf(repeats ?? number),
    follows: follows === null ? null : uuidOf(follows),
  });
  return { ...wire, received: formatTime(received) };
}

function withoutUndefined<T extends object>(fields: T): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
