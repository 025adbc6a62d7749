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
    expect(await migrationNames()).toEqual([{ name: "0001-tables" }]);
  });

  test("are created once by processes that start at the same time", async () => {
    const histories = await Promise.all(
      Array.from({ length: 4 }, () => openHistory(database.options("greenhouse"))),
    );
    await Promise.all(histories.map((history) => history.close()));
    expect(await migrationNames()).toEqual([{ name: "0001-tables" }]);
    expect(await execute("select name from workspaces")).toEqual([{ name: "greenhouse" }]);
  });

  test("of a newer version are rejected, with a message that says so", async () => {
    await read();
    await execute(
      "insert into kysely_migration (name, timestamp) values ('0002-later', '2030-01-01T00:00:00Z')",
    );
    const opening = openHistory(database.options("greenhouse"));
    await expect(opening).rejects.toThrow(HistoryMisconfigured);
    await expect(opening).rejects.toThrow(
      /^A newer version of Tripline has upgraded the history's tables \(0002-later\)/,
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
