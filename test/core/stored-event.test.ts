import { expect, test } from "vitest";
import { parseExactJson } from "../../src/core/json/exact-json.ts";
import { Arrival } from "../../src/core/machine/arrival.ts";
import { automationOfField, referencesIn } from "../../src/core/machine/state.ts";
import { decodeStoredEvent, encodeStoredEvent } from "../../src/core/machine/stored-event.ts";
import { type Event, eventOf, type WireEvent } from "../../src/core/model/event.ts";
import fc from "../support/fast-check.ts";

const anyLabels = fc.dictionary(
  fc.constantFrom("prefect.resource.id", "rack", "__proto__", "at"),
  fc.string(),
);
const anyWire: fc.Arbitrary<WireEvent> = fc.record({
  occurred: fc.constantFrom("2026-03-01T00:00:00Z", "2026-03-01T01:00:00.5+01:00"),
  event: fc.string(),
  resource: anyLabels,
  related: fc.array(anyLabels, { maxLength: 2 }),
  payload: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
  id: fc.oneof(fc.uuid(), fc.string()),
  follows: fc.option(fc.uuid()),
});
const millisecond = 1_000;
const received = Date.UTC(2026, 2, 1) * millisecond;
const anyEvent = fc
  .tuple(
    anyWire,
    fc.constantFrom(received, received + 1),
    fc.array(fc.string(), { maxLength: 2 }),
    fc.boolean(),
  )
  .map(([wire, at, lineage, isTraced]) => eventOf(wire, at, lineage, isTraced ? "00-a-b-01" : null));

/** Also the order of labels, which is shown as it came. */
function shown({ wire, received: at, lineage, trace, claimed, occurred }: Event): string {
  const { occurred: text, event, resource, related, payload, id, follows } = wire;
  return JSON.stringify([
    text,
    event,
    resource,
    related,
    payload,
    id,
    follows,
    at,
    lineage,
    trace,
    claimed,
    occurred,
  ]);
}

test("an event that the state holds comes back as it was", () => {
  fc.assert(
    fc.property(
      anyEvent,
      fc.constantFrom(`${received / millisecond}-3`, "7-0", "recorded-1"),
      (event, position) => {
        const parsed = { ...event, wire: parseExactJson(JSON.stringify(event.wire)) as WireEvent };
        expect(shown(decodeStoredEvent(encodeStoredEvent(parsed, position), position))).toBe(shown(event));
      },
    ),
  );
});

test("a heartbeat takes little space", () => {
  const wire = {
    ...{ occurred: "2026-03-01T00:00:00Z", event: "heartbeat", related: [], payload: {}, follows: null },
    ...{ id: "00000000-0000-4000-8000-000000000001", resource: { "prefect.resource.id": "pump.1" } },
  };
  const arrival = Arrival.of(eventOf(wire, received), `${received / millisecond}-0`);
  expect(arrival.text).toBe('["2026-03-01T00:00:00Z","heartbeat","pump.1","AAAAAAAAQACAAAAAAAAAAQ"]');
  arrival.compact();
  expect(shown(arrival.event)).toBe(shown(eventOf(wire, received)));
});

// Whoever reads the state of one automation must fetch these events, and no text of a user may pass for one.
test("a state says which events it refers to without holding them", () => {
  expect(referencesIn('[1,0,0,0,["17-0"],null]')).toEqual(["17-0"]);
  expect(
    referencesIn(JSON.stringify([["a", "0", 1, 0, 1, ["17-3"], { at: '["18-0"]', is: "19-0" }]])),
  ).toEqual(["17-3"]);
  expect(
    referencesIn(`[1,0,0,0,1]
17-0 ["18-0"]`),
  ).toEqual([]);
  expect(referencesIn('["17-0",1,0]')).toEqual(["17-0"]);
  expect(referencesIn('{"window":null,"last":"17-0","unresolved":null}')).toEqual(["17-0"]);
});

test("a field says which automation it belongs to", () => {
  const id = "00000000-0000-4000-8000-000000000001";
  expect([`a:${id}`, `k:${id}:0.1:["x:y"]`, `s:${id}:`, `p:${id}::7`].map(automationOfField)).toEqual([
    id,
    id,
    id,
    id,
  ]);
  expect(["meta", "e:17-0", "f:17-0", "l:root:x", "i:3"].map(automationOfField)).toEqual(Array(5).fill(null));
});
