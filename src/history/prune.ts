/** Retention: forgets the oldest events, by age and by size. */

import { sql, type Transaction } from "kysely";
import { type Micros, millisecond } from "../core/model/time.ts";
import type { Tables } from "./schema.ts";
import type { Store } from "./store.ts";

/** Bounds of a workspace's history; what is left out is without bound. */
export interface Retention {
  /** How long after it was received an event is kept. */
  readonly maxAgeMs?: number | undefined;
  /** How many events are kept. */
  readonly maxRows?: number | undefined;
  /**
   * How many bytes the events may take. It is reckoned from the length of their texts, so take it as a guide: the
   * database also depends on how many different resources there are.
   */
  readonly maxBytes?: number | undefined;
}

/** So many events are forgotten in one transaction: a few milliseconds, for which the recorder has to wait. */
const eventsPerStep = 500;

/** What an event takes besides its texts, in indexes, references and its share of resources: see bench/history.ts. */
const bytesPerEvent = 600;

/**
 * Forgets what the bounds no longer allow, oldest received first, in small transactions.
 *
 * @param stopped asked between two steps; true ends it early
 * @returns how many events were forgotten
 */
export async function prune(
  store: Store,
  retention: Retention,
  now: Micros,
  stopped: () => boolean = () => false,
): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await store.writer
      .transaction()
      .execute((db) => pruneStep(db, store.workspace, retention, now));
    total += count;
    if (count < eventsPerStep || stopped()) break;
  }
  if (total > 0 && store.dialect === "sqlite") await sql`pragma incremental_vacuum`.execute(store.writer);
  return total;
}

async function pruneStep(
  db: Transaction<Tables>,
  workspace: number,
  { maxAgeMs, maxRows, maxBytes }: Retention,
  now: Micros,
): Promise<number> {
  // Taking the row's lock keeps a recorder from referring to a resource that is about to go.
  let { event_count: eventCount, text_length: textLength } = await db
    .updateTable("workspaces")
    .set({ event_count: sql`event_count` })
    .where("key", "=", workspace)
    .returning(["event_count", "text_length"])
    .executeTakeFirstOrThrow();
  const oldest = await db
    .selectFrom("events")
    .select(["key", "received", "name", "resource", "text_length"])
    .where("workspace", "=", workspace)
    .orderBy("received")
    .orderBy("key")
    .limit(eventsPerStep)
    .execute();
  const expired = maxAgeMs === undefined ? Number.NEGATIVE_INFINITY : now - maxAgeMs * millisecond;
  const kept = oldest.findIndex((event) => {
    const tooMany = eventCount > (maxRows ?? Number.POSITIVE_INFINITY);
    const tooLarge = textLength + eventCount * bytesPerEvent > (maxBytes ?? Number.POSITIVE_INFINITY);
    if (event.received >= expired && !tooMany && !tooLarge) return true;
    eventCount -= 1;
    textLength -= event.text_length;
    return false;
  });
  const forgotten = kept === -1 ? oldest : oldest.slice(0, kept);
  if (forgotten.length === 0) return 0;

  const keys = forgotten.map(({ key }) => key);
  const related = await db
    .selectFrom("related")
    .select("resource")
    .distinct()
    .where("event", "in", keys)
    .execute();
  await db.deleteFrom("related").where("event", "in", keys).execute();
  await db.deleteFrom("events").where("key", "in", keys).execute();
  await db
    .updateTable("workspaces")
    .set({ event_count: eventCount, text_length: textLength })
    .where("key", "=", workspace)
    .execute();
  const resources = new Set([...forgotten, ...related].map(({ resource }) => resource));
  await forgetResources(db, workspace, [...resources]);
  await forgetNames(db, workspace, [...new Set(forgotten.map(({ name }) => name))]);
  return forgotten.length;
}

/** Forgets those of the resources that no event refers to any more. */
async function forgetResources(db: Transaction<Tables>, workspace: number, keys: number[]): Promise<void> {
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
      not(exists(selectFrom("related as l").select("l.event").whereRef("l.resource", "=", "r.key"))),
    )
    .execute();
  if (unused.length === 0) return;
  const gone = unused.map(({ key }) => key);
  await db.deleteFrom("labels").where("resource", "in", gone).execute();
  await db.deleteFrom("resources").where("key", "in", gone).execute();
}

async function forgetNames(db: Transaction<Tables>, workspace: number, keys: number[]): Promise<void> {
  await db
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
    .execute();
}
