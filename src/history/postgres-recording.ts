/**
 * Records into PostgreSQL: a few statements for a whole stretch, and COPY for the events.
 *
 * The workspace's row is locked from the first statement on, so no other recorder adds names, label sets or events to the
 * workspace in the meantime, and nothing is pruned.
 */

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { breathe, chunksOf } from "../retry/slices.ts";
import { asHistoryError } from "./errors.ts";
import {
  plainEvent,
  type RecordedStretch,
  type Recording,
  type RecordOutcome,
  readRow,
  sizeOf,
  type UnreadableEvent,
} from "./recording.ts";
import {
  type EventRow,
  type LabelSet,
  type Name,
  RecordingMemories,
  RecordingMemory,
  type RelatedList,
  type StoredOnce,
} from "./recording-memory.ts";
import { postgresSchema } from "./schema.ts";

/** Recording through connections of a pool. */
export function postgresRecording(pool: pg.Pool): Recording {
  return new PostgresRecording(pool);
}

class PostgresRecording implements Recording {
  readonly #pool: pg.Pool;
  readonly #memories = new RecordingMemories();
  /** Whether a workspace has old events. There are never more of them. */
  readonly #oldEvents = new Map<number, boolean>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  record(workspace: number, { after, position, events }: RecordedStretch): Promise<RecordOutcome | null> {
    return this.#inTransaction(async (client) => {
      const moved = await client.query<{ generation: number }>(
        `update ${table("workspaces")} set position = $1 where key = $2 and position = $3 returning generation`,
        [position, workspace, after],
      );
      const [row] = moved.rows;
      if (row === undefined) return null;
      const memory = this.#memories.of(workspace, row.generation);
      const unreadable: UnreadableEvent[] = [];
      const rows: EventRow[] = [];
      for (const event of events) {
        await breathe();
        const eventRow = readRow(memory, event, unreadable);
        if (eventRow !== null) rows.push(eventRow);
      }
      const newRows = await this.#newRows(client, workspace, rows);
      await insertEvents(client, workspace, newRows, null);
      const length = newRows.reduce((sum, eventRow) => sum + sizeOf(eventRow), 0);
      if (newRows.length > 0) await addToTotals(client, workspace, newRows.length, length);
      return { newCount: newRows.length, unreadable };
    });
  }

  async tryPlainEvent(workspace: number): Promise<void> {
    const takenBack = new Error("taken back");
    try {
      await this.#inTransaction(async (client) => {
        const row = new RecordingMemory(0).rowOf(plainEvent.text, plainEvent.received);
        await client.query(`delete from ${table("events")} where workspace = $1 and id = $2`, [
          workspace,
          row.id,
        ]);
        await insertEvents(client, workspace, [row], null);
        throw takenBack;
      });
    } catch (error) {
      if (error !== takenBack) throw error;
    }
  }

  async upgrade(workspace: number, countMax: number): Promise<number> {
    if (!(await this.hasOldEvents(workspace))) return 0;
    return await this.#inTransaction(async (client) => {
      const locked = await client.query<{ generation: number }>(
        `update ${table("workspaces")} set position = position where key = $1 returning generation`,
        [workspace],
      );
      const memory = this.#memories.of(workspace, locked.rows[0]?.generation ?? 0);
      const { rows: old } = await client.query<{
        key: number;
        received: number;
        length: number;
        body: string;
      }>(
        `select key, received, text_length as length, body from ${table("old_events")}
         where +workspace = $1 order by key desc limit $2`,
        [workspace, countMax],
      );
      if (old.length === 0) {
        this.#oldEvents.set(workspace, false);
        return 0;
      }
      const rows: EventRow[] = [];
      const keys: number[] = [];
      for (const { key, received, body } of old) {
        await breathe();
        const row = readRow(memory, { position: "", received, text: body }, []);
        if (row === null) continue;
        rows.push(row);
        keys.push(key);
      }
      await insertEvents(client, workspace, rows, keys);
      await client.query(`delete from ${table("old_events")} where key = any($1::bigint[])`, [
        old.map(({ key }) => key),
      ]);
      const lengthBefore = old.reduce((sum, { length }) => sum + length, 0);
      const length = rows.reduce((sum, row) => sum + sizeOf(row), 0);
      await addToTotals(client, workspace, rows.length - old.length, length - lengthBefore);
      return old.length;
    });
  }

  async #inTransaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | null = null;
    try {
      client = await this.#pool.connect();
      await client.query("begin");
      const result = await work(client);
      await client.query("commit");
      client.release();
      return result;
    } catch (error) {
      this.#memories.clear();
      // The error that led here says what is wrong; a lost connection cannot be rolled back, and need not be.
      const isRolledBack = await client?.query("rollback").then(
        () => true,
        () => false,
      );
      client?.release(isRolledBack !== true);
      throw asHistoryError(error);
    }
  }

  /** Those that are not recorded yet; of events with the same id, the first. */
  async #newRows(client: pg.PoolClient, workspace: number, rows: readonly EventRow[]): Promise<EventRow[]> {
    const byId = new Map<string, EventRow>();
    for (const row of rows) if (!byId.has(row.idText)) byId.set(row.idText, row);
    if (byId.size === 0) return [];
    const ids = [...byId.values()].map(({ id }) => id);
    const { rows: known } = await client.query<{ id: Buffer }>(
      `select id from ${table("events")} where workspace = $1 and id = any($2::bytea[])`,
      [workspace, ids],
    );
    const knownIds = new Set(known.map(({ id }) => hexOf(id)));
    if (await this.hasOldEvents(workspace, client)) {
      const texts = [...byId.keys()].filter((text) => !text.includes("\0"));
      const { rows: old } = await client.query<{ id: string }>(
        `select id from ${table("old_events")} where workspace = $1 and id = any($2::text[])`,
        [workspace, texts],
      );
      for (const { id } of old) byId.delete(id);
    }
    const candidates = [...byId.values()];
    if (knownIds.size === 0) return candidates;
    return candidates.filter(({ id }) => !knownIds.has(hexOf(id)));
  }

  async hasOldEvents(workspace: number, client: pg.Pool | pg.PoolClient = this.#pool): Promise<boolean> {
    let known = this.#oldEvents.get(workspace);
    if (known === undefined) {
      const isTable = `select 1 where to_regclass('${table("old_events")}') is not null`;
      const first = `select 1 from ${table("old_events")} where workspace = $1 limit 1`;
      known =
        (await client.query(isTable)).rows.length > 0 &&
        (await client.query(first, [workspace])).rows.length > 0;
      this.#oldEvents.set(workspace, known);
    }
    return known;
  }
}

function table(name: string): string {
  return `${postgresSchema}.${name}`;
}

async function addToTotals(
  client: pg.PoolClient,
  workspace: number,
  count: number,
  length: number,
): Promise<void> {
  await client.query(
    `update ${table("workspaces")} set event_count = event_count + $1, text_length = text_length + $2 where key = $3`,
    [count, length, workspace],
  );
}

/** @param keys those of the events; null for the next ones */
async function insertEvents(
  client: pg.PoolClient,
  workspace: number,
  rows: readonly EventRow[],
  keys: readonly number[] | null,
): Promise<void> {
  if (rows.length === 0) return;
  await insertNames(client, workspace, missing(rows.map(({ name }) => name)));
  const lists = missing(rows.flatMap(({ related }) => related ?? []));
  const resources = [...rows.map(({ resource }) => resource), ...lists.flatMap(({ members }) => members)];
  await insertResources(client, workspace, missing(resources));
  await insertLists(client, workspace, lists);
  const columns =
    "workspace, id, occurred, received, name, resource, related, follows, odd, searched, payload";
  const lines = rows.map((row, index) => {
    const { id, occurred, received, name, resource, related, follows, odd, searched, payload } = row;
    const values = [
      workspace,
      bytesText(id),
      occurred,
      received,
      name.key,
      resource.key,
      related === null ? null : related.key,
      follows === null ? null : bytesText(follows),
      odd,
      searched,
      payload,
    ];
    return lineOf(keys === null ? values : [keys[index] ?? null, ...values]);
  });
  await copy(client, `events (${keys === null ? "" : "key, "}${columns})`, lines);
}

/** Those whose keys are not known, each once. */
function missing<T extends StoredOnce>(values: readonly T[]): T[] {
  return [...new Set(values)].filter(({ key }) => key === null);
}

function insertNames(client: pg.PoolClient, workspace: number, names: readonly Name[]): Promise<unknown> {
  return findOrInsert(client, workspace, names, "names", (added) => [
    ["name", "text", added.map(({ name }) => name)],
    ["searched", "text", added.map(({ searched }) => searched)],
  ]);
}

async function insertResources(
  client: pg.PoolClient,
  workspace: number,
  resources: readonly LabelSet[],
): Promise<void> {
  const added = await findOrInsert(client, workspace, resources, "resources", (sets) => [
    ["id", "text", sets.map(({ id }) => id)],
    ["title", "text", sets.map(({ title }) => title)],
    ["body", "text", sets.map(({ body }) => body)],
    ["searched", "text", sets.map(({ searched }) => searched)],
  ]);
  const lines = added.flatMap(({ key, labels }) =>
    Array.from(labels, ([label, value]) => lineOf([key, workspace, label, value])),
  );
  if (lines.length > 0) await copy(client, "labels (resource, workspace, label, value)", lines);
}

async function insertLists(
  client: pg.PoolClient,
  workspace: number,
  lists: readonly RelatedList[],
): Promise<void> {
  const added = await findOrInsert(client, workspace, lists, "related_lists", (values) => [
    ["body", "text", values.map(({ body }) => body)],
  ]);
  const lines = added.flatMap(({ key, members }) => {
    const resources = new Set(members.map((member) => member.key));
    return Array.from(resources, (resource) => lineOf([key, resource]));
  });
  if (lines.length > 0) await copy(client, "related_members (list, resource)", lines);
}

/**
 * Sets the keys of things that are stored once, and stores those that are not yet.
 *
 * @param columnsOf the columns besides workspace and hash, with their types and values
 * @returns those that were stored now
 */
async function findOrInsert<T extends StoredOnce>(
  client: pg.PoolClient,
  workspace: number,
  values: readonly T[],
  name: "names" | "resources" | "related_lists",
  columnsOf: (added: readonly T[]) => readonly (readonly [column: string, type: string, values: string[]])[],
): Promise<T[]> {
  if (values.length === 0) return [];
  const byHash = Map.groupBy(values, ({ hash }) => hexOf(hash));
  const setKeys = (rows: readonly { readonly key: number; readonly hash: Buffer }[]) => {
    for (const { key, hash } of rows) for (const value of byHash.get(hexOf(hash)) ?? []) value.key = key;
  };
  const hashes = values.map(({ hash }) => hash);
  const known = await client.query<{ key: number; hash: Buffer }>(
    `select key, hash from ${table(name)} where workspace = $1 and hash = any($2::bytea[])`,
    [workspace, hashes],
  );
  setKeys(known.rows);
  const added = [...byHash.values()].flatMap(([first]) => (first?.key === null ? [first] : []));
  if (added.length === 0) return [];
  const columns = columnsOf(added);
  const names = columns.map(([column]) => column).join(", ");
  const arrays = columns.map(([, type], index) => `$${index + 3}::${type}[]`).join(", ");
  const inserted = await client.query<{ key: number; hash: Buffer }>(
    `insert into ${table(name)} (workspace, hash, ${names})
     select $1, added.* from unnest($2::bytea[], ${arrays}) as added returning key, hash`,
    [workspace, added.map(({ hash }) => hash), ...columns.map(([, , texts]) => texts)],
  );
  setKeys(inserted.rows);
  return added;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** How many lines are sent at once: about a megabyte. */
const linesPerChunk = 2_000;

async function copy(client: pg.PoolClient, into: string, lines: readonly string[]): Promise<void> {
  const chunks = chunksOf(lines, linesPerChunk).map((chunk) => chunk.join(""));
  await pipeline(Readable.from(chunks), client.query(copyFrom(`copy ${table(into)} from stdin`)));
}

/** A row in PostgreSQL's text format for COPY. */
function lineOf(values: readonly (string | number | null)[]): string {
  let line = "";
  for (const value of values) {
    if (line !== "") line += "\t";
    if (value === null) line += "\\N";
    else line += typeof value === "number" ? value : escaped(value);
  }
  return `${line}\n`;
}

const special = /[\\\t\n\r]/;

function escaped(text: string): string {
  if (!special.test(text)) return text;
  return text
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
}

function bytesText(bytes: Uint8Array): string {
  return `\\x${hexOf(bytes)}`;
}
