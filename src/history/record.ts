/** Writes a stretch of the log into the tables, with the cursor in the same transaction. */

import { createHash } from "node:crypto";
import { type Insertable, type Kysely, sql, type Transaction } from "kysely";
import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import { type Event, eventOf, receivedEvent } from "../core/model/event.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { occurredOf } from "./matches.ts";
import type { Tables } from "./schema.ts";
import { comparable, comparableLabels, searchTextOf } from "./text.ts";

/** Consecutive entries of the log. */
export interface RecordedStretch {
  /** The position before the first entry. */
  readonly after: LogPosition;
  /** The position of the last entry, even if it could not be read. */
  readonly position: LogPosition;
  readonly entries: readonly LogEntry[];
}

/** Databases limit the number of parameters of a statement; SQLite to 32,766. */
const rowsPerStatement = 500;

/**
 * Records the events of a stretch, each id once, and moves the cursor to its end: all or nothing.
 *
 * @returns how many events were new; null if nothing was written, because another recorder has moved the cursor
 */
export async function record(
  database: HistoryDatabase,
  { after, position, entries }: RecordedStretch,
): Promise<number | null> {
  const { writer, workspace } = database;
  return await writer.transaction().execute(async (db) => {
    // Also locks the workspace's row, so that other recorders and pruning wait.
    const { numUpdatedRows } = await db
      .updateTable("workspaces")
      .set({ position })
      .where("key", "=", workspace)
      .where("position", "=", after)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) return null;

    const candidates = entries.flatMap((entry) => (entry.kind === "event" ? [entry.event] : []));
    const events = await newEvents(db, workspace, candidates);
    if (events.length === 0) return 0;
    const rows = await insertEvents(db, workspace, events);
    const textLength = rows.reduce((sum, { text_length }) => sum + text_length, 0);
    await db
      .updateTable("workspaces")
      .set({
        event_count: sql`event_count + ${rows.length}`,
        text_length: sql`text_length + ${textLength}`,
      })
      .where("key", "=", workspace)
      .execute();
    return rows.length;
  });
}

/** An event that any database accepts that works. */
const plainEvent = eventOf(
  {
    id: "00000000-0000-4000-8000-000000000000",
    occurred: "2026-01-01T00:00:00Z",
    event: "tripline.probe",
    resource: { "prefect.resource.id": "tripline.probe" },
    related: [],
    payload: {},
    follows: null,
  },
  0,
);

/** Records an event and takes it back. @throws the database's error if it does not even accept that */
export async function tryPlainEvent({ writer, workspace }: HistoryDatabase): Promise<void> {
  const takenBack = new Error("taken back");
  try {
    await writer.transaction().execute(async (db) => {
      await insertEvents(db, workspace, await newEvents(db, workspace, [plainEvent]));
      throw takenBack;
    });
  } catch (error) {
    if (error !== takenBack) throw error;
  }
}

/** The events that are not recorded yet; of events with the same id, the first. */
async function newEvents(
  db: Kysely<Tables>,
  workspace: number,
  candidates: readonly Event[],
): Promise<Event[]> {
  const events = new Map<string, Event>();
  for (const event of candidates) if (!events.has(event.id)) events.set(event.id, event);
  for (const ids of slices([...events.keys()])) {
    const known = await db
      .selectFrom("events")
      .select("id")
      .where("workspace", "=", workspace)
      .where("id", "in", ids)
      .execute();
    for (const { id } of known) events.delete(id);
  }
  return [...events.values()];
}

async function insertEvents(db: Transaction<Tables>, workspace: number, events: readonly Event[]) {
  const described = events.map((event) => ({
    event,
    name: nameOf(event),
    resource: labelSetOf(event.resource),
    related: event.related.map(labelSetOf),
  }));
  const names = await nameKeys(db, workspace, unique(described.map(({ name }) => name)));
  const labelSets = unique(described.flatMap(({ resource, related }) => [resource, ...related]));
  const resources = await resourceKeys(db, workspace, labelSets);

  const rows: Insertable<Tables["events"]>[] = [];
  for (const { event, name, resource } of described) {
    await breathe();
    const body = JSON.stringify(receivedEvent(event));
    const searched = searchTextOf(event);
    rows.push({
      workspace,
      id: event.id,
      occurred: occurredOf(event),
      received: event.received,
      name: names.get(name.hash) ?? 0,
      resource: resources.get(resource.hash) ?? 0,
      text_length: body.length + searched.length,
      body,
      searched,
    });
  }
  const keys = new Map<string, number>();
  for (const slice of slices(rows)) {
    const inserted = await db.insertInto("events").values(slice).returning(["key", "id"]).execute();
    for (const { key, id } of inserted) keys.set(id, key);
  }
  const related = described.flatMap(({ event, related }) =>
    unique(related).map(({ hash }) => ({
      event: keys.get(event.id) ?? 0,
      occurred: occurredOf(event),
      resource: resources.get(hash) ?? 0,
    })),
  );
  for (const slice of slices(related)) await db.insertInto("related").values(slice).execute();
  return rows;
}

interface Hashed {
  readonly hash: string;
}

interface Name extends Hashed {
  readonly name: string;
}

interface LabelSet extends Hashed {
  readonly id: string;
  readonly title: string;
  readonly labels: ReadonlyMap<string, string>;
}

function nameOf(event: Event): Name {
  const name = comparable(event.name);
  return { hash: hashOf(name), name };
}

function labelSetOf(resource: Event["resource"]): LabelSet {
  const labels = comparableLabels(resource);
  const id = labels.get("prefect.resource.id") ?? "";
  const title = labels.get("prefect.resource.name") || labels.get("prefect.name") || id;
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : 1));
  return { hash: hashOf(JSON.stringify(sorted)), id, title, labels };
}

/** A cryptographic hash, because a collision would mix up resources. 128 bits are enough. */
function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}

function unique<T extends Hashed>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [value.hash, value])).values()];
}

/** The keys of event names, by hash. New names are inserted. */
async function nameKeys(db: Transaction<Tables>, workspace: number, names: readonly Name[]) {
  const keys = await knownKeys(db, workspace, "names", names);
  const missing = names.filter(({ hash }) => !keys.has(hash));
  for (const slice of slices(missing)) {
    const rows = slice.map(({ hash, name }) => ({ workspace, hash, name }));
    const inserted = await db.insertInto("names").values(rows).returning(["key", "hash"]).execute();
    for (const { key, hash } of inserted) keys.set(hash, key);
  }
  return keys;
}

/** The keys of label sets, by hash. New sets are inserted with their labels. */
async function resourceKeys(db: Transaction<Tables>, workspace: number, labelSets: readonly LabelSet[]) {
  const keys = await knownKeys(db, workspace, "resources", labelSets);
  const missing = labelSets.filter(({ hash }) => !keys.has(hash));
  for (const slice of slices(missing)) {
    const rows = slice.map(({ hash, id, title }) => ({ workspace, hash, id, title }));
    const inserted = await db.insertInto("resources").values(rows).returning(["key", "hash"]).execute();
    for (const { key, hash } of inserted) keys.set(hash, key);
  }
  const labels = missing.flatMap(({ hash, labels }) => {
    const resource = keys.get(hash) ?? 0;
    return Array.from(labels, ([label, value]) => ({ resource, workspace, label, value }));
  });
  for (const slice of slices(labels)) await db.insertInto("labels").values(slice).execute();
  return keys;
}

async function knownKeys(
  db: Transaction<Tables>,
  workspace: number,
  table: "names" | "resources",
  values: readonly Hashed[],
): Promise<Map<string, number>> {
  const keys = new Map<string, number>();
  for (const slice of slices(values)) {
    const hashes = slice.map(({ hash }) => hash);
    const known = await db
      .selectFrom(table)
      .select(["key", "hash"])
      .where("workspace", "=", workspace)
      .where("hash", "in", hashes)
      .execute();
    for (const { key, hash } of known) keys.set(hash, key);
  }
  return keys;
}

function slices<T>(values: readonly T[]): T[][] {
  return chunksOf(values, rowsPerStatement);
}
