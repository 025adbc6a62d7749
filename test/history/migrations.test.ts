/** The tables of the history: how they are created and upgraded, and that an older version does not touch newer ones. */

import { mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HistoryMisconfigured } from "../../src/history/errors.ts";
import { openHistory } from "../../src/history/history.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { event, filter, stretchOf } from "./greenhouse.ts";

describe.each(databaseKinds)("the tables in $name", ({ name, missing, start }) => {
  if (missing !== null) {
    test.skip(`not tested: ${missing}`);
    return;
  }
  let database: TestDatabase;
  beforeEach(async () => {
    database = await start();
  });
  afterEach(() => database.remove());

  /** Runs SQL directly on the database. @returns the rows of its last statement */
  async function execute(sql: string): Promise<unknown[]> {
    const options = database.options("greenhouse");
    if ("path" in options) {
      mkdirSync(dirname(options.path), { recursive: true });
      const sqlite = new DatabaseSync(options.path);
      try {
        if (/^select/i.test(sql))
          return sqlite
            .prepare(sql)
            .all()
            .map((row) => ({ ...row }));
        sqlite.exec(sql);
        return [];
      } finally {
        sqlite.close();
      }
    }
    const client = new pg.Client({ connectionString: options.url });
    await client.connect();
    try {
      await client.query("set search_path to tripline");
      return (await client.query(sql)).rows ?? [];
    } finally {
      await client.end();
    }
  }
  const migrationNames = () => execute("select name from kysely_migration order by name");
  const read = async () => {
    const history = await openHistory(database.options("greenhouse"));
    try {
      const { events, total } = await history.queryEvents(
        filter({ occurred: { since: "2000-01-01T00:00:00Z", until: "2099-01-01T00:00:00Z" } }),
        { limit: 100 },
      );
      return { ids: events.map(({ id }) => id).sort(), total, position: await history.recordedPosition() };
    } finally {
      await history.close();
    }
  };

  test("of version 0.1 are upgraded with their events, and can be written to", async () => {
    const file = new URL(
      `version-1/${name.toLowerCase().replace("postgresql", "postgres")}.sql`,
      import.meta.url,
    );
    await execute(readFileSync(file, "utf8"));
    const ids = [1, 2].map((number) => `00000000-0000-4000-8000-00000000000${number}`);
    expect(await read()).toEqual({ ids, total: 2, position: "1-2" });
    const history = await openHistory(database.options("greenhouse"));
    const third = "00000000-0000-4000-8000-000000000003";
    expect(
      await history.record({ ...stretchOf([event({ id: third })]), after: "1-2", position: "1-3" }),
    ).toBe(1);
    await history.close();
    expect(await read()).toEqual({ ids: [...ids, third], total: 3, position: "1-3" });
    expect(await migrationNames()).toEqual([
      { name: "0001-tables" },
      { name: "0002-payloads" },
      { name: "0003-followers" },
    ]);
  });

  // A million of them take a minute. Events are recorded meanwhile, and a repeated one must still count once.
  test("of version 0.1 with many events are upgraded in steps, newest first", async () => {
    const file = new URL(
      `version-1/${name.toLowerCase().replace("postgresql", "postgres")}.sql`,
      import.meta.url,
    );
    await execute(readFileSync(file, "utf8"));
    const count = 21_500;
    const numbers =
      name === "SQLite"
        ? `with recursive n (n) as (select 3 union all select n + 1 from n where n < ${count}) `
        : `with n as (select generate_series(3, ${count}) as n) `;
    const id = name === "SQLite" ? "printf('%012d', n)" : "lpad(n::text, 12, '0')";
    await execute(
      `${numbers} insert into events select n, 1, '00000000-0000-4000-8000-' || ${id}, 1772366400000000 + n, 1772366400000000,
       1, 1, text_length, replace(body, '000000000001', ${id}), searched from events, n where events.key = 1`,
    );
    await execute(`update workspaces set event_count = ${count}, position = '1-${count}'`);
    const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    const all = filter({ occurred: { since: "2000-01-01T00:00:00Z", until: "2099-01-01T00:00:00Z" } });
    const history = await openHistory(database.options("greenhouse"));
    try {
      const first = await history.queryEvents(all, { limit: 2 });
      expect(first.total).toBe(20_000);
      expect(first.events.map(({ id }) => id)).toEqual([idOf(count), idOf(count - 1)]);
      const later = event({ occurred: "2026-03-02T12:00:00Z" });
      const repeated = event({ id: idOf(5) });
      const stretch = stretchOf([later, repeated], `1-${count}`);
      expect(await history.record(stretch)).toBe(1);
      expect(await history.prune({ maxRows: 10 }, 0)).toBe(0); // the oldest are not there yet
      expect(await history.upgrade(1_000)).toBe(1_000);
      expect(await history.upgrade(1_000)).toBe(500);
      expect(await history.upgrade(1_000)).toBe(0);
      const { events, total } = await history.queryEvents(all, { limit: 1 });
      expect([total, events[0]?.id]).toEqual([count + 1, later.id]);
      const keys = (await execute(
        "select count(*) as count, min(key) as first, max(key) as last from events",
      )) as {
        [column: string]: unknown;
      }[];
      expect(Object.values(keys[0] ?? {}).map(Number)).toEqual([count + 1, 1, count + 1]);
      expect(await history.prune({ maxRows: 10 }, 0)).toBe(count + 1 - 10);
    } finally {
      await history.close();
    }
  });

  test("are created once by processes that start at the same time", async () => {
    const histories = await Promise.all(
      Array.from({ length: 4 }, () => openHistory(database.options("greenhouse"))),
    );
    await Promise.all(histories.map((history) => history.close()));
    expect(await migrationNames()).toEqual([
      { name: "0001-tables" },
      { name: "0002-payloads" },
      { name: "0003-followers" },
    ]);
    expect(await execute("select name from workspaces")).toEqual([{ name: "greenhouse" }]);
  });

  test("of a newer version are rejected, with a message that says so", async () => {
    await read();
    await execute(
      "insert into kysely_migration (name, timestamp) values ('0004-later', '2030-01-01T00:00:00Z')",
    );
    const opening = openHistory(database.options("greenhouse"));
    await expect(opening).rejects.toThrow(HistoryMisconfigured);
    await expect(opening).rejects.toThrow(
      /^A newer version of Tripline has upgraded the history's tables \(0004-later\)/,
    );
  });

  // Half a migration could be neither repeated nor rolled back.
  test("stay as they were when a migration fails halfway", async () => {
    // Collides with one of the last tables, not with the first ones.
    if (name === "PostgreSQL") await execute("create schema tripline; set search_path to tripline");
    await execute(`create table ${name === "PostgreSQL" ? "tripline." : ""}related (a integer)`);
    await expect(openHistory(database.options("greenhouse"))).rejects.toThrow(/related/);
    await execute(`drop table ${name === "PostgreSQL" ? "tripline." : ""}related`);
    expect(await read()).toEqual({ ids: [], total: 0, position: "0-0" });
  });
});
