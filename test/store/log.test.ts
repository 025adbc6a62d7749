import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import { callRedis, connect, type RedisConnection, RedisUnreachable } from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import type { LogBatch } from "../../src/store/log-reader.ts";
import { comparePositions, positionBefore, receivedAt, startOfLog } from "../../src/store/position.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;
let log: Log;
let malformed: string[];

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  malformed = [];
  log = new Log(redis, "greenhouse", {
    onMalformed: (position, reason) => void malformed.push(`${position} ${reason}`),
  });
});

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=a b";

describe("events", () => {
  // A program that writes an invalid trace must not make an event disappear.
  test("with an invalid trace are read without it", async () => {
    const body = JSON.stringify(eventNamed("pump.started"));
    const { log: key } = workspaceKeys("greenhouse");
    await redis.xadd(key, "*", "kind", "event", "body", body, "trace", "00-not a trace");
    expect(await log.read(startOfLog, { count: 10 })).toMatchObject([{ event: { trace: null } }]);
    expect(malformed).toEqual([]);
  });

  test("are read back as they were appended, in order, with their log time, lineage and trace", async () => {
    const odd = JSON.parse('{"prefect.resource.id": "pump.1", "__proto__": "\\u0000 é 😀"}') as Record<
      string,
      string
    >;
    const events = [
      { event: { ...eventNamed("pump.started"), resource: odd } },
      { event: eventNamed("pump.stopped"), lineage: ["a", "b"], trace },
      { event: eventNamed("pump.stopped"), trace },
    ];
    const appended = await log.appendEvents(events);
    const entries = await log.read(startOfLog, { count: 10 });
    expect(entries).toMatchObject([
      {
        kind: "event",
        ...appended[0],
        event: { wire: events[0]!.event, lineage: [], trace: null, received: appended[0]!.received },
      },
      { kind: "event", ...appended[1], event: { wire: events[1]!.event, lineage: ["a", "b"], trace } },
      { kind: "event", ...appended[2], event: { wire: events[2]!.event, lineage: [], trace } },
    ]);
    const [first] = entries;
    expect(first?.kind === "event" ? Object.entries(first.event.wire.resource) : null).toEqual(
      Object.entries(odd),
    );
    expect(appended[0]!.received).toBe(receivedAt(appended[0]!.position));
  });

  // Prefect's client cannot parse half a pair: a single such event would end every stream that contains it.
  test("never contain half a surrogate pair, even if the sender cut a text inside an emoji", async () => {
    const halves = ["cut 😀".slice(0, -1), "😀 cut".slice(1), "\\ud83d is text 😀"];
    const event = { ...eventNamed("vent.jammed"), payload: { halves, [halves[0]!]: 1 } };
    await log.appendEvents([{ event }]);
    await log.putAutomations([greenhouseAutomation(halves[0]!)], () => ({ event }));
    const mended = ["cut \ufffd", "\ufffd cut", "\\ud83d is text 😀"];
    const payload = { halves: mended, [mended[0]!]: 1 };
    expect(await log.read(startOfLog, { count: 10 })).toMatchObject([
      { event: { wire: { payload } } },
      { automation: { name: mended[0] } },
      { event: { wire: { payload } } },
    ]);
    expect(await log.automations()).toMatchObject([{ name: mended[0] }]);
  });

  test("are read without half surrogate pairs, even if another program wrote them", async () => {
    const event = eventNamed("vent.jammed");
    const halves = { first: "cut \ud83d", second: "\ude00 cut", whole: "😀", upper: "\ud83d" };
    const escaped = JSON.stringify({ ...event, payload: halves }).replace(
      '"😀"',
      '"\\ud83d\\uDE00 \\\\ud83d"',
    );
    const body = escaped.replace('"upper":"\\ud83d"', '"upper":"\\uD83D"');
    await redis.xadd(workspaceKeys("greenhouse").log, "*", "kind", "event", "body", body);
    const payload = { first: "cut \ufffd", second: "\ufffd cut", whole: "😀 \\ud83d", upper: "\ufffd" };
    expect(await log.read(startOfLog, { count: 10 })).toMatchObject([{ event: { wire: { payload } } }]);
  });

  // A batch of any size in one step would keep Redis from everything else, and might outlive its timeout.
  test("are appended in order, a thousand in each step, with no other event in between", async () => {
    const batch = () => Array.from({ length: 3_000 }, () => ({ event: eventNamed("pump.started") }));
    const batches = [batch(), batch()] as const;
    const positions = await Promise.all([
      log.appendEvents(batches[0]),
      new Log(redis, "greenhouse").appendEvents(batches[1]),
    ]);
    const ids = (await log.read(startOfLog, { count: 10_000 })).map((entry) =>
      entry.kind === "event" ? entry.event.id : null,
    );
    expect(positions.map(({ length }) => length)).toEqual([3_000, 3_000]);
    for (const sent of batches) {
      for (let start = 0; start < 3_000; start += 1_000) {
        const step = sent.slice(start, start + 1_000).map(({ event }) => event.id);
        const at = ids.indexOf(step[0] ?? "");
        expect(ids.slice(at, at + 1_000)).toEqual(step);
      }
    }
  });

  test("are appended in steps of about a megabyte, so that no step takes long", async () => {
    const payload = { text: "x".repeat(300_000) };
    const events = Array.from({ length: 10 }, () => ({ event: { ...eventNamed("pump.started"), payload } }));
    const steps = vi.spyOn(redis, "sendCommand");
    try {
      await log.appendEvents(events);
      expect(steps).toHaveBeenCalledTimes(3);
    } finally {
      steps.mockRestore();
    }
  });

  test("are all rejected when Redis is full", async () => {
    await redis.config("SET", "maxmemory", "1");
    try {
      await expect(
        log.appendEvents([{ event: eventNamed("a") }, { event: eventNamed("b") }]),
      ).rejects.toThrow(RedisUnreachable);
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    expect(await log.read(startOfLog, { count: 10 })).toEqual([]);
  });
});

describe("automations", () => {
  test("appear in the hash and in the log in one step", async () => {
    const [pump, vent] = [greenhouseAutomation("pump"), greenhouseAutomation("vent")];
    await log.putAutomations([pump, vent]);
    expect(await log.automation(pump.id)).toEqual(pump);
    expect(await log.deleteAutomations([pump.id, "unknown"])).toBe(1);
    expect(await log.automations()).toEqual([vent]);
    expect(await log.automation(pump.id)).toBeNull();
    expect(await log.read(startOfLog, { count: 10 })).toMatchObject([
      { kind: "automation-put", automation: pump },
      { kind: "automation-put", automation: vent },
      { kind: "automation-delete", automationId: pump.id },
    ]);
  });

  test("lose no change when many callers change them at the same time", async () => {
    const pump = greenhouseAutomation("pump");
    await log.putAutomations([pump]);
    const changes = Array.from({ length: 10 }, (_, index) =>
      log.updateAutomation(pump.id, (current) => ({ ...current, tags: [...current.tags, `${index}`] })),
    );
    await Promise.all(changes);
    expect((await log.automation(pump.id))?.tags.toSorted()).toEqual(
      Array.from({ length: 10 }, (_, i) => `${i}`),
    );
    expect(await log.read(startOfLog, { count: 100 })).toHaveLength(11);
    expect(await log.updateAutomation("unknown", (current) => current)).toBeNull();
  });
});

describe("reading", () => {
  test("skips entries that it cannot read, counts them, and reports their positions", async () => {
    const { log: stream } = workspaceKeys("greenhouse");
    const bodies = ["{", "null", '{"id":"x"}', JSON.stringify({ ...eventNamed("a"), resource: { n: 1 } })];
    for (const body of bodies) await redis.xadd(stream, "*", "kind", "event", "body", body);
    await redis.xadd(stream, "*", "kind", "automation-put", "body", '{"id":"x","trigger":{"type":"?"}}');
    await redis.xadd(stream, "*", "kind", "unheard-of", "body", "{}");
    const [good] = await log.appendEvents([{ event: eventNamed("b") }]);
    // Two at a time, so that some batches contain nothing readable.
    const entries = await log.read(startOfLog, { count: 2 });
    expect(entries.map(({ position }) => position)).toEqual([good!.position]);
    expect(log.malformedCount).toBe(6);
    expect(malformed).toHaveLength(6);
  });

  test("waits on its own connection, so that other commands are not delayed", async () => {
    const waiting = log.read(startOfLog, { count: 1, blockMs: 5_000 });
    await log.appendEvents([{ event: eventNamed("pump.started") }]);
    expect(await waiting).toHaveLength(1);
    const interrupted = log.read(await log.lastPosition(), { count: 1, blockMs: 5_000 });
    log.close();
    await expect(interrupted).rejects.toThrow(RedisUnreachable);
  });

  // A reader that is behind would otherwise take up memory for a thousand of the largest events at once.
  test("stops early at large events, in both directions, and goes on from there", async () => {
    const large = { payload: { text: "x".repeat(200_000) } };
    const events = Array.from({ length: 350 }, () => ({
      event: { ...eventNamed("pump.started"), ...large },
    }));
    await log.appendEvents(events);
    const ids = events.map(({ event }) => event.id);
    const [forward, backward]: string[][] = [[], []];
    const idsOf = ({ entries, readCount }: LogBatch) => {
      expect(readCount).toBeLessThanOrEqual(100);
      return entries.map((entry) => (entry.kind === "event" ? entry.event.id : ""));
    };
    for (let position = startOfLog; ; ) {
      const batch = await log.readBatch(position, { count: 1_000 });
      if (batch.readCount === 0) break;
      forward?.push(...idsOf(batch));
      position = batch.position;
    }
    for (let last = "+"; ; ) {
      const batch = await log.readBack(last, "-", 1_000);
      if (batch.readCount === 0) break;
      backward?.push(...idsOf(batch));
      last = `(${batch.position}`;
    }
    expect(forward).toEqual(ids);
    expect(backward).toEqual(ids.toReversed());
  });

  test("finds the entries that remain after trimming, and the total count", async () => {
    await log.appendEvents(Array.from({ length: 250 }, () => ({ event: eventNamed("pump.started") })));
    const entries = await log.read(startOfLog, { count: 1_000 });
    const kept = entries[220]!;
    const trimmed = await log.trim(kept.position);
    expect(trimmed).toBeGreaterThan(0);
    const rest = await log.read(startOfLog, { count: 1_000 });
    expect(rest.map(({ position }) => position)).toEqual(
      entries.slice(trimmed).map(({ position }) => position),
    );
    expect(comparePositions(rest[0]!.position, kept.position)).toBeLessThanOrEqual(0);
    expect(await log.entryCounts()).toEqual({ total: 250, trimmed });
  });

  test("can start just before a given time", async () => {
    const [appended] = await log.appendEvents([{ event: eventNamed("pump.started") }]);
    expect(await log.read(positionBefore(appended!.received), { count: 1 })).toHaveLength(1);
    expect(await log.read(positionBefore(appended!.received + 1_000), { count: 1 })).toHaveLength(0);
  });
});

// An event from hours ago must not appear when Redis comes back: its sender was told that it failed.
test("a write fails quickly while Redis is unavailable and is not sent later, and the connection recovers", async () => {
  const ownServer = await startRedis({ appendOnly: "always" });
  let lostCount = 0;
  const connection = connect(ownServer.url, { onLost: () => void lostCount++ });
  try {
    const ownLog = new Log(connection, "greenhouse");
    await ownLog.appendEvents([{ event: eventNamed("before") }]);
    await ownServer.kill9();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const error = await ownLog
        .appendEvents([{ event: eventNamed("during") }])
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RedisUnreachable);
      expect((error as Error).cause).toBeInstanceOf(Error);
    }
    expect(lostCount).toBe(1);
    await ownServer.restart();
    const event = eventNamed("after");
    while (!(await ownLog.appendEvents([{ event }]).then(Boolean, () => false)));
    const entries = await ownLog.read(startOfLog, { count: 10 });
    expect(entries.map((entry) => (entry.kind === "event" ? entry.event.name : null))).toEqual([
      "before",
      "after",
    ]);
  } finally {
    connection.disconnect();
    await ownServer.stop();
  }
});

// The engine bounds its batches by this length.
test("a batch has the length of all its texts, and ends at its last entry", async () => {
  const [short, long] = [eventNamed("pump.started"), eventNamed("p".repeat(1_000))];
  const positions = [];
  for (const event of [short, long]) {
    await log.appendEvents([{ event, lineage: [], trace: null }]);
    positions.push(await log.lastPosition());
  }
  const first = await log.readBatch(startOfLog, { count: 1 });
  const second = await log.readBatch(first.position, { count: 10 });
  expect([first.position, second.position]).toEqual(positions);
  expect(first.length).toBeGreaterThan(JSON.stringify(short).length);
  const difference = JSON.stringify(long).length - JSON.stringify(short).length;
  expect(second.length - first.length).toBe(difference);
});

// Treated as an outage, it would get a 503 and be retried forever, and the log would not say what is wrong.
test("a program error is not treated as an outage", async () => {
  const tooMany = () => Promise.reject(new RangeError("Maximum call stack size exceeded"));
  await expect(callRedis(tooMany)).rejects.toThrow(RangeError);
  await expect(callRedis(() => Promise.reject(new Error("Connection is closed.")))).rejects.toThrow(
    RedisUnreachable,
  );
});

// Otherwise a server that is stopped while Redis is unavailable would never exit.
test("a read that waits for Redis to come back ends when the log is closed", async () => {
  const ownServer = await startRedis();
  const connection = connect(ownServer.url);
  const waiting = new Log(connection, "greenhouse");
  try {
    await waiting.read(startOfLog, { count: 1, blockMs: 1 });
    await ownServer.kill9();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await waiting.read(startOfLog, { count: 1, blockMs: 1_000 }).catch(() => {});
      const read = waiting.read(startOfLog, { count: 1, blockMs: 1_000 });
      waiting.close();
      await expect(read).rejects.toThrow(RedisUnreachable);
    }
  } finally {
    connection.disconnect();
    await ownServer.stop();
  }
});

function eventNamed(name: string): WireEvent {
  return {
    id: randomUUID(),
    occurred: "2026-03-01T09:30:00.123456Z",
    event: name,
    resource: { "prefect.resource.id": "pump.1" },
    related: [],
    payload: { nested: { deep: [1, null, "x"] } },
    follows: null,
  };
}
