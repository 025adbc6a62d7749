/** Finds the events that match a filter, in SQL. The result is the same as that of `matchesFilter` in memory. */

import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { EventFilter } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { isAmong, isAmongLargeSet, type KeySet, keysFor } from "./key-sets.ts";
import { bytesOf } from "./recording-memory.ts";
import type { Tables } from "./schema.ts";
import { every, some } from "./sql-text.ts";
import { hasText, isShortRange, matchesText, type TextKeys, textKeysFor } from "./text-search.ts";

export type MatchingEvents = SelectQueryBuilder<Tables & { e: Tables["events"] }, "e", Record<never, never>>;

/**
 * The index that finds the events; the other conditions are checked on what it finds. Left to themselves, databases tend to
 * read half of the table, because they do not know how many events a name or a resource has.
 */
type AccessPath = "id" | "resource" | "related" | "name" | "time";

/** A filter with its names and resources looked up. */
export interface Search {
  readonly database: HistoryDatabase;
  readonly filter: EventFilter;
  /** Null if the filter allows every name. */
  readonly names: KeySet | null;
  readonly resource: readonly KeySet[];
  readonly related: readonly KeySet[];
  readonly anyResource: readonly KeySet[];
  /** How to find all matching events. */
  readonly path: AccessPath;
  /** Null to look at the texts of each event. */
  readonly textKeys: TextKeys | null;
  /** Whether few events are looked at, so that finding all keys of a large set first would take longer. */
  readonly looksAtFew: boolean;
}

/** With this many events or fewer, the events of a related resource are looked up one by one. */
const relatedCountMax = 20_000;

/** With this many events or fewer in its time range, a search looks up the resources of each in a large set. */
const fewLookedAtMax = 20_000;

/** With this many events or fewer to look at, a text search looks at the texts of each. */
const eachTextCountMax = 5_000;

/** Looks up the names and resources of a filter. */
export async function prepareSearch(database: HistoryDatabase, filter: EventFilter): Promise<Search> {
  const { names, resource, related, anyResource } = await keysFor(database, filter);
  const found = { database, filter, names, resource, related, anyResource, textKeys: null };
  const isLarge = [...resource, ...related, ...anyResource].some(({ few }) => !few);
  const looksAtFew = isLarge && (await isShortRange(database, filter, fewLookedAtMax));
  const search = { ...found, looksAtFew };
  return { ...search, path: await pathOf(search) };
}

/**
 * The same search, for looking at all matching events: if they are many, what contains the texts of the filter is found
 * before. A walk in order of time ends long before that would be worth its while.
 */
export async function forAllEvents(search: Search): Promise<Search> {
  if (!hasText(search.filter) || search.textKeys !== null || (await leavesFew(search))) return search;
  return { ...search, textKeys: await textKeysFor(search.database, search.filter) };
}

/** Whether more than so many events match. Not for a filter with texts, which may have to look at all of them. */
export async function hasMoreThan(search: Search, count: number): Promise<boolean> {
  const beyond = await matchingEvents(search).select("e.key").offset(count).limit(1).executeTakeFirst();
  return beyond !== undefined;
}

/** Whether it is already known that nothing can match. */
export function findsNothing({ names, resource, related, anyResource }: Search): boolean {
  return [names ?? [], resource, related, anyResource]
    .flat()
    .some((set) => "keys" in set && set.keys.length === 0);
}

/** The matching events, as `e`, for counting or collecting all of them. */
export function matchingEvents(search: Search): MatchingEvents {
  return eventsBy(search.path, search);
}

/** The matching events, found by resource and time; for a join with a table that has both. */
export function matchingEventsByResource(search: Search): MatchingEvents {
  return eventsBy("resource", search);
}

/** The matching events, found by walking an index in order of time; for the first few of many. */
export function matchingEventsInOrder(search: Search): MatchingEvents {
  const { resource, names } = search;
  const inOrder = { ...search, textKeys: null, looksAtFew: true }; // it ends long before it has seen all
  if (resource.some(isSingle)) return eventsBy("resource", inOrder);
  return eventsBy(names !== null && isSingle(names) ? "name" : "time", inOrder);
}

/** Whether the conditions other than that on texts leave only a few events. */
async function leavesFew(search: Search): Promise<boolean> {
  const filter = { ...search.filter, text: { any: [], all: [], none: [] } };
  return !(await hasMoreThan({ ...search, filter }, eachTextCountMax));
}

async function pathOf(search: Omit<Search, "path">): Promise<AccessPath> {
  const { filter, names, resource } = search;
  if (filter.ids.length > 0) return "id";
  if (resource.some(({ few }) => few)) return "resource";
  if (await hasFewRelated(search)) return "related";
  return names === null ? "time" : "name";
}

function eventsBy(path: AccessPath, search: Search): MatchingEvents {
  const { database, filter, names, resource, related, anyResource, looksAtFew } = search;
  const { db, workspace } = database;
  const isIn = looksAtFew && path !== "resource" ? isAmongLargeSet : isAmong;
  // A plus sign before a column hides it from the indexes.
  const column = (name: keyof Tables["events"], ...paths: AccessPath[]): RawBuilder<number> =>
    paths.includes(path) ? sql.ref(`e.${name}`) : sql`+${sql.ref(`e.${name}`)}`;
  const key = column("key", "related");
  const resourceColumn = column("resource", "resource");

  const conditions = [
    sql<SqlBool>`${column("workspace", "id", "resource", "name", "time")} = ${workspace}`,
    sql<SqlBool>`${column("occurred", "resource", "name", "time")} between ${filter.since} and ${filter.until}`,
  ];
  if (filter.ids.length > 0) conditions.push(sql`e.id in (${sql.join(filter.ids.map(bytesOf))})`);
  if (names !== null) conditions.push(isAmong(column("name", "name"), names));
  for (const set of resource) conditions.push(isIn(resourceColumn, set));
  const isRelatedTo = (set: KeySet): RawBuilder<SqlBool> =>
    path === "related" ? sql`${key} in ${eventsRelatedTo(search, set)}` : hasRelated(database, set, isIn);
  for (const set of related) conditions.push(isRelatedTo(set));
  for (const set of anyResource) {
    // One list of keys if events are looked up by key; otherwise two checks on each event.
    if (path === "related") conditions.push(sql`${key} in (${eventsInvolving(search, set)})`);
    else conditions.push(some([isIn(resourceColumn, set), isRelatedTo(set)]));
  }
  conditions.push(...matchesText(database, filter, search.textKeys));
  return db.selectFrom("events as e").where(every(conditions));
}

function eventsRelatedTo({ database, filter }: Omit<Search, "path">, set: KeySet) {
  return database.db
    .selectFrom("events as q")
    .select("q.key")
    .where("q.workspace", "=", database.workspace)
    .where(sql<SqlBool>`q.related in ${listsWith(database, set)}`)
    .where("q.occurred", ">=", filter.since)
    .where("q.occurred", "<=", filter.until);
}

/** The lists of related resources that hold one of the set. */
function listsWith({ db }: HistoryDatabase, set: KeySet) {
  return db
    .selectFrom("related_members as l")
    .select("l.list")
    .where(isAmong(sql.ref("l.resource"), set));
}

/** Whether the event `e` has a related resource of the set. */
function hasRelated({ db }: HistoryDatabase, set: KeySet, isIn: typeof isAmong): RawBuilder<SqlBool> {
  const members = db
    .selectFrom("related_members as l")
    .select("l.list")
    .where(every([sql`l.list = e.related`, isIn(sql`+l.resource`, set)]));
  return sql`exists ${members}`;
}

/** The events whose primary or related resource is in the set; an event may appear twice. */
function eventsInvolving(search: Omit<Search, "path">, set: KeySet) {
  const { database, filter } = search;
  return database.db
    .selectFrom("events as p")
    .select("p.key")
    .where("p.workspace", "=", database.workspace)
    .where(isAmong(sql.ref("p.resource"), set))
    .where("p.occurred", ">=", filter.since)
    .where("p.occurred", "<=", filter.until)
    .unionAll(eventsRelatedTo(search, set));
}

/** Whether some test on related or any resources leaves only a few events. */
async function hasFewRelated(search: Omit<Search, "path">): Promise<boolean> {
  const { database, related, anyResource } = search;
  const found = [
    ...related.filter(({ few }) => few).map((set) => [set, eventsRelatedTo(search, set)] as const),
    ...anyResource.filter(({ few }) => few).map((set) => [set, eventsInvolving(search, set)] as const),
  ];
  for (const [set, events] of found) {
    // Each list is a look-up of its own, whether or not it has events in the filter's time range.
    const beyond = await listsWith(database, set).offset(relatedCountMax).limit(1).executeTakeFirst();
    if (beyond !== undefined) continue;
    const { count } = await database.db
      .selectFrom(
        database.db
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
