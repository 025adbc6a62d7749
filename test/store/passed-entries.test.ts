/** What one thread has read of a log is taken by others without gaps and repeats, or not at all. */

import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StoredEntry } from "../../src/store/entry.ts";
import { Log } from "../../src/store/log.ts";
import { LogReader } from "../../src/store/log-reader.ts";
import { PassedEntries, PassOn, passingWay } from "../../src/store/passed-entries.ts";
import { startOfLog } from "../../src/store/position.ts";
import { readRedisInfo } from "../../src/store/redis-info.ts";
import fc from "../support/fast-check.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "north";

/** A log: events, some with a lineage, an automation here and there, a body that is no object. */
const entries: readonly StoredEntry[] = Array.from({ length: 2_000 }, (_, index) => {
  const position = `${1_000 + Math.floor(index / 7)}-${index % 7}`;
  if (index % 31 === 0) return [position, ["kind", "automation-put", "body", `{"id":"${index}"}`]];
  if (index % 17 === 0) return [position, ["kind", "event", "body", "{}", "lineage", `["${index}"]`]];
  if (index % 13 === 0) return [position, ["kind", "event", "body", `["${index}"]`]];
  return [position, ["kind", "event", "body", `{"note":"né ${index}"}`]];
});

const positionAt = (count: number) => (count === 0 ? startOfLog : entries[count - 1]![0]);

function connected() {
  const { from, to } = passingWay();
  const passed = new PassedEntries(to);
  return {
    ...{ from, passed },
    sink: new PassOn([from], workspace),
    source: passed.inWorkspace(workspace),
    close: () => from.port.close(),
  };
}

describe("entries that are passed on", () => {
  test("follow the position that is asked for, whatever was passed, taken and read alone", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ pass: fc.nat(400), overlap: fc.nat(30) }) },
      { weight: 1, arbitrary: fc.record({ gap: fc.nat(50) }) },
      { weight: 6, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 700 }) }) },
      { weight: 2, arbitrary: fc.record({ readAlone: fc.nat(300) }) },
      { weight: 1, arbitrary: fc.constantFrom("sender forgets", "receiver forgets", "starts over") },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const { sink, source, from, close } = connected();
        let read = 0;
        let taken = 0;
        for (const each of steps) {
          if (each === "sender forgets") sink.forget();
          else if (each === "receiver forgets") source.forget();
          else if (each === "starts over") taken = 0;
          else if ("pass" in each) {
            const start = Math.max(0, read - each.overlap);
            const end = Math.min(entries.length, start + each.pass);
            sink.pass(positionAt(start), entries.slice(start, end));
            read = Math.max(read, end);
          } else if ("gap" in each) read = Math.min(entries.length, read + each.gap);
          else if ("readAlone" in each) taken = Math.min(entries.length, taken + each.readAlone);
          else {
            const stretch = source.take(positionAt(taken), each.take);
            if (stretch === null) continue;
            expect(stretch.entries.length).toBeGreaterThan(0);
            expect(stretch.entries.length).toBeLessThanOrEqual(each.take);
            expect(stretch.entries).toEqual(entries.slice(taken, taken + stretch.entries.length));
            taken += stretch.entries.length;
            if (stretch.isLast) expect(source.take(positionAt(taken), 1)).toBeNull();
          }
        }
        source.forget();
        expect(Atomics.load(from.pending, 0)).toBe(0);
        close();
      }),
    );
  });

  test("are all taken by a thread that keeps up", () => {
    const { sink, source, close } = connected();
    let taken = 0;
    for (let read = 0; read < entries.length; read += 200) {
      sink.pass(positionAt(read), entries.slice(read, read + 200));
      taken += source.take(positionAt(taken), 10_000)?.entries.length ?? 0;
    }
    expect(taken).toBe(entries.length);
    close();
  });

  test("are dropped where nobody takes them, and the other workspaces of that thread get theirs", () => {
    const { sink, source, from, passed, close } = connected();
    const other = new PassOn([from], "south");
    const south = passed.inWorkspace("south");
    const large = "x".repeat(10_000);
    const fields = ["kind", "event", "body", large];
    for (let count = 0; count < 3_000; count += 100) {
      const many = Array.from({ length: 100 }, (_, at): StoredEntry => [`${count + at + 1}-0`, fields]);
      sink.pass(`${count}-0`, many);
      other.pass(`${count}-0`, many);
      expect(south.take(`${count}-0`, 1_000)?.entries).toHaveLength(100);
    }
    expect(Atomics.load(from.pending, 0)).toBeLessThan(10_000_000);
    expect(source.take("0-0", 1_000)).toBeNull(); // it reads the log from there
    close();
  });
});

describe("readers of one log in Redis", () => {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  const sentBytes = async () =>
    Number(readRedisInfo(await redis.info("stats")).get("total_net_output_bytes"));

  test("ask it once for each entry, and find out the same", async () => {
    const { sink, source, close } = connected();
    const own = randomUUID();
    const log = new Log(redis, own);
    const append = (count: number) =>
      log.appendEvents(
        Array.from({ length: count }, () => ({
          event: {
            id: randomUUID(),
            event: "vent.opened",
            occurred: "2026-03-01T09:30:00Z",
            resource: { "prefect.resource.id": "vent.1" },
            related: [],
            payload: { note: "x".repeat(1_000) },
            follows: null,
          },
        })),
      );
    const first = new LogReader(redis, own, { passOn: sink });
    const second = new LogReader(redis, own, { passed: source });
    await append(500);
    const whole = await first.readBatch(startOfLog, { count: 1_000 });
    expect(whole.readCount).toBe(500);
    const before = await sentBytes();
    const texts = await second.readEvents(startOfLog, { count: 300 });
    expect(texts.readCount).toBe(300);
    const rest = await second.readTimed(texts.position, 1_000);
    expect(rest.entries).toEqual(whole.entries.slice(300));
    expect((await sentBytes()) - before).toBeLessThan(20_000);
    expect(texts.events.map(({ position }) => position)).toEqual(
      whole.entries.slice(0, 300).map(({ position }) => position),
    );

    // What was not passed on is read from Redis: a few entries, and those of before.
    await append(3);
    await first.readBatch(whole.position, { count: 1_000 });
    const few = await second.readBatch(whole.position, { count: 1_000 });
    expect(few.readCount).toBe(3);
    expect(await second.readBatch(startOfLog, { count: 1_000 })).toMatchObject({ readCount: 503 });
    expect((await second.readTimed(few.position, 100)).now).toBeGreaterThan(0);
    log.close();
    close();
  });
});
