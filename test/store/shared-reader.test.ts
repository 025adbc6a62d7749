/** One read for all who follow a log: nothing is skipped or repeated, whoever is ahead. */

import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import { Log } from "../../src/store/log.ts";
import { LogReader } from "../../src/store/log-reader.ts";
import { comparePositions, startOfLog } from "../../src/store/position.ts";
import { SharedReader } from "../../src/store/shared-reader.ts";
import fc from "../support/fast-check.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
let workspace: string;
let log: Log;
let reader: LogReader;
let shared: SharedReader;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

beforeEach(() => {
  workspace = randomUUID();
  log = new Log(redis, workspace);
  reader = new LogReader(redis, workspace);
  shared = new SharedReader(reader);
  return () => {
    shared.close();
    log.close();
  };
});

const ventEvent = (note = ""): WireEvent => ({
  id: randomUUID(),
  event: "vent.opened",
  occurred: "2026-03-01T09:30:00Z",
  resource: { "prefect.resource.id": "vent.1" },
  related: [],
  payload: { note },
  follows: null,
});

const append = (count: number, note?: string) =>
  log.appendEvents(Array.from({ length: count }, () => ({ event: ventEvent(note) })));

/** Follows the log, and checks what must hold of every batch. */
class Follower {
  position = startOfLog;
  readonly ids: string[] = [];
  readCount = 0;
  readonly #says: { readonly follower?: object };

  /** @param isKnown whether it says who it is */
  constructor(isKnown = false) {
    this.#says = isKnown ? { follower: this } : {};
  }

  async read(options: { count?: number; blockMs?: number; signal?: AbortSignal } = {}) {
    const { count = 100, blockMs = 0 } = options;
    const batch = await shared.read(this.position, { ...options, ...this.#says, count, blockMs });
    expect(batch.readCount).toBeLessThanOrEqual(count);
    for (const entry of batch.entries) {
      expect(comparePositions(entry.position, this.position)).toBeGreaterThan(0);
      expect(comparePositions(entry.position, batch.position)).toBeLessThanOrEqual(0);
      this.ids.push(entry.kind === "event" ? entry.event.id : "");
    }
    this.position = batch.position;
    this.readCount += batch.readCount;
    return batch;
  }

  async catchUp(count?: number): Promise<void> {
    while ((await this.read(count === undefined ? {} : { count })).readCount > 0);
  }
}

describe("followers of a log", () => {
  // Any order of reads and writes: this is what the shards of an engine do.
  test("each see every entry once and in order, at whatever pace", async () => {
    const anyStep = fc.oneof(
      fc.record({ append: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ follower: fc.nat(2), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ malformed: fc.constant(true) }),
      fc.record({ waits: fc.nat(2) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 25 }), async (steps) => {
        workspace = randomUUID();
        log = new Log(redis, workspace);
        reader = new LogReader(redis, workspace);
        shared = new SharedReader(reader);
        const followers = [new Follower(true), new Follower(true), new Follower()];
        let entryCount = 0;
        const waiting: Promise<unknown>[] = [];
        const busy = new Map<number, Promise<unknown>>();
        const readBy = (index: number, count: number, blockMs: number) => {
          const follower = followers[index] as Follower;
          const read = (busy.get(index) ?? Promise.resolve()).then(() => follower.read({ count, blockMs }));
          busy.set(index, read);
          waiting.push(read);
        };
        for (const step of steps) {
          if ("append" in step) {
            await append(step.append);
            entryCount += step.append;
          } else if ("malformed" in step) {
            await redis.xadd(`tl:{${workspace}}:log`, "*", "kind", "nonsense", "body", "{}");
            entryCount += 1;
          } else if ("waits" in step) readBy(step.waits, 10, 5);
          else readBy(step.follower, step.count, 0);
        }
        await Promise.all(waiting);
        for (const follower of followers) await follower.catchUp();
        const all = (await log.read(startOfLog, { count: 1_000 })).map((entry) =>
          entry.kind === "event" ? entry.event.id : "",
        );
        for (const follower of followers) {
          expect(follower.ids).toEqual(all);
          expect(follower.readCount).toBe(entryCount);
        }
        shared.close();
        log.close();
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  test("share one read while they are close together", async () => {
    const followers = Array.from({ length: 6 }, () => new Follower());
    await Promise.all(followers.map((follower) => follower.catchUp()));
    const reads = [vi.spyOn(reader, "readBatch"), vi.spyOn(reader, "readTimed")];
    const waits = followers.map((follower) => follower.read({ blockMs: 10_000 }));
    await append(50);
    await Promise.all(waits);
    expect(followers.map(({ readCount }) => readCount)).toEqual(followers.map(() => 50));
    const found = await Promise.all(
      reads.flatMap((read) => read.mock.results.map(({ value }) => value as Promise<{ readCount: number }>)),
    );
    expect(found.reduce((sum, { readCount }) => sum + readCount, 0)).toBe(50);
  });

  test("share what the slowest of them has not passed, and what all have is forgotten", async () => {
    await append(30);
    const [ahead, behind] = [new Follower(true), new Follower(true)];
    await behind.read({ count: 10 });
    await ahead.catchUp();
    const alone = vi.spyOn(reader, "readBatch");
    await behind.read({ count: 10 });
    expect(behind.readCount).toBe(20);
    expect(alone).not.toHaveBeenCalled();
    await behind.catchUp();
    await new Follower().read();
    expect(alone).toHaveBeenCalledOnce();
  });

  test("take parts of what was read, as small as they ask for", async () => {
    await append(10);
    const ahead = new Follower();
    await ahead.catchUp();
    const behind = new Follower();
    await behind.read({ count: 4 });
    expect(behind.ids).toEqual(ahead.ids.slice(0, 4));
    await behind.read({ count: 4 });
    expect(behind.ids).toEqual(ahead.ids.slice(0, 8));
    await behind.catchUp(4);
    expect(behind.ids).toEqual(ahead.ids);
  });

  // A wait must not last until the next event, when a deadline comes first.
  test("wait no longer than each of them wants to", async () => {
    const patient = new Follower();
    const stop = new AbortController();
    const waits = patient.read({ blockMs: 60_000, signal: stop.signal });
    const { readCount, now } = await new Follower().read({ blockMs: 5 });
    expect(readCount).toBe(0);
    const [seconds] = await redis.time();
    expect(Math.abs(now / 1_000_000 - Number(seconds))).toBeLessThan(60);
    stop.abort(new Error("enough"));
    await expect(waits).rejects.toThrow("enough");
  });

  // An empty batch with a time says that nothing came before that time: an absence is judged by it.
  test("are told the time only if nothing was received before it", async () => {
    const follower = new Follower();
    let last = 0;
    const appending = (async () => {
      for (let round = 0; round < 50; round++) await append(1);
    })();
    const other = new Follower();
    let isDone = false;
    void appending.then(() => {
      isDone = true;
    });
    while (!isDone) {
      const { readCount, entries, now } = await follower.read();
      for (const { received } of entries) expect(received).toBeGreaterThanOrEqual(last);
      if (readCount === 0) last = now;
      await other.read({ blockMs: 1 });
    }
    await appending;
  });

  test("go on with new entries if Redis lost some that were read", async () => {
    await append(3);
    const ahead = new Follower();
    await ahead.catchUp();
    const key = `tl:{${workspace}}:log`;
    for (const [position] of (await redis.xrange(key, "-", "+")).slice(1)) await redis.xdel(key, position);
    const behind = new Follower();
    await behind.read({ count: 1 });
    await append(1);
    await behind.catchUp();
    expect(behind.ids.at(-1)).not.toBe(ahead.ids.at(-1));
    expect((await log.read(startOfLog, { count: 10 })).length).toBe(2);
  });
});

// An entry that Redis has lost must not be counted, although it was read.
test("a follower that starts over sees only what Redis holds", async () => {
  await append(3);
  await new Follower().catchUp();
  const key = `tl:{${workspace}}:log`;
  const [, ...lost] = await redis.xrange(key, "-", "+");
  for (const [position] of lost) await redis.xdel(key, position);
  shared.forget();
  const follower = new Follower();
  await follower.catchUp();
  expect(follower.readCount).toBe(1);
});

// Its connection may still be to a master that has a successor by now.
test("a follower that starts over gets no entry that was asked for before", async () => {
  await append(1);
  const before = new Follower();
  await before.catchUp();
  await append(1);
  const lost = await new LogReader(redis, workspace).readBatch(before.position, { count: 10 });
  expect(lost.readCount).toBe(1);
  await redis.xdel(`tl:{${workspace}}:log`, lost.position);
  for (const method of ["readBatch", "readTimed"] as const) {
    const answer = Promise.withResolvers<typeof lost & { now: number }>();
    const reading = vi.spyOn(reader, method).mockReturnValueOnce(answer.promise);
    const waiting = before.read({ blockMs: method === "readBatch" ? 500 : 0 });
    await vi.waitFor(() => expect(reading).toHaveBeenCalledOnce());
    reading.mockRestore();
    shared.forget();
    const after = new Follower();
    after.position = before.position;
    const read = after.read({ blockMs: 20 });
    answer.resolve({ ...lost, now: 0 });
    expect((await read).readCount).toBe(0);
    expect(await waiting).toMatchObject({ readCount: 0 });
    expect(after.ids).toEqual([]);
  }
});

// A time says that nothing came before it, which a former master cannot know.
test("a follower that starts over gets no time that was asked for before", async () => {
  const answer = Promise.withResolvers<Awaited<ReturnType<LogReader["readTimed"]>>>();
  const reading = vi.spyOn(reader, "readTimed").mockReturnValueOnce(answer.promise);
  const waiting = new Follower().read();
  await vi.waitFor(() => expect(reading).toHaveBeenCalledOnce());
  reading.mockRestore();
  shared.forget();
  const read = new Follower().read();
  answer.resolve({
    ...{ entries: [], malformed: [], position: startOfLog },
    readCount: 0,
    length: 0,
    now: 1,
  });
  expect((await read).now).toBeGreaterThan(1);
  await waiting;
});

describe("a reader at the end of the log", () => {
  const commandCounts = async () => {
    const stats = await redis.info("commandstats");
    const of = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    return { script: of("evalsha") + of("eval"), plain: of("xread") };
  };

  // The script costs Redis five times as much, and protects only those that do not know how much follows.
  test("uses the script only until it has seen the end", async () => {
    await append(5);
    const follower = new Follower();
    await follower.catchUp();
    const before = await commandCounts();
    // Appending also runs a script.
    for (let round = 0; round < 5; round++) {
      await append(1);
      await follower.read();
    }
    const after = await commandCounts();
    expect(follower.readCount).toBe(10);
    expect(after.script - before.script).toBe(5);
  });

  // A reply of 2,000 events of 1.5 MB would need 3 GB.
  test("does not ask for many entries when it does not know how much follows", async () => {
    const commands = vi.spyOn(redis, "xread");
    await append(60, "x".repeat(500_000));
    const first = await reader.readBatch(startOfLog, { count: 2_000 });
    expect(first.length).toBeLessThan(15_000_000);
    expect(first.readCount).toBeLessThan(60);
    // It has not reached the end.
    const second = await reader.readBatch(first.position, { count: 2_000, blockMs: 10 });
    expect(second.length).toBeLessThan(15_000_000);
    expect(commands.mock.calls).toEqual([]);
    commands.mockRestore();
  });
});
