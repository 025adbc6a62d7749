/** What happens when the database breaks under a running server. */

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { HistoryUnavailable } from "../../src/history/errors.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import { smallFileSystem } from "../support/small-file-system.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { event, filter, stretchOf } from "./greenhouse.ts";

const allTime = filter({ occurred: { since: "0001-01-01T00:00:00Z", until: "9999-01-01T00:00:00Z" } });

async function idsIn(history: History): Promise<string[]> {
  const { events } = await history.queryEvents(allTime, { limit: 1_000 });
  return events.map(({ id }) => id).toSorted();
}

describe("an SQLite file", () => {
  let folder: string;
  let path: string;
  let history: History;
  const onLost = vi.fn();
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "tripline-loss-"));
    path = join(folder, "below", "history.sqlite");
    onLost.mockClear();
    history = await openHistory({ path, workspace: "north", onLost });
  });
  afterEach(async () => {
    await history.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const first = event();
  const second = event();

  test.each([
    ["deleted", () => rmSync(path)],
    ["deleted with what belongs to it", () => rmSync(dirname(path), { recursive: true })],
    ["moved away with its folder", () => renameSync(dirname(path), join(folder, "elsewhere"))],
    [
      "replaced by an empty one",
      () => {
        writeFileSync(`${path}.new`, "");
        renameSync(`${path}.new`, path);
      },
    ],
  ])(
    "that is %s is noticed by the next query, and made again from what the log holds",
    async (_what, lose) => {
      const other = await history.inWorkspace("south");
      await history.record(stretchOf([first]));
      lose();
      expect(await other.recordedPosition()).toBe("0-0");
      expect(onLost.mock.calls).toEqual([[expect.stringMatching(/its file was (deleted|replaced)/)]]);
      // The recorder is told that its position is gone, and starts over.
      expect(await history.record(stretchOf([second], "1-1"))).toBeNull();
      await history.record(stretchOf([first, second]));
      expect(await idsIn(history)).toEqual([first.id, second.id].toSorted());
      // The workspaces may have other keys in the new file than in the old one.
      expect(await idsIn(other)).toEqual([]);
      expect(onLost).toHaveBeenCalledTimes(1);
    },
  );

  test("that is deleted is opened again by all that use it at the same time, and none harms the others", async () => {
    const others = await Promise.all(
      [1, 2].map(() => openHistory({ path, workspace: "north", isOnThisThread: true })),
    );
    try {
      for (let round = 0; round < 8; round += 1) {
        rmSync(dirname(path), { recursive: true });
        await Promise.all([history, ...others].map((one) => one.recordedPosition()));
        await history.record(stretchOf([first]));
        for (const other of others) expect(await idsIn(other)).toEqual([first.id]);
      }
    } finally {
      for (const other of others) await other.close();
    }
  });

  test("whose write-ahead log is deleted is opened again", async () => {
    await history.record(stretchOf([first]));
    for (const ending of ["-wal", "-shm"]) rmSync(`${path}${ending}`);
    await history.record(stretchOf([first, second], (await history.recordedPosition()) ?? undefined));
    expect(await idsIn(history)).toEqual([first.id, second.id].toSorted());
    expect(onLost.mock.calls).toEqual([["its file was replaced"]]);
  });

  // SQLite would apply the write-ahead log of the old file to the new one, and damage it.
  test("that is replaced by a backup continues where the backup ends", async () => {
    await history.record(stretchOf([first]));
    await history.close();
    copyFileSync(path, `${path}.backup`);
    history = await openHistory({ path, workspace: "north", onLost });
    const many = Array.from({ length: 500 }, () => event());
    await history.record(stretchOf(many, "1-1"));
    expect(existsSync(`${path}-wal`)).toBe(true);
    renameSync(`${path}.backup`, path);
    expect(await history.recordedPosition()).toBe("1-1");
    await history.record(stretchOf([second], "1-1"));
    expect(await idsIn(history)).toEqual([first.id, second.id].toSorted());
    expect(onLost.mock.calls).toEqual([["its file was replaced"]]);
  });

  test("that is overwritten with something else is reported as damaged, with a remedy", async () => {
    await history.record(stretchOf([first]));
    await history.close();
    history = await openHistory({ path, workspace: "north", onLost });
    truncateSync(path, 4_096);
    writeFileSync(path, "not a database".repeat(10_000));
    const error = await history.record(stretchOf([second], "1-1")).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HistoryUnavailable);
    expect((error as Error).message).toMatch(/malformed|not a database/);
    expect((error as Error).message).toContain("restore a backup");
  });

  test("whose folder cannot be made again is unavailable until it can", async () => {
    await history.record(stretchOf([first]));
    rmSync(dirname(path), { recursive: true });
    writeFileSync(dirname(path), "in the way");
    await expect(history.recordedPosition()).rejects.toThrow(HistoryUnavailable);
    await expect(history.recordedPosition()).rejects.toThrow("its folder cannot be created (EEXIST)");
    rmSync(dirname(path));
    expect(await history.recordedPosition()).toBe("0-0");
  });
});

const disk = smallFileSystem(3);

describe("a full disk", () => {
  if (disk.missing !== null) {
    test.skip(`not tested: ${disk.missing}`);
    return;
  }
  let folder: string;
  beforeAll(() => {
    folder = disk.mount();
  });
  afterAll(() => disk.unmount());

  test("is named as the cause, and recording continues where it stopped once there is space", async () => {
    const history = await openHistory({ path: join(folder, "history.sqlite"), workspace: "north" });
    try {
      const ids: string[] = [];
      let after = "0-0";
      const recordMore = async () => {
        const events = Array.from({ length: 50 }, () => event({ payload: { text: "x".repeat(2_000) } }));
        const stretch = stretchOf(events, after);
        await history.record(stretch);
        after = stretch.position;
        ids.push(...events.map(({ id }) => id));
      };
      const filler = join(folder, "filler");
      writeFileSync(filler, Buffer.alloc(1_200_000));
      const failure = await (async () => {
        for (let count = 0; count < 100; count++) await recordMore();
      })().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(HistoryUnavailable);
      expect((failure as Error).message).toBe("The history is unavailable: database or disk is full");
      // What was recorded can still be read.
      expect(await history.recordedPosition()).toBe(after);
      rmSync(filler);
      await recordMore();
      expect(await idsIn(history)).toEqual(ids.toSorted());
    } finally {
      await history.close();
    }
  });
});

const postgres = databaseKinds.find(({ name }) => name === "PostgreSQL");

describe("a PostgreSQL database", () => {
  if (postgres === undefined || postgres.missing !== null) {
    test.skip(`not tested: ${postgres?.missing}`);
    return;
  }
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await postgres.start();
    const options = database.options("north");
    client = new pg.Client({ connectionString: "url" in options ? options.url : "" });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.remove();
  });

  const endConnections = () =>
    client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tripline'",
    );

  test("that becomes read-only is unavailable until it is not", async () => {
    const history = await openHistory(database.options("read-only"));
    try {
      await history.record(stretchOf([event()]));
      await client.query("alter database postgres set default_transaction_read_only = on");
      await endConnections();
      await vi.waitFor(async () => {
        const failure = await history.record(stretchOf([event()], "1-1")).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(HistoryUnavailable);
        expect((failure as Error).message).toMatch(/read-only transaction/);
      }, 20_000);
      expect(await idsIn(history)).toHaveLength(1);
      await client.query("set default_transaction_read_only = off");
      await client.query("alter database postgres reset default_transaction_read_only");
      await endConnections();
      await vi.waitFor(() => history.record(stretchOf([event()], "1-1")), 20_000);
      expect(await idsIn(history)).toHaveLength(2);
    } finally {
      await history.close();
    }
  });

  test("whose login, permission or name is taken away is unavailable until it is given back", async () => {
    await client.query("create role gardener login");
    await client.query("create database garden owner gardener");
    const admin = new URL((database.options("") as { url: string }).url);
    const url = Object.assign(new URL(admin), { username: "gardener", pathname: "/garden" });
    const garden = new pg.Client({
      connectionString: Object.assign(new URL(admin), { pathname: "/garden" }).href,
    });
    const history = await openHistory({ url: url.href, workspace: "garden" });
    try {
      await garden.connect();
      await history.record(stretchOf([event()]));
      const owned = (owner: string) =>
        `alter schema tripline owner to ${owner}; alter table tripline.workspaces owner to ${owner}`;
      const [takeName, giveName] = ["garden rename to hidden", "hidden rename to garden"];
      const changes: [take: string, giveBack: string, reason: RegExp][] = [
        [owned("tripline"), owned("gardener"), /permission denied/],
        ["alter role gardener nologin", "alter role gardener login", /not permitted to log in/],
        [`alter database ${takeName}`, `alter database ${giveName}`, /does not exist/],
      ];
      for (const [take, giveBack, reason] of changes) {
        const connection = reason.test("permission denied") ? garden : client;
        await endConnections();
        await connection.query(take);
        await vi.waitFor(async () => {
          const failure = await history.recordedPosition().catch((error: unknown) => error);
          expect(failure).toBeInstanceOf(HistoryUnavailable);
          expect((failure as Error).message).toMatch(reason);
        }, 20_000);
        await connection.query(giveBack);
        await vi.waitFor(() => history.recordedPosition(), 20_000);
        if (connection === garden) await garden.end();
      }
      expect(await idsIn(history)).toHaveLength(1);
    } finally {
      await history.close();
    }
  });

  test("that loses its connection during a transaction says so, not that the rollback failed", async () => {
    const history = await openHistory(database.options("cut"));
    try {
      await client.query("begin");
      await client.query("lock table tripline.events in access exclusive mode");
      const failing = history.record(stretchOf([event()])).catch((error: unknown) => error);
      await vi.waitFor(async () => {
        const waiting = await client.query("select 1 from pg_locks where not granted");
        expect(waiting.rowCount).toBeGreaterThan(0);
      }, 20_000);
      await endConnections();
      await client.query("rollback");
      expect(String(await failing)).toMatch(
        /^HistoryUnavailable: .*terminating connection due to administrator/,
      );
      expect(await history.record(stretchOf([event()]))).toBe(1);
    } finally {
      await history.close();
    }
  });

  test("whose schema was dropped gets it again", async () => {
    const onLost = vi.fn();
    vi.useFakeTimers({ toFake: ["performance"] });
    const history = await openHistory({ ...database.options("dropped"), onLost });
    try {
      await history.record(stretchOf([event()]));
      await client.query("drop schema tripline cascade");
      vi.advanceTimersByTime(60_000); // it was opened a while ago
      await expect(history.recordedPosition()).rejects.toThrow(HistoryUnavailable);
      expect(onLost.mock.calls).toEqual([[expect.stringContaining("lost its tables")]]);
      expect(await history.recordedPosition()).toBe("0-0");
      expect(await history.record(stretchOf([event()]))).toBe(1);
    } finally {
      vi.useRealTimers();
      await history.close();
    }
  });

  // A full tablespace answers the same way as a full disk: with the SQLSTATE 53100.
  test("on a full disk is named as the cause", async (context) => {
    if (disk.missing !== null) return context.skip(disk.missing);
    const folder = disk.mount();
    try {
      const uid = Number(execFileSync("id", ["-u", "postgres"]));
      const place = join(folder, "space");
      mkdirSync(place);
      execFileSync("chown", ["-R", String(uid), folder]);
      await client.query(`create tablespace small location '${place}'`);
      const history = await openHistory(database.options("full"));
      await client.query("alter table tripline.events set tablespace small");
      try {
        let after = "0-0";
        const failure = await (async () => {
          for (let count = 0; count < 100; count++) {
            const events = Array.from({ length: 50 }, () => event({ payload: { text: randomText(2_000) } }));
            const stretch = stretchOf(events, after);
            await history.record(stretch);
            after = stretch.position;
          }
        })().catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(HistoryUnavailable);
        expect((failure as Error).message).toMatch(/No space left on device/);
        expect(await history.recordedPosition()).toBe(after);
      } finally {
        await history.close();
        await client.query("alter table tripline.events set tablespace pg_default");
        await client.query("drop tablespace small");
      }
    } finally {
      disk.unmount();
    }
  });
});

/** A text that does not compress, as PostgreSQL compresses long ones. */
function randomText(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(0x4e00 + Math.floor(Math.random() * 20_000))).join(
    "",
  );
}
