/** Events and filters of a small greenhouse: fixed ones and random ones. */

import { randomUUID } from "node:crypto";
import { readNumber } from "../../src/core/json/exact-number.ts";
import type { LogPosition } from "../../src/core/machine/log-entry.ts";
import { type Event, eventOf, type WireEvent, type WireResource } from "../../src/core/model/event.ts";
import { formatTime, type Micros, minute, parseTime, second } from "../../src/core/model/time.ts";
import { type EventFilter, EventFilterSchema, resolveFilter } from "../../src/history/filter.ts";
import type { RecordedStretch } from "../../src/history/recording.ts";
import { decodeStoredEvent, encodeEvent } from "../../src/store/entry.ts";
import fc from "../support/fast-check.ts";

/** Noon on a Sunday. All times here are near it. */
export const noon: Micros = parseTime("2026-03-01T12:00:00Z") ?? 0;

export function wireEvent(fields: Partial<WireEvent> = {}): WireEvent {
  return {
    occurred: formatTime(noon),
    event: "pump.started",
    resource: { "prefect.resource.id": "pump.1" },
    related: [],
    payload: {},
    id: randomUUID(),
    follows: null,
    ...fields,
  };
}

export function event(fields: Partial<WireEvent> = {}, received: Micros = noon): Event {
  return eventOf(wireEvent(fields), received);
}

/** The stretch of the log that contains these events right after `after`, all in the log's first millisecond. */
export function stretchOf(events: readonly Event[], after: LogPosition = "0-0"): RecordedStretch {
  const first = Number(after.split("-")[1]) + 1;
  const logged = events.map(({ received, wire }, index) => ({
    position: `1-${first + index}`,
    received,
    text: encodeEvent({ event: wire })[0],
  }));
  return { after, position: logged.at(-1)?.position ?? after, events: logged };
}

export function filter(written: unknown = {}, now: Micros = noon): EventFilter {
  return resolveFilter(EventFilterSchema.parse(written), now);
}

// Drawn from few values, so that filters often match, and from values that databases tend to get wrong: wildcards of
// LIKE, quotes, NUL, half a surrogate pair, the last code point, letters with unusual case rules, texts that are longer
// than an index allows.
const long = "x".repeat(100);
// `pump/` sorts right after every text that begins with `pump.`.
const oddTexts = [
  "pump/1",
  "%",
  "_",
  "\\",
  "'",
  "\0",
  "\uD800",
  "\uFFFD",
  "\u{10FFFF}",
  "🌱",
  "İ",
  "ΟΔΟΣ",
  "\n",
  "\u0001",
  "",
];
const name = fc.constantFrom(
  "pump.started",
  "pump.stopped",
  "pump",
  "Pump.started",
  "vent.opened",
  ...oddTexts,
);
const id = fc.constantFrom(
  "pump.1",
  "pump.12",
  "pump",
  "vent.1",
  `${long}a`,
  `${long}b`,
  long,
  ...oddTexts.slice(0, -1),
);
const role = fc.constantFrom("zone", "operator", "%");
const value = fc.oneof(fc.constantFrom("north", "South wall", "n", "[a]", `${long}a`, ...oddTexts), id);
const label = fc.constantFrom(
  "zone",
  "prefect.resource.name",
  "prefect.name",
  "__proto__",
  "odd\0",
  "odd\uFFFD",
);

function withLabels(required: Record<string, fc.Arbitrary<string>>) {
  return fc
    .tuple(fc.record(required), fc.array(fc.tuple(label, value), { maxLength: 3 }))
    .map(([required, extra]): Record<string, string> => {
      // `fromEntries` makes `__proto__` an ordinary label.
      return Object.fromEntries([...Object.entries(required), ...extra]);
    });
}

// Within a minute of noon, in steps that make ties and edges likely; sometimes far away.
const offset = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -6, max: 6 }).map((steps) => steps * 10 * second) },
  { weight: 1, arbitrary: fc.constantFrom(1, -1, -minute * 60 * 24 * 200, minute * 60 * 24 * 400_000) },
);

const largeNumber = fc.constantFrom("9400053101578681001", "0.1234567890123456789", "1e400").map(readNumber);

// Node's JSON.parse misreads other keys after a key that ends in a backslash: nodejs/node#63785.
const payloadKey = value.filter((key) => !key.endsWith("\\"));

const wire: fc.Arbitrary<WireEvent> = fc.record({
  occurred: offset.map((offset) => formatTime(noon + offset)),
  event: name,
  // Half of the events share few sets of labels, so that a resource has several events, under one name and under two.
  resource: fc.oneof(
    withLabels({ "prefect.resource.id": id }),
    fc.constantFrom<WireResource>(
      { "prefect.resource.id": "pump.1" },
      { "prefect.resource.id": "pump.1", "prefect.resource.name": "North pump" },
      { "prefect.resource.id": "vent.1", zone: "north" },
    ),
  ),
  related: fc.array(withLabels({ "prefect.resource.id": id, "prefect.resource.role": role }), {
    maxLength: 3,
  }),
  payload: fc.oneof(fc.constant({}), fc.dictionary(payloadKey, fc.oneof(value, largeNumber), { maxKeys: 2 })),
  id: fc.uuid(),
  follows: fc.constant(null),
});

/** Distinct events, as the log returns them: it replaces halves of surrogate pairs. */
export const someEvents = fc
  .uniqueArray(wire, { maxLength: 30, selector: ({ id }) => id })
  .map((events) => events.map((event) => eventOf(decodeStoredEvent(encodeEvent({ event })[0]), noon)));

const pattern = fc.oneof(
  value,
  fc
    .tuple(
      fc.constantFrom("", "!"),
      fc.array(fc.oneof(fc.constantFrom("*", "?", "[n-p]", "[!n]", "[z-a]", "[!z-a]", "[🌱]", "["), value), {
        minLength: 1,
        maxLength: 3,
      }),
    )
    .map(([negation, parts]) => negation + parts.join("")),
);

// `freq: 2` makes half of the values null.
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 2, nil: undefined });
const list = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 });
/** Some of the criteria; the others are null or missing. */
const someOf = (criteria: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(
    Object.fromEntries(
      Object.entries(criteria).map(([key, arbitrary]) => [key, fc.option(arbitrary, { freq: 5 })]),
    ),
    { requiredKeys: [] },
  );
const prefix = fc.oneof(value, fc.constantFrom("p", "pump.", `${long}`, "x"));
const labels = fc
  .array(fc.tuple(fc.oneof(label, fc.constant("prefect.resource.id")), fc.oneof(pattern, list(pattern))), {
    maxLength: 2,
  })
  .map((pairs) => Object.fromEntries(pairs));
const anyResource = { id: list(id), id_prefix: list(prefix), labels };
const related = { id: list(id), role: list(role), resources_in_roles: list(fc.tuple(id, role)), labels };
const oneOrMany = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(arbitrary, fc.array(arbitrary, { maxLength: 2 }));
const term = fc
  .tuple(fc.constantFrom("", "-", "+", "!"), fc.oneof(value, fc.constantFrom("PUMP", "nor", "οδος", "i")))
  .map(([prefix, text]) => `${prefix}"${text.replaceAll(/["\\]/g, "\\$&").slice(0, 20)}"`);

const occurred = fc.record({ since: offset, until: offset }).map(({ since, until }) => ({
  since: formatTime(noon + Math.min(since, until)),
  until: formatTime(noon + Math.max(since, until)),
}));
const wide = { since: "0001-01-01T00:00:00Z", until: "9999-12-31T00:00:00Z" };

/** Filters that together use all criteria. Each has one or two, so that it finds something. */
export const someFilter = fc
  .tuple(
    fc.record({
      occurred: fc.oneof(occurred, fc.constant(wide)),
      order: maybe(fc.constantFrom("ASC", "DESC")),
    }),
    fc.array(
      fc.oneof(
        fc.record({
          event: someOf({
            prefix: list(prefix),
            exclude_prefix: list(prefix),
            name: list(name),
            exclude_name: list(name),
          }),
        }),
        fc.record({ resource: someOf({ ...anyResource, distinct: fc.boolean() }) }),
        fc.record({ resource: fc.constant({ distinct: true }) }), // alone, so that it sees many events
        fc.record({ related: oneOrMany(someOf(related)) }),
        fc.record({ any_resource: oneOrMany(someOf(anyResource)) }),
        fc.record({
          text: fc.record({ query: fc.array(term, { maxLength: 3 }).map((terms) => terms.join(" ")) }),
        }),
      ),
      { minLength: 1, maxLength: 2 },
    ),
  )
  .map(([base, parts]) => Object.assign({}, base, ...parts))
  .map((written) => filter(written, noon));
