/**
 * What does it cost to keep the digits of large numbers?
 *
 * Reads and writes events as the API and every reader of the log do, with `JSON.parse` and with `parseExactJson`: ordinary
 * events, singly and in a batch, and events with a number that a double cannot hold. The two alternate in one process. It
 * prints the time of each, and the ratio of the second to the first, which can be compared between machines.
 *
 * Run: npx node bench/json.ts
 */

import { parseExactJson } from "../src/core/json/exact-json.ts";
import { EventSchema, eventOf } from "../src/core/model/event.ts";
import { decodeEntry, encodeEvent } from "../src/store/entry.ts";

const roundCount = 15;

const ordinary = JSON.stringify({
  occurred: "2026-03-01T09:30:00.123456Z",
  event: "pump.stopped",
  resource: { "prefect.resource.id": "pump.1", "prefect.resource.name": "Pump 1", zone: "north" },
  related: [{ "prefect.resource.id": "greenhouse.1", "prefect.resource.role": "greenhouse" }],
  payload: { litres: 3, temperature: 21.5, message: "the pump stopped after 3 tries", ratio: 0.3333333333 },
  id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44",
  follows: null,
});
const large = ordinary.replace('"litres":3', '"litres":9400053101578681001');
const batch = `[${Array(200).fill(ordinary)}]`;

/** All that ingest does with an event between the wire and the log, and what a reader of the log does. */
const throughTheLog =
  (parse: (text: string) => unknown) =>
  (text: string): void => {
    const event = EventSchema.parse(parse(text));
    const [body] = encodeEvent({ event });
    eventOf(event, 0);
    decodeEntry(["1-0", ["kind", "event", "body", body]]);
  };

compare("one event", ordinary, 20_000, JSON.parse, parseExactJson);
compare("200 events", batch, 100, JSON.parse, parseExactJson);
compare("one event with a large number", large, 20_000, JSON.parse, parseExactJson);
// The log's reader is the same in both, so the difference counts once.
compare(
  "one event, wire to log to reader",
  ordinary,
  5_000,
  throughTheLog(JSON.parse),
  throughTheLog(parseExactJson),
);

function compare(
  name: string,
  text: string,
  count: number,
  plain: (text: string) => unknown,
  exact: (text: string) => unknown,
): void {
  const times: [plain: number, exact: number][] = [];
  for (let round = 0; round < roundCount; round++)
    times.push([microseconds(plain, text, count), microseconds(exact, text, count)]);
  const [plainMin, exactMin] = [0, 1].map((which) => Math.min(...times.map((time) => time[which] ?? 0)));
  const ratio = ((exactMin ?? 0) / (plainMin ?? 1)).toFixed(2);
  console.log(`${name}: ${plainMin?.toFixed(2)} µs, exact ${exactMin?.toFixed(2)} µs, ratio ${ratio}`);
}

function microseconds(read: (text: string) => unknown, text: string, count: number): number {
  const began = performance.now();
  for (let index = 0; index < count; index++) read(text);
  return ((performance.now() - began) / count) * 1_000;
}
