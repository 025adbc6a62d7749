import { DatabaseSync } from "node:sqlite";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReceivedEvent } from "../../src/core/model/event.ts";
import { HistoryUnavailable } from "../../src/history/errors.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import { Recorder, type RecorderOptions } from "../../src/history/recorder.ts";
import { Log } from "../../src/store/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { filter, wireEvent } from "./greenhouse.ts";

const refusedId = "8d4f1f6e-5a0c-4a57-9d6b-0f3b1c2d4e5f";
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
/** Incompressible, or PostgreSQL would fit it into its index. */
const longId = Array.from({ length: 20_000 }, (_, at) =>
  String.fromCodePoint(0x4e00 + ((at * at) % 20_011)),
).join("");

// What a client may send, and what only another program can put into the log.
const strange: readonly (readonly [what: string, fields: object | string])[] = [
  ["NUL", { event: "a\0", resource: { "prefect.resource.id": "p\0", "\0": "\0" }, payload: { "\0": "\0" } }],
  [
    "halves of surrogate pairs",
    { event: "\uD800", resource: { "prefect.resource.id": "\uDC00", "\uD83D": "\uD83D" } },
  ],
  [
    "labels that become equal",
    { resource: { "prefect.resource.id": "p", "\0": "a", "\uD800": "b", "\uFFFD": "c" } },
  ],
  ["a label called __proto__", { resource: JSON.parse('{"prefect.resource.id": "p", "__proto__": "x"}') }],
  ["the year 1", { occurred: "0001-01-01T00:00:00+14:00" }],
  ["the year 9999", { occurred: "9999-12-31T23:59:59.999999-12:00" }],
  ["an invalid time", { occurred: "yesterday" }],
  ["an id that PostgreSQL could not store", { id: "\0" }],
  ["an id that PostgreSQL could not index", { id: longId }],
  [
    "equal related resources",
    { related: Array.from({ length: 200 }, () => ({ "prefect.resource.id": "r" })) },
  ],
  ["long labels", { resource: { "prefect.resource.id": "p", ["l".repeat(40_000)]: "v".repeat(40_000) } }],
  [
    "a payload nested so deeply that it cannot be written",
    JSON.stringify(wireEvent()).replace('"payload":{}', `"payload":${nested(200_000)}`),
  ],
  ["what the database itself refuses", { id: refusedId }],
];

async function execute(database: TestDatabase, sql: { sqlite: string; postgres: string }): Promise<void> {
  const options = database.options("any");
  if ("path" in options) {
    const file = new DatabaseSync(options.path, { timeout: 10_000 });
    file.exec(sql.sqlite);
    file.close();
    return;
  }
  const client = new pg.Client({ connectionString: options.url });
  await client.connect();
  await client.query(sql.postgres);
  await client.end();
}

const changeTables = (database: TestDatabase, change: string) =>
  execute(database, { sqlite: `alter table ${change}`, postgres: `alter table tripline.${change}` });

const hex = (id: string) => id.replaceAll("-", "");

/** Makes the database refuse an event, as it may for reasons that nobody thinks of. */
const refuse = (database: TestDatabase, id: string) =>
  execute(database, {
    sqlite: `create trigger refusal before insert on events when new.id = x'${hex(id)}' begin select raise(abort, 'no'); end`,
    postgres: `alter table tripline.events add constraint refusal check (id <> '\\x${hex(id)}')`,
  });

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
      readEvents: vi.fn<Log["readEvents"]>(async (after, options) => {
        const batch = await log.readEvents(after, options);
        if (overtakenLog.readEvents.mock.calls.length > 1) return batch;
        await history.record({ after, position: batch.position, events: batch.events });
        await log.appendEvents([{ event: second }]);
        return log.readEvents(after, options);
      }),
    };
    const recorder = new Recorder(history, overtakenLog, { blockMs: 100 });
    recorder.start();
    await vi.waitFor(() => expect(overtakenLog.readEvents.mock.calls.length).toBeGreaterThan(1), 20_000);
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

  /** Appends an event as another program might, without the checks of the API. */
  const appendUnchecked = (fields: object | string) => {
    const body = typeof fields === "string" ? fields : JSON.stringify(wireEvent(fields));
    return redis.xadd(`tl:{greenhouse${workspaceCount}}:log`, "*", "kind", "event", "body", body);
  };

  // Otherwise one event would keep everything after it from being recorded, for good.
  test("leaves out the events that the database refuses, and records all others", async () => {
    const good: string[] = [];
    for (const [, fields] of strange) {
      const event = wireEvent();
      good.push(event.id);
      await appendUnchecked(fields);
      await log.appendEvents([{ event }]);
    }
    await history.recordedPosition();
    await refuse(database, refusedId);
    const refused: string[] = [];
    const onError = vi.fn();
    startRecorder({ onRefused: ({ text }) => refused.push(JSON.parse(text).id), onError });
    await untilRecorded(await log.lastPosition());
    const ids = (await recorded()).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(good));
    expect(refused).toEqual([refusedId]);
    expect(ids).toHaveLength(2 * strange.length - refused.length - 1); // one cannot even be read
    expect(onError).not.toHaveBeenCalled();
  });

  // A mistake in the tables would otherwise look like a refusal of each event, and the whole log would be left out.
  test("leaves out nothing while the database refuses every event", async () => {
    await history.recordedPosition();
    await changeTables(database, "events rename column payload to hidden");
    const onRefused = vi.fn();
    const onError = vi.fn();
    startRecorder({ onRefused, onError });
    await append(20);
    await vi.waitFor(() => expect(onError.mock.calls.length).toBeGreaterThan(1), 20_000);
    await changeTables(database, "events rename column hidden to payload");
    await untilRecorded(await log.lastPosition());
    expect(await recorded()).toHaveLength(20);
    expect(onRefused).not.toHaveBeenCalled();
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

  // A failure that only the next event would clear is reported for as long as none comes.
  test("forgets that the database was unavailable once it is back, also when no event arrives", async (context) => {
    if (database.stopServer === undefined) return context.skip("SQLite has no server to stop");
    const recorder = startRecorder();
    await untilRecorded((await append(3)).at(-1)?.position);
    await database.stopServer();
    await vi.waitFor(() => expect(recorder.failure).toBeInstanceOf(HistoryUnavailable), 20_000);
    await database.restartServer?.();
    await vi.waitFor(() => expect(recorder.failure).toBeNull(), 20_000);
  });
});
