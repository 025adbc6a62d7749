import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReceivedEvent } from "../../src/core/model/event.ts";
import { HistoryUnavailable } from "../../src/history/errors.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import { Recorder, type RecorderOptions } from "../../src/history/recorder.ts";
import { Log } from "../../src/store/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { filter, wireEvent } from "./greenhouse.ts";

describe.each(databaseKinds)("a recorder into $name", ({ missing, start }) => {
  if (missing !== null) {
    test.skip(`not tested: ${missing}`);
    return;
  }
  let redisServer: TestRedis;
  let database: TestDatabase;
  let workspaceCount = 0;
  beforeAll(async () => {
    [redisServer, database] = await Promise.all([startRedis(), start()]);
  });
  afterAll(async () => {
    await Promise.all([redisServer.stop(), database.remove()]);
  });

  let redis: Redis;
  let log: Log;
  let history: History;
  const closing: (() => unknown)[] = [];
  beforeEach(async () => {
    workspaceCount += 1;
    redis = new Redis(redisServer.url);
    log = new Log(redis, `greenhouse${workspaceCount}`);
    history = await openHistory(database.options(`greenhouse${workspaceCount}`));
    closing.push(
      () => redis.quit(),
      () => log.close(),
      () => history.close(),
    );
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const startRecorder = (options: RecorderOptions = {}) => {
    const ownLog = new Log(redis, `greenhouse${workspaceCount}`);
    const recorder = new Recorder(history, ownLog, { blockMs: 100, ...options });
    recorder.start();
    closing.push(
      () => ownLog.close(),
      () => recorder.stop(),
    );
    return recorder;
  };
  const append = (count: number) =>
    log.appendEvents(Array.from({ length: count }, () => ({ event: wireEvent() })));
  const untilRecorded = async (position: string | undefined) => {
    await vi.waitFor(async () => expect(await history.recordedPosition()).toBe(position), 20_000);
  };
  const recorded = async (): Promise<ReceivedEvent[]> => {
    const events: ReceivedEvent[] = [];
    const allTime = { since: "0001-01-01T00:00:00Z", until: "9999-01-01T00:00:00Z" };
    for await (const event of history.eachEvent(filter({ occurred: allTime, order: "ASC" })))
      events.push(event);
    return events;
  };

  test("records the events in the log and those that arrive later, in order", async () => {
    const events = Array.from({ length: 25 }, () => wireEvent());
    await log.appendEvents(events.slice(0, 20).map((event) => ({ event })));
    startRecorder({ batchSize: 7 });
    const later = await log.appendEvents(events.slice(20).map((event) => ({ event })));
    await untilRecorded(later.at(-1)?.position);
    expect((await recorded()).map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  });

  test("continues after a restart where it stopped, and records nothing twice", async () => {
    const first = startRecorder({ batchSize: 3 });
    const before = await append(10);
    await untilRecorded(before.at(-1)?.position);
    await first.stop();
    const after = await append(10);
    startRecorder({ batchSize: 3 });
    await untilRecorded(after.at(-1)?.position);
    expect(await recorded()).toHaveLength(20);
  });

  test("can run beside another recorder of the same workspace", async () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    startRecorder({ batchSize: 2, onError });
    startRecorder({ batchSize: 3, onError });
    await append(40);
    const last = (await append(40)).at(-1);
    await untilRecorded(last?.position);
    expect(await recorded()).toHaveLength(80);
    expect(errors).toEqual([]);
  });

  test("continues at the cursor if another recorder has moved it in the meantime", async () => {
    const [first, second] = [wireEvent(), wireEvent()];
    await log.appendEvents([{ event: first }]);
    const overtakenLog = {
      // The batch is out of date when it is written: another recorder has just recorded the first entry.
      readBatch: vi.fn<Log["readBatch"]>(async (after, options) => {
        const batch = await log.readBatch(after, options);
        if (overtakenLog.readBatch.mock.calls.length > 1) return batch;
        await history.record({ after, position: batch.position, entries: batch.entries });
        await log.appendEvents([{ event: second }]);
        return log.readBatch(after, options);
      }),
    };
    const recorder = new Recorder(history, overtakenLog, { blockMs: 100 });
    recorder.start();
    await vi.waitFor(() => expect(overtakenLog.readBatch.mock.calls.length).toBeGreaterThan(1), 20_000);
    await untilRecorded(await log.lastPosition());
    await recorder.stop();
    expect((await recorded()).map(({ id }) => id)).toEqual([first.id, second.id]);
  });

  // If the cursor did not move past it, the recorder would read the same entry forever.
  test("skips an entry that cannot be read", async () => {
    await append(1);
    const malformed = await redis.xadd(
      `tl:{greenhouse${workspaceCount}}:log`,
      "*",
      "kind",
      "nonsense",
      "body",
      "{",
    );
    startRecorder();
    await untilRecorded(malformed ?? undefined);
    expect(await recorded()).toHaveLength(1);
  });

  test("prunes at regular intervals", async () => {
    startRecorder({ retention: { maxRows: 5 }, pruneEveryMs: 20 });
    for (const _ of [1, 2]) {
      const last = (await append(20)).at(-1);
      await untilRecorded(last?.position);
      await vi.waitFor(async () => expect(await recorded()).toHaveLength(5), 20_000);
    }
  });

  test("reports that the database is unavailable, and catches up when it is back", async (context) => {
    if (database.stopServer === undefined) return context.skip("SQLite has no server to stop");
    const onError = vi.fn();
    startRecorder({ onError });
    await untilRecorded((await append(3)).at(-1)?.position);
    await database.stopServer();
    const last = (await append(3)).at(-1);
    await vi.waitFor(() => expect(onError).toHaveBeenCalledWith(expect.any(HistoryUnavailable)), 20_000);
    await database.restartServer?.();
    await untilRecorded(last?.position);
    expect(await recorded()).toHaveLength(6);
  });
});
