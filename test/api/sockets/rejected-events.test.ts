/**
 * One bad event on `/events/in` harms only itself: it is dropped and reported, and the stream goes on. A client that
 * sends everything again that no pong confirmed would otherwise send it first after each reconnection, forever.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { RejectionReports, rejectedEvent } from "../../../src/api/ingest/rejected-events.ts";
import type { WireEvent } from "../../../src/core/model/event.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  await api.connection.flushall();
  api.logLines.length = 0;
});

const nested = (levels: number): object => (levels === 0 ? {} : { a: nested(levels - 1) });
const resource = (labels: object) => ({ "prefect.resource.id": "pump.7", ...labels });
const manyLabels = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`label-${index}`, "x"]));
const related = Array.from({ length: 101 }, () => resource({ "prefect.resource.role": "line" }));

const badEvents: readonly (readonly [what: string, change: object, reason: RegExp])[] = [
  ["a payload nested 120 deep", { payload: nested(120) }, /^payload: The payload nests more than 100 levels/],
  ["a payload nested 5,000 deep", { payload: nested(5_000) }, /nests more than 1000 levels/],
  ["1.6 MB", { payload: { text: "x".repeat(1_600_000) } }, /larger than 1500000 bytes/],
  ["5 MB", { payload: { text: "x".repeat(5_000_000) } }, /the frame has 50\d+ bytes/],
  ["a name of 1,100 characters", { event: "n".repeat(1_100) }, /^event: An event's name has at most 1024/],
  ["101 related resources", { related }, /^related: An event has at most 100/],
  ["600 labels", { resource: resource(manyLabels) }, /^resource: Resources may have at most 500 labels/],
  ["no UUID", { id: "17" }, /^id: Input should be a valid UUID$/],
  ["no time", { occurred: undefined }, /^occurred: Field required$/],
  ["a number as a label", { resource: resource({ zone: 7 }) }, /^resource.zone: A label's value should be/],
  ["a payload that is a list", { payload: [] }, /^payload: Input should be a JSON object$/],
];

describe("an event with", () => {
  test.each(badEvents)(
    "%s is dropped and reported, and the others are stored",
    async (_what, change, reason) => {
      const client = await SocketClient.prefect(`${api.url}/api/events/in`);
      const [before, bad, after] = [
        pumpEvent(),
        pumpEvent({ resource: resource({}), ...change }),
        pumpEvent(),
      ];
      for (const event of [before, bad, after]) client.send(event);
      await client.ping();
      expect(await client.close()).toMatchObject({ code: 1000 });

      const stored = await storedEvents();
      const isReport = ({ event }: WireEvent) => event === "tripline.event.rejected";
      const ids = stored.filter((event) => !isReport(event)).map(({ id }) => id);
      expect(ids).toEqual([before["id"], after["id"]]);
      const report = stored.find(isReport);
      expect(report).toMatchObject({
        event: "tripline.event.rejected",
        resource: { "prefect.resource.id": "tripline.entrance.events-in" },
        payload: { reason: expect.stringMatching(reason), count: 1, bytes: expect.any(Number) },
      });
      expect(stored.length).toBe(3);
      expect(JSON.stringify(report).length).toBeLessThan(2_000);
      const line = JSON.parse(api.logLines[0] ?? "{}");
      expect(line).toMatchObject({ msg: "Rejected an event; the others are stored", workspace: "default" });
      expect(line).toMatchObject({ reason: expect.stringMatching(reason) });
    },
  );
});

test("the report names the event and what it happened to", async () => {
  const bad = pumpEvent({ resource: resource({ zone: 7 }) });
  await sendAll([bad]);
  expect(await storedEvents()).toMatchObject([
    {
      payload: { id: bad["id"], event: "pump.stopped" },
      related: [{ "prefect.resource.id": "pump.7", "prefect.resource.role": "rejected" }],
    },
  ]);
});

test.each([
  ["no JSON", '{"event": ', /^not valid JSON at column 11/],
  ["an empty frame", "", /^not valid JSON at column 1/],
  ["a list", "[]", /^Input should be|expected object/],
  ["null", "null", /expected object/],
  ["a text", '"event"', /expected object/],
  ["brackets only", "[".repeat(100_000), /nests more than 1000 levels/],
  ["binary data", Buffer.from([0xff, 0xfe, 0x00]), /not UTF-8/],
])("a frame that holds %s is dropped and reported", async (_what, frame, reason) => {
  const good = pumpEvent();
  await sendAll([frame, good]);
  expect(await storedEvents()).toMatchObject([
    { id: good["id"] },
    { event: "tripline.event.rejected", payload: { reason: expect.stringMatching(reason), id: null } },
  ]);
});

// Prefect's client sends it again after each reconnection.
test("the same rejection is the same event", async () => {
  const bad = pumpEvent({ occurred: "noon" });
  await sendAll([bad]);
  await sendAll([bad]);
  const [first, second] = await storedEvents();
  expect(first?.id).toBe(second?.id);
});

// `ws` ends the connection at a message that is too long, and the client would send it first after reconnecting.
test.each([
  ["one frame", false],
  ["many frames", true],
])(
  "a message of 40 MB in %s is dropped and reported, and the others are stored",
  async (_what, isFragmented) => {
    const client = await SocketClient.prefect(`${api.url}/api/events/in`);
    const [before, bad, after] = [pumpEvent(), pumpEvent({ resource: resource({}) }), pumpEvent()];
    const text = JSON.stringify({ ...bad, payload: { text: "x".repeat(40_000_000) } });
    client.send(before);
    if (!isFragmented) client.send(text);
    for (let at = 0; isFragmented && at < text.length; at += 1_000_000) {
      client.socket.send(text.slice(at, at + 1_000_000), { fin: at + 1_000_000 >= text.length });
      if (at % 5_000_000 === 0) await client.ping();
    }
    client.send(after);
    await client.ping();
    expect(await client.close()).toMatchObject({ code: 1000 });
    expect(await storedEvents()).toMatchObject([
      { id: before["id"] },
      { id: after["id"] },
      {
        event: "tripline.event.rejected",
        related: [{ "prefect.resource.id": "pump.7" }],
        payload: {
          event: "pump.stopped",
          bytes: text.length,
          reason: `the frame has ${text.length} bytes; store large data elsewhere`,
        },
      },
    ]);
  },
);

// Other programs than Prefect's send what they have as text, whatever it is.
test("a text frame that is not UTF-8 is dropped and reported", async () => {
  const client = await SocketClient.prefect(`${api.url}/api/events/in`);
  const good = pumpEvent();
  client.socket.send(Buffer.from('{"event": "caf\xe9"}', "latin1"), { binary: false });
  client.send(good);
  await client.ping();
  expect(await client.close()).toMatchObject({ code: 1000 });
  expect(await storedEvents()).toMatchObject([
    { id: good["id"] },
    { event: "tripline.event.rejected", payload: { reason: "the frame is not UTF-8 text" } },
  ]);
});

test("a frame that breaks the protocol ends the connection with a line in the log", async () => {
  const client = await SocketClient.prefect(`${api.url}/api/events/in`);
  client.sendRaw([0xff, 0x80, 1, 2, 3, 4]);
  expect(await client.closed).toMatchObject({ code: 1002 });
  expect(api.logLines.join()).toContain("A frame is not valid");
});

test("a flood of bad events causes a few reports, which count them all", async () => {
  const client = await SocketClient.prefect(`${api.url}/api/events/in`);
  for (let sent = 0; sent < 3_000; sent++) client.send({ bad: sent });
  await client.close();
  // The report about the last ones is appended when the connection has ended.
  await expect
    .poll(async () => (await storedEvents()).reduce((sum, { payload }) => sum + Number(payload["count"]), 0))
    .toBe(3_000);
  expect((await storedEvents()).length).toBeLessThanOrEqual(20);
  expect(api.logLines.length).toBeLessThanOrEqual(20);
});

// A program that forwards events would otherwise send a report of its report, forever.
test("a report that is rejected itself causes no event", async () => {
  await sendAll([pumpEvent({ event: "tripline.event.rejected", occurred: "noon" })]);
  expect(await storedEvents()).toEqual([]);
  expect(api.logLines.length).toBe(1);
});

test("reports are bounded in each span of ten seconds, and the next one says how many there were", () => {
  let now = 0;
  const reports = new RejectionReports({ warn: () => {} }, () => now);
  const bad = Array.from({ length: 100 }, () => rejectedEvent({}, "why", 2));
  const countsAt = (time: number) => {
    now = time;
    return reports.report("default", "events-in", bad).map(({ payload }) => payload["count"]);
  };
  expect(countsAt(0)).toEqual(Array(10).fill(1));
  expect(countsAt(9_999)).toEqual([]);
  expect(countsAt(10_000)).toEqual([191, ...Array(9).fill(1)]);
  const [last, none] = [reports.flush("default", "events-in"), reports.flush("default", "events-in")];
  expect(last).toMatchObject([{ payload: { count: 90, reason: "why" } }]);
  expect(none).toEqual([]);
});

async function sendAll(frames: readonly (object | string | Buffer)[]): Promise<void> {
  const client = await SocketClient.prefect(`${api.url}/api/events/in`);
  for (const frame of frames) {
    if (Buffer.isBuffer(frame)) client.socket.send(frame, { binary: true });
    else client.send(frame);
  }
  await client.close();
}

async function storedEvents(): Promise<WireEvent[]> {
  return (await api.events()).map(({ event }) => event.wire);
}
