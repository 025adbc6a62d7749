/**
 * Events are taken apart by cutting their texts. If that ever differed from parsing them, the history would show something
 * else than what was sent.
 */

import { describe, expect, test } from "vitest";
import { formatTime, minute, second } from "../../src/core/model/time.ts";
import { cutEventText, writtenText } from "../../src/history/event-text.ts";
import { type EventRow, RecordingMemory } from "../../src/history/recording-memory.ts";
import { searchTextOf } from "../../src/history/text.ts";
import { decodeStoredEvent, encodeEvent } from "../../src/store/entry.ts";
import { decodeJson } from "../../src/store/json.ts";
import fc from "../support/fast-check.ts";
import { event, noon, someEvents, wireEvent } from "./greenhouse.ts";

const rowOf = (text: string) => new RecordingMemory(0).rowOf(text, noon);

function parsedRowOf(text: string) {
  const { id, occurred, name, resource, related, payload, follows } = writtenText(decodeStoredEvent(text));
  return rowOf(
    JSON.stringify({ id, occurred, event: name, follows }).replace(
      /}$/,
      `,"resource":${resource},"related":${related},"payload":${payload}}`,
    ),
  );
}

/** What a row says, however its JSON is written. */
function meaningOf({ id, occurred, name, resource, related, follows, odd, payload }: EventRow) {
  const value = (json: string) => JSON.stringify(decodeJson(json));
  const texts = [resource.body, related?.body ?? "[]", payload].map(value);
  return { id, occurred, name, labels: resource.labels, follows, odd, texts };
}

/** What looks like the end of a field, where it may be mistaken for one. */
const decoys = [
  '},"related":[',
  '],"payload":{',
  '},"id":"',
  '","follows":null}',
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ",",
];

test("a text as Tripline writes it is cut into what parsing it gives", () => {
  let cutCount = 0;
  fc.assert(
    fc.property(someEvents, fc.array(fc.constantFrom(...decoys)), (events, parts) => {
      for (const { wire } of events) {
        const decoy = parts.join("");
        const payload = {
          ...wire.payload,
          [decoy]: decoy,
          id: "x",
          follows: null,
          related: [{ payload: {} }],
        };
        const text = encodeEvent({ event: { ...wire, payload } })[0];
        const cut = cutEventText(text);
        if (cut === null) continue;
        cutCount += 1;
        expect(cut).toEqual(writtenText(decodeStoredEvent(text)));
      }
    }),
  );
  expect(cutCount).toBeGreaterThan(100);
});

// Any program may write to the log.
test("a text with any mistake, or in another order, is read as parsing it reads it, or by neither", () => {
  let readCount = 0;
  const edit = fc.record({
    at: fc.nat(400),
    deleted: fc.nat(3),
    inserted: fc.constantFrom("", " ", "x", "1", '"a":{},', '"resource":{},', ...decoys),
  });
  fc.assert(
    fc.property(someEvents, fc.array(edit, { minLength: 1, maxLength: 2 }), (events, edits) => {
      for (const { wire } of events) {
        let text = encodeEvent({ event: wire })[0];
        for (const { at, deleted, inserted } of edits)
          text = text.slice(0, at % text.length) + inserted + text.slice((at % text.length) + deleted);
        const attempt = (read: (text: string) => unknown) => {
          try {
            return read(text);
          } catch {
            return "not an event";
          }
        };
        const expected = attempt((written) => meaningOf(parsedRowOf(written)));
        if (expected !== "not an event") readCount += 1;
        expect(attempt((written) => meaningOf(rowOf(written)))).toEqual(expected);
      }
    }),
    { numRuns: 300 },
  );
  expect(readCount).toBeGreaterThan(10);
});

describe("the fields of an event", () => {
  const fields = '"occurred":"2026-03-01T12:00:00Z","event":"pump.started"';
  const end = '"id":"00000000-0000-4000-8000-000000000001","follows":null}';

  test("may come in another order, even in one that looks usual", () => {
    const text = `{${fields},"resource":{"prefect.resource.id":"p"},"payload":{"a":{},"related":[]},"related":[],${end}`;
    const decoy = `{${fields},"resource":{"prefect.resource.id":"p"},"payload":{"a":{},"related":[],"payload":{}},"related":[],"payload":{"b":1},${end}`;
    expect(rowOf(text).payload).toBe('{"a":{},"related":[]}');
    expect(rowOf(decoy).payload).toBe('{"b":1}');
  });

  test.each([
    ["labels that nest", `{${fields},"resource":{"a":{"b":"c"},"related":[],"payload":{}},${end}`],
    ["a label that is a number", `{${fields},"resource":{"a":1},"related":[],"payload":{},${end}`],
    ["a related resource that is none", `{${fields},"resource":{"a":"b"},"related":[1],"payload":{},${end}`],
    ["a payload that ends early", `{${fields},"resource":{"a":"b"},"related":[],"payload":{"a":},${end}`],
    [
      "a control character",
      `{${fields.replace("pump", "pu\tmp")},"resource":{"a":"b"},"related":[],"payload":{},${end}`,
    ],
  ])("are not read with %s", (_what, text) => {
    expect(() => rowOf(text)).toThrow();
  });

  test("have times that are read the same way one after the other as each alone", () => {
    const memory = new RecordingMemory(0);
    const offsets = [0, 1, second, 59 * second + 999_999, minute, 500_000, -minute, 61 * minute];
    for (const offset of offsets) {
      const text = encodeEvent({ event: wireEvent({ occurred: formatTime(noon + offset) }) })[0];
      expect(memory.rowOf(text, noon).occurred).toBe(noon + offset);
    }
    for (const occurred of ["2026-03-01T12:00:60Z", "2026-03-01T12:00:00+02:00", "2026-03-01T12:00:7Z"]) {
      const text = encodeEvent({ event: wireEvent({ occurred }) })[0];
      expect(memory.rowOf(text, noon).occurred).toBe(rowOf(text).occurred);
    }
  });
});

// The database puts a plain payload in lower case itself. Everything else must be stored as it is searched.
test("what is searched in the parts of an event is what is searched in the whole", () => {
  fc.assert(
    fc.property(someEvents, (events) => {
      for (const { wire } of events) {
        const row = rowOf(encodeEvent({ event: wire })[0]);
        const lowered = row.payload.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
        const parts = [row.name, row.resource, ...(row.related?.members ?? [])].map(
          ({ searched }) => searched,
        );
        const separator = "\u0001";
        const found = new Set([...parts, row.searched ?? lowered].flatMap((part) => part.split(separator)));
        const logged = event(decodeStoredEvent(encodeEvent({ event: wire })[0]));
        expect(found).toEqual(new Set(searchTextOf(logged).split(separator)));
      }
    }),
  );
});
