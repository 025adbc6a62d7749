/** Retention: deletes the oldest events, by age and by size. */

import { randomInt } from "node:crypto";
import { sql, type Transaction } from "kysely";
import { type Micros, millisecond } from "../core/model/time.ts";
import type { HistoryDatabase } from "./history-database.ts";
import type { Tables } from "./schema.ts";

/** Limits of a workspace's history. What is left out is unlimited. */
export interface Retention {
  /** How long to keep an event after it was received. */
  readonly maxAgeMs?: number | undefined;
  /** The maximum number of events. */
  readonly maxRows?: number | undefined;
  /**
   * The maximum size of the events in bytes. It is an estimate from the length of their texts: the actual size also depends
   * on the number of different resources.
   */
  readonly maxBytes?: number | undefined;
}

/** One transaction deletes at most this many events. It takes a few milliseconds, for which the recorder has to wait. */
const eventsPerStep = 500;

/** The size of an event besides its texts: indexes, references, and its share of resources; see bench/history.ts. */
const bytesPerEvent = 350;

/**
 * Deletes the events that exceed the retention, in the order they were received, in small transactions. None while events of
 * version 0.1 are being brought into the present form.
 *
 * @param isStopped checked between transactions; true ends the work early
 * @returns how many events were deleted
 */
export async function prune(
  database: HistoryDatabase,
  retention: Retention,
  now: Micros,
  isStopped: () => boolean = () => false,
): Promise<number> {
  if (await database.recording.hasOldEvents(database.workspace)) return 0; // those are the oldest
  let total = 0;
  for (;;) {
    const count = await database.writer
      .transaction()
      .execute((db) => pruneStep(db, database.workspace, retention, now));
    total += count;
    if (count < eventsPerStep || isStopped()) break;
  }
  if (total > 0 && database.dialect === "sqlite")
    await sql`pragma incremental_vacuum`.execute(database.writer);
  return total;
}

async function pruneStep(
  db: Transaction<Tables>,
  workspace: number,
  { maxAgeMs, maxRows, maxBytes }: Retention,
  now: Micros,
): Promise<number> {
  // Locks the row, so that no recorder refers to a resource that is about to be deleted.
  let { event_count: eventCount, text_length: textLength } = await db
    .updateTable("workspaces")
    .set({ event_count: sql`event_count` })
    .where("key", "=", workspace)
    .returning(["event_count", "text_length"])
    .executeTakeFirstOrThrow();
  const oldest = await db
    .selectFrom("events")
    .select(["key", "received", "name", "resource", "related"])
    .select(sql<number>`octet_length(payload) + coalesce(octet_length(searched), 0)`.as("text_length"))
    .where("workspace", "=", workspace)
    .orderBy("received")
    .orderBy("key")
    .limit(eventsPerStep)
    .execute();
  const receivedMin = maxAgeMs === undefined ? Number.NEGATIVE_INFINITY : now - maxAgeMs * millisecond;
  const firstKept = oldest.findIndex((event) => {
    const isTooMany = eventCount > (maxRows ?? Number.POSITIVE_INFINITY);
    const isTooLarge = textLength + eventCount * bytesPerEvent > (maxBytes ?? Number.POSITIVE_INFINITY);
    if (event.received >= receivedMin && !isTooMany && !isTooLarge) return true;
    eventCount -= 1;
    textLength -= event.text_length;
    return false;
  });
  const deleted = firstKept === -1 ? oldest : oldest.slice(0, firstKept);
  if (deleted.length === 0) return 0;

  const keys = deleted.map(({ key }) => key);
  await db.deleteFrom("events").where("key", "in", keys).execute();
  const lists = new Set(deleted.flatMap(({ related }) => related ?? []));
  const members = await deleteUnusedLists(db, workspace, [...lists]);
  const resources = new Set([...deleted.map(({ resource }) => resource), ...members]);
  const deletedCount =
    members.length +
    (await deleteUnusedResources(db, workspace, [...resources])) +
    (await deleteUnusedNames(db, workspace, [...new Set(deleted.map(({ name }) => name))]));
  const totals = { event_count: eventCount, text_length: textLength };
  // What recorders remember may be gone.
  const generation = deletedCount > 0 ? { generation: randomInt(2 ** 47) } : {};
  await db
    .updateTable("workspaces")
    .set({ ...totals, ...generation })
    .where("key", "=", workspace)
    .execute();
  return deleted.length;
}

/** Deletes those of the lists that no event refers to anymore. @returns the resources that were in them */
async function deleteUnusedLists(
  db: Transaction<Tables>,
  workspace: number,
  keys: number[],
): Promise<number[]> {
  if (keys.length === 0) return [];
  const unused = await db
    .selectFrom("related_lists as l")
    .select("l.key")
    .where(sql<boolean>`+l.workspace = ${workspace}`) // hidden from the indexes: the keys find them
    .where("l.key", "in", keys)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("events as e")
            .select("e.key")
            .where("e.workspace", "=", workspace)
            .whereRef("e.related", "=", "l.key"),
        ),
      ),
    )
    .execute();
  if (unused.length === 0) return [];
  const unusedKeys = unused.map(({ key }) => key);
  const members = await db
    .selectFrom("related_members")
    .select("resource")
    .distinct()
    .where("list", "in", unusedKeys)
    .execute();
  await db.deleteFrom("related_members").where("list", "in", unusedKeys).execute();
  await db.deleteFrom("related_lists").where("key", "in", unusedKeys).execute();
  return members.map(({ resource }) => resource);
}

/** Deletes those of the resources that nothing refers to anymore. @returns how many */
async function deleteUnusedResources(
  db: Transaction<Tables>,
  workspace: number,
  keys: number[],
): Promise<number> {
  const unused = await db
    .selectFrom("resources as r")
    .select("r.key")
    .where(sql<boolean>`+r.workspace = ${workspace}`) // hidden from the indexes: the keys find them
    .where("r.key", "in", keys)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("events as e")
            .select("e.key")
            .where("e.workspace", "=", workspace)
            .whereRef("e.resource", "=", "r.key"),
        ),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom("related_members as l").select("l.list").whereRef("l.resource", "=", "r.key"))),
    )
    .execute();
  if (unused.length === 0) return 0;
  const unusedKeys = unused.map(({ key }) => key);
  await db.deleteFrom("labels").where("resource", "in", unusedKeys).execute();
  await db.deleteFrom("resources").where("key", "in", unusedKeys).execute();
  return unused.length;
}

/** Deletes those of the names that no event refers to anymore. @returns how many */
async function deleteUnusedNames(
  db: Transaction<Tables>,
  workspace: number,
  keys: number[],
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom("names")
    .where(sql<boolean>`+workspace = ${workspace}`)
    .where("key", "in", keys)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("events as e")
            .select("e.key")
            .where("e.workspace", "=", workspace)
            .whereRef("e.name", "=", "names.key"),
        ),
      ),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
