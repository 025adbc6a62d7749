import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import { callRedis, connect, RedisUnreachable } from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { comparePositions, positionBefore, receivedAt, startOfLog } from "../../src/store/position.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
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
  // A trace is for watching. A program that writes nonsense into it must not make an event disappear.
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

  // Prefect's client cannot parse it, so that one such event would end every stream that it is in.
  test("never contain half of a surrogate pair, even if the sender cut a text inside an emoji", async () => {
    const halves = ["cut 😀".slice(0, -1), "😀 cut".slice(1), "\\ud83d is none 😀"];
    const event = { ...eventNamed("vent.jammed"), payload: { halves, [halves[0]!]: 1 } };
    await log.appendEvents([{ event }]);
    await log.putAutomations([greenhouseAutomation(halves[0]!)], () => ({ event }));
    const mended = ["cut \ufffd", "\ufffd cut", "\\ud83d is none 😀"];
    const payload = { halves: mended, [mended[0]!]: 1 };
    expect(await log.read(startOfLog, { count: 10 })).toMatchObject([
      { event: { wire: { payload } } },
      { automation: { name: mended[0] } },
      { event: { wire: { payload } } },
    ]);
    expect(await log.automations()).toMatchObject([{ name: mended[0] }]);
  });

  test("are read without the half surrogate pairs that another program wrote", async () => {
    const { event } = { event: eventNamed("vent.jammed") };
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

  test("are appended in batches of thousands, with no other event in between", async () => {
    const batch = () => Array.from({ length: 3_000 }, () => ({ event: eventNamed("pump.started") }));
    const [one, two] = [batch(), batch()];
    await Promise.all([log.appendEvents(one), new Log(redis, "greenhouse").appendEvents(two)]);
    const ids = (await log.read(startOfLog, { count: 10_000 })).map((entry) =>
      entry.kind === "event" ? entry.event.id : null,
    );
    expect(ids).toEqual([...one, ...two].map(({ event }) => event.id));
  });

  test("are rejected as a whole when Redis is full", async () => {
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
  test("skips entries that another program has written, counts them, and reports their positions", async () => {
    const { log: stream } = workspaceKeys("greenhouse");
    const bodies = ["{", "null", '{"id":"x"}', JSON.stringify({ ...eventNamed("a"), resource: { n: 1 } })];
    for (const body of bodies) await redis.xadd(stream, "*", "kind", "event", "body", body);
    await redis.xadd(stream, "*", "kind", "automation-put", "body", '{"id":"x","trigger":{"type":"?"}}');
    await redis.xadd(stream, "*", "kind", "unheard-of", "body", "{}");
    const [good] = await log.appendEvents([{ event: eventNamed("b") }]);
    // Two at a time, so that whole batches hold nothing readable.
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

  test("finds the entries that are left after trimming, and the total count", async () => {
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

  test("starts just before a given time", async () => {
    const [appended] = await log.appendEvents([{ event: eventNamed("pump.started") }]);
    expect(await log.read(positionBefore(appended!.received), { count: 1 })).toHaveLength(1);
    expect(await log.read(positionBefore(appended!.received + 1_000), { count: 1 })).toHaveLength(0);
  });
});

// An event that the API took hours ago must not appear when Redis comes back: its sender was told that it failed.
test("a write fails soon while Redis is unavailable and is not sent later, and the connection recovers", async () => {
  const away = await startRedis({ appendOnly: "always" });
  let troubleCount = 0;
  const connection = connect(away.url, { onLost: () => void troubleCount++ });
  try {
    const there = new Log(connection, "greenhouse");
    await there.appendEvents([{ event: eventNamed("before") }]);
    await away.kill9();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const error = await there
        .appendEvents([{ event: eventNamed("during") }])
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RedisUnreachable);
      expect((error as Error).cause).toBeInstanceOf(Error);
    }
    expect(troubleCount).toBe(1);
    await away.restart();
    const event = eventNamed("after");
    while (!(await there.appendEvents([{ event }]).then(Boolean, () => false)));
    const entries = await there.read(startOfLog, { count: 10 });
    expect(entries.map((entry) => (entry.kind === "event" ? entry.event.name : null))).toEqual([
      "before",
      "after",
    ]);
  } finally {
    connection.disconnect();
    await away.stop();
  }
});

// As an outage it would be answered with 503, and tried again for ever, without a word of what is wrong.
test("a program error is not treated as an outage", async () => {
  const tooMany = () => Promise.reject(new RangeError("Maximum call stack size exceeded"));
  await expect(callRedis(tooMany)).rejects.toThrow(RangeError);
  await expect(callRedis(() => Promise.reject(new Error("Connection is closed.")))).rejects.toThrow(
    RedisUnreachable,
  );
});

// Otherwise a server that is stopped while Redis is away would never end.
test("a read that waits for Redis to come back ends when the log is closed", async () => {
  const away = await startRedis();
  const connection = connect(away.url);
  const waiting = new Log(connection, "greenhouse");
  try {
    await waiting.read(startOfLog, { count: 1, blockMs: 1 });
    await away.kill9();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await waiting.read(startOfLog, { count: 1, blockMs: 1_000 }).catch(() => {});
      const read = waiting.read(startOfLog, { count: 1, blockMs: 1_000 });
      waiting.close();
      await expect(read).rejects.toThrow(RedisUnreachable);
    }
  } finally {
    connection.disconnect();
    await away.stop();
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
