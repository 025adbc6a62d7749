/** What only SQLite does: how its connections are set up, that they wait for each other, and how it frees space. */

import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Worker } from "node:worker_threads";
import { Kysely, sql } from "kysely";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { BoundedCache } from "../../src/core/model/bounded-cache.ts";
import { openHistory } from "../../src/history/history.ts";
import { sqliteDialect } from "../../src/history/sqlite-dialect.ts";
import type { SqliteRequest, SqliteSettings } from "../../src/history/sqlite-file.ts";
import { event, filter, noon, stretchOf } from "./greenhouse.ts";

type Any = Kysely<Record<string, Record<string, unknown>>>;

let folder: string;
let opened: Any[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tripline-sqlite-"));
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((db) => db.destroy()));
  rmSync(folder, { recursive: true, force: true });
});

const path = () => join(folder, "events.sqlite");

function open(readOnly = false): Any {
  const db: Any = new Kysely({ dialect: sqliteDialect({ path: path(), readOnly }) });
  opened.push(db);
  return db;
}

async function numbersOf(db: Any, query: string): Promise<unknown[]> {
  return (await sql.raw<Record<string, unknown>>(query).execute(db)).rows.flatMap(Object.values);
}

// In SQLite a transaction that reads and then writes fails at once if another transaction wrote in between.
test("a transaction that reads first can still write, because no other transaction writes in between", async () => {
  const [first, second] = [open(), open()];
  await sql`create table numbers (number integer)`.execute(first);
  await numbersOf(second, "select 1"); // now its thread has started
  let other: Promise<unknown> = Promise.resolve();
  await first.transaction().execute(async (db) => {
    await numbersOf(db as unknown as Any, "select count(*) from numbers");
    other = second.transaction().execute((later) => sql`insert into numbers values (2)`.execute(later));
    // Gives the other transaction a chance to write. That it does not write cannot be awaited.
    await Promise.race([other, new Promise((resolve) => setTimeout(resolve, 500))]);
    await sql`insert into numbers values (1)`.execute(db);
  });
  await other;
  expect(await numbersOf(first, "select number from numbers order by rowid")).toEqual([1, 2]);
});

test.each([
  ["sqlite:PATH", (file: string) => file],
  ["sqlite://PATH", (file: string) => file],
  ["sqlite:PATH", (file: string) => relative(process.cwd(), file)],
])("a history's URL can be %s", async (url, pathTo) => {
  const file = join(folder, "deep", "events.sqlite");
  const history = await openHistory({ url: url.replace("PATH", pathTo(file)), workspace: "greenhouse" });
  await history.close();
  await history.close(); // once is enough, and twice is no error
  expect(existsSync(file)).toBe(true);
});

test("connections are durable, use limited memory and wait for locks, and the one for queries cannot write", async () => {
  const [writer, reader] = [open(), open(true)];
  const pragma = async (db: Any, name: string) => (await numbersOf(db, `pragma ${name}`))[0];
  for (const db of [writer, reader]) {
    expect(await pragma(db, "journal_mode")).toBe("wal");
    expect(await pragma(db, "synchronous")).toBe(2); // full: the log is trimmed as soon as events are recorded here
    expect(await pragma(db, "cache_size")).toBe(-65_536);
    expect(await pragma(db, "busy_timeout")).toBe(10_000);
  }
  await expect(sql`create table numbers (number integer)`.execute(reader)).rejects.toThrow(/readonly/);
});

test("a history on the thread that records is the same as one with a thread of its own", async () => {
  const [local, remote] = await Promise.all([
    openHistory({ path: path(), workspace: "greenhouse", isOnThisThread: true }),
    openHistory({ path: path(), workspace: "greenhouse" }),
  ]);
  const [first, second] = [event(), event()];
  expect(await local.record(stretchOf([first]))).toBe(1);
  expect(await remote.record(stretchOf([second], "1-1"))).toBe(1);
  expect(await local.record(stretchOf([first, second], "1-1"))).toBeNull();
  for (const history of [local, remote]) {
    const { events } = await history.queryEvents(filter(), { limit: 10 });
    expect(events.map(({ id }) => id)).toEqual([second.id, first.id]);
    await history.close();
  }
});

test("a bounded cache computes each value once, and drops the oldest when it is full", () => {
  const dropped: string[] = [];
  const cache = new BoundedCache<string>(220, (value) => dropped.push(value));
  const made: string[] = [];
  const get = (text: string) =>
    cache.get(text, (wanted) => {
      if (wanted === "bad") throw new Error("not a statement");
      made.push(wanted);
      return wanted.toUpperCase();
    });
  expect(["a", "b", "a", "c", "b", "a"].map(get)).toEqual(["A", "B", "A", "C", "B", "A"]);
  expect(made).toEqual(["a", "b", "c", "a"]);
  expect(dropped).toEqual(["A", "B"]);
  for (let index = 0; index < 100; index++) expect(() => get("bad")).toThrow("not a statement");
  expect(cache.size).toBe(2);
  // Long texts leave room for fewer values, and one that is longer than the limit is kept alone.
  get("d".repeat(80));
  get("e".repeat(80));
  expect(cache.size).toBe(1);
  expect([get("f".repeat(500)).length, get("f".repeat(500)).length, cache.size]).toEqual([500, 500, 1]);
});

// Filters of many lengths make ever new statements, and each stays prepared for as long as it is cached.
test("the connection keeps only the latest statements in memory", async () => {
  const db = open();
  const sum = Array.from({ length: 500 }, (_, index) => `length('${index}')`).join("+");
  const prepare = async (first: number, count: number) => {
    for (let index = first; index < first + count; index++) await numbersOf(db, `select ${sum} + ${index}`);
  };
  await prepare(0, 300);
  const before = process.memoryUsage().rss;
  await prepare(300, 3_000);
  const grownMb = (process.memoryUsage().rss - before) / 1e6;
  expect(grownMb).toBeLessThan(250); // 80 on an idle machine; 500 if none was freed
});

// With a heap of 100 MB, 3,000 of these globs would end the thread: each takes 180 kB.
test("the connection keeps only the latest compiled globs in memory", async () => {
  const worker = new Worker(new URL("../../src/history/sqlite-worker.ts", import.meta.url), {
    workerData: { path: path(), readOnly: false } satisfies SqliteSettings,
    resourceLimits: { maxOldGenerationSizeMb: 100 },
  });
  onTestFinished(async () => void (await worker.terminate()));
  const sql = `with recursive numbers (n) as (select 1 union all select n + 1 from numbers limit 3000)
    select sum(tripline_glob(n || '${"*a?".repeat(300)}', 'pump')) as found from numbers`;
  worker.postMessage({ sql, parameters: [] } satisfies SqliteRequest);
  const [response] = await once(worker, "message"); // rejects if the thread ends
  expect(response).toMatchObject({ rows: [{ found: 0 }] });
});

describe("pruning", () => {
  const tables = ["events", "related_lists", "related_members", "names", "resources", "labels"] as const;
  const counts = (db: Any) =>
    Promise.all(
      tables.map(async (table) => [table, (await numbersOf(db, `select count(*) from ${table}`))[0]]),
    );

  test("deletes exactly the names, resources and labels that nothing refers to", async () => {
    const history = await openHistory({ path: path(), workspace: "greenhouse" });
    const related = [{ "prefect.resource.id": "vent.1", "prefect.resource.role": "neighbor" }];
    const pruned = event({ event: "pump.stopped", resource: { "prefect.resource.id": "pump.2" }, related });
    await history.record(
      stretchOf([pruned, event({ event: "pump.started" }), event({ event: "pump.started" })]),
    );
    const db = open(true);
    expect(Object.fromEntries(await counts(db))).toMatchObject({ events: 3, names: 2, resources: 3 });

    expect(await history.prune({ maxRows: 2 }, noon)).toBe(1);
    const afterFirst = { events: 2, related_lists: 0, related_members: 0, names: 1, resources: 1, labels: 1 };
    expect(Object.fromEntries(await counts(db))).toEqual(afterFirst);
    expect(await history.prune({ maxRows: 0 }, noon)).toBe(2);
    const afterSecond = {
      events: 0,
      related_lists: 0,
      related_members: 0,
      names: 0,
      resources: 0,
      labels: 0,
    };
    expect(Object.fromEntries(await counts(db))).toEqual(afterSecond);
    await history.close();
  });

  // Otherwise the file would never shrink, and a limit on its size would have no effect.
  test("returns the space to the file system", async () => {
    const history = await openHistory({ path: path(), workspace: "greenhouse" });
    const large = Array.from({ length: 600 }, () => event({ payload: { text: "x".repeat(5_000) } }));
    await history.record(stretchOf(large));
    const db = open();
    const pageCount = async () => Number((await numbersOf(db, "pragma page_count"))[0]);
    const before = await pageCount();
    expect(await history.prune({ maxRows: 0 }, noon)).toBe(600);
    expect(await pageCount()).toBeLessThan(before / 10);
    await history.close();
  });
});
