/** A filter in SQL: the events that match it, as `matchesFilter` decides it in memory. */

import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { EventFilter } from "./filter.ts";
import { isAmong, type KeySet, keysFor } from "./key-sets.ts";
import type { Tables } from "./schema.ts";
import { every, holds, some } from "./sql-text.ts";
import type { Store } from "./store.ts";

export type MatchingEvents = SelectQueryBuilder<Tables & { e: Tables["events"] }, "e", Record<never, never>>;

/**
 * The index that finds the events; the other conditions are then checked on what it finds. Databases that choose for
 * themselves tend to read half the table for want of knowing how many events a name or a resource has.
 */
type Path = "id" | "resource" | "related" | "name" | "time";

/** A filter with its names and resources looked up. */
export interface Search {
  readonly store: Store;
  readonly filter: EventFilter;
  /** Null when any name will do. */
  readonly names: KeySet | null;
  readonly resource: readonly KeySet[];
  readonly related: readonly KeySet[];
  readonly anyResource: readonly KeySet[];
  /** How to find all events that match. */
  readonly path: Path;
}

/** Up to how many events a related resource may have for its events to be looked up one by one. */
const relatedCountMax = 20_000;

export async function prepareSearch(store: Store, filter: EventFilter): Promise<Search> {
  const { names, resource, related, anyResource } = await keysFor(store, filter);
  const search = { store, filter, names, resource, related, anyResource };
  return { ...search, path: await pathOf(search) };
}

/** True when it is already known that nothing can match. */
export function findsNothing({ names, resource, related, anyResource }: Search): boolean {
  return [names ?? [], resource, related, anyResource]
    .flat()
    .some((set) => "keys" in set && set.keys.length === 0);
}

/** The events that match, as `e`, for counting or gathering all of them. */
export function matchingEvents(search: Search): MatchingEvents {
  return eventsBy(search.path, search);
}

/**
 * The events that match, each found by its resource and the time at which it occurred; for joining with a table that
 * has both.
 */
export function matchingEventsByResource(search: Search): MatchingEvents {
  return eventsBy("resource", search);
}

/**
 * The events that match, found by walking an index in order of time, which pays when they are many and only the first
 * are wanted.
 */
export function matchingEventsInOrder(search: Search): MatchingEvents {
  const { resource, names } = search;
  if (resource.some(isSingle)) return eventsBy("resource", search);
  return eventsBy(names !== null && isSingle(names) ? "name" : "time", search);
}

async function pathOf(search: Omit<Search, "path">): Promise<Path> {
  const { filter, names, resource } = search;
  if (filter.ids.length > 0) return "id";
  if (resource.some(({ few }) => few)) return "resource";
  if (await hasFewRelated(search)) return "related";
  return names === null ? "time" : "name";
}

function eventsBy(path: Path, search: Search): MatchingEvents {
  const { store, filter, names, resource, related, anyResource } = search;
  const { db, dialect, workspace } = store;
  // A plus sign before a column hides it from the indexes.
  const column = (name: keyof Tables["events"], ...paths: Path[]): RawBuilder<number> =>
    paths.includes(path) ? sql.ref(`e.${name}`) : sql`+${sql.ref(`e.${name}`)}`;
  const key = column("key", "related");
  const resourceColumn = column("resource", "resource");

  const conditions = [
    sql<SqlBool>`${column("workspace", "id", "resource", "name", "time")} = ${workspace}`,
    sql<SqlBool>`${column("occurred", "resource", "name", "time")} between ${filter.since} and ${filter.until}`,
  ];
  if (filter.ids.length > 0) conditions.push(sql`e.id in (${sql.join(filter.ids)})`);
  if (names !== null) conditions.push(isAmong(column("name", "name"), names));
  for (const set of resource) conditions.push(isAmong(resourceColumn, set));
  for (const set of related) conditions.push(sql`${key} in ${eventsRelatedTo(search, set)}`);
  for (const set of anyResource) {
    // As one list of keys where the keys are looked up, else as two checks of each event.
    if (path === "related") conditions.push(sql`${key} in (${eventsInvolving(search, set)})`);
    else
      conditions.push(some([isAmong(resourceColumn, set), sql`${key} in ${eventsRelatedTo(search, set)}`]));
  }
  const searched = sql.ref<string>("e.searched");
  const { any, all, none } = filter.text;
  if (any.length > 0) conditions.push(some(any.map((term) => holds(searched, term, dialect))));
  for (const term of all) conditions.push(holds(searched, term, dialect));
  for (const term of none) conditions.push(sql`not ${holds(searched, term, dialect)}`);
  return db.selectFrom("events as e").where(every(conditions));
}

function eventsRelatedTo({ store, filter }: Omit<Search, "path">, set: KeySet) {
  return store.db
    .selectFrom("related as l")
    .select("l.event as key")
    .where(isAmong(sql.ref("l.resource"), set))
    .where("l.occurred", ">=", filter.since)
    .where("l.occurred", "<=", filter.until);
}

/** The events whose primary or related resource is in the set; some of them twice. */
function eventsInvolving(search: Omit<Search, "path">, set: KeySet) {
  const { store, filter } = search;
  return store.db
    .selectFrom("events as p")
    .select("p.key")
    .where("p.workspace", "=", store.workspace)
    .where(isAmong(sql.ref("p.resource"), set))
    .where("p.occurred", ">=", filter.since)
    .where("p.occurred", "<=", filter.until)
    .unionAll(eventsRelatedTo(search, set));
}

/** True when some test on related resources, or on any, leaves only few events. */
async function hasFewRelated(search: Omit<Search, "path">): Promise<boolean> {
  const { store, related, anyResource } = search;
  const found = [
    ...related.filter(({ few }) => few).map((set) => eventsRelatedTo(search, set)),
    ...anyResource.filter(({ few }) => few).map((set) => eventsInvolving(search, set)),
  ];
  for (const events of found) {
    const { count } = await store.db
      .selectFrom(
        store.db
          .selectFrom(events.as("f"))
          .select("f.key")
          .limit(relatedCountMax + 1)
          .as("few"),
      )
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    if (count <= relatedCountMax) return true;
  }
  return false;
}

function isSingle(set: KeySet): boolean {
  return "keys" in set && set.keys.length === 1;
}
