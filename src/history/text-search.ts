/**
 * Text search in SQL. What is searched is in three places: the name, the label sets, and the payload of an event.
 *
 * Names and label sets are stored once. For many events it is faster to find those that contain a term first; for few, to
 * look at those of each event.
 */

import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { EventFilter } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { isAmong, type KeySet, keySetOf } from "./key-sets.ts";
import { containsText, every, some } from "./sql-text.ts";

/** The names and resources that contain a term. */
interface TermKeys {
  readonly names: KeySet;
  readonly resources: KeySet;
}

/** By term. */
export type TextKeys = ReadonlyMap<string, TermKeys>;

/** With this many events or fewer in its time range, a search looks only at the resources of those. */
const rangeCountMax = 200_000;

export function hasText({ text: { any, all, none } }: EventFilter): boolean {
  return any.length + all.length + none.length > 0;
}

/** Finds the names and resources that contain the terms of a filter. */
export async function textKeysFor(database: HistoryDatabase, filter: EventFilter): Promise<TextKeys> {
  const { any, all, none } = filter.text;
  const isInRange = await isShortRange(database, filter, rangeCountMax);
  const keys = new Map<string, TermKeys>();
  for (const term of new Set([...any, ...all, ...none])) {
    const names = database.db
      .selectFrom("names as n")
      .select("n.key")
      .where("n.workspace", "=", database.workspace)
      .where(containsText(sql.ref("n.searched"), term, database.dialect));
    let resources = database.db
      .selectFrom("resources as r")
      .select("r.key")
      .where(sql<SqlBool>`+r.workspace = ${database.workspace}`) // a scan in the order of the table is faster
      .where(containsText(sql.ref("r.searched"), term, database.dialect));
    if (isInRange) resources = resources.where(sql<SqlBool>`r.key in ${resourcesInRange(database, filter)}`);
    keys.set(term, { names: await keySetOf(names as never), resources: await keySetOf(resources as never) });
  }
  return keys;
}

/**
 * The condition of a filter's text on an event `e`.
 *
 * @param keys null to look at the names and label sets of each event
 */
export function matchesText(
  database: HistoryDatabase,
  { text: { any, all, none } }: EventFilter,
  keys: TextKeys | null,
): RawBuilder<SqlBool>[] {
  const contains = (term: string) =>
    some([
      containsText(sql`coalesce(e.searched, lower(e.payload))`, term, database.dialect),
      ...(keys === null ? inEach(database, term) : amongFound(database, keys.get(term))),
    ]);
  return [
    ...(any.length > 0 ? [some(any.map(contains))] : []),
    ...all.map(contains),
    ...none.map((term) => sql<SqlBool>`not ${contains(term)}`),
  ];
}

function amongFound({ db }: HistoryDatabase, found: TermKeys | undefined): RawBuilder<SqlBool>[] {
  if (found === undefined) return [];
  const { names, resources } = found;
  const conditions: RawBuilder<SqlBool>[] = [];
  if (!isEmpty(names)) conditions.push(isAmong(sql`+e.name`, names));
  if (isEmpty(resources)) return conditions;
  const lists = db
    .selectFrom("related_members as m")
    .select("m.list")
    .where(isAmong(sql.ref("m.resource"), resources));
  // Without the first part it would be null for an event without related resources, and so would be its negation.
  const isRelated = sql<SqlBool>`(e.related is not null and +e.related in ${lists})`;
  return [...conditions, isAmong(sql`+e.resource`, resources), isRelated];
}

function inEach({ db, dialect }: HistoryDatabase, term: string): RawBuilder<SqlBool>[] {
  const inName = db
    .selectFrom("names as n")
    .select("n.key")
    .where(every([sql`n.key = e.name`, containsText(sql.ref("n.searched"), term, dialect)]));
  const inResource = db
    .selectFrom("resources as r")
    .select("r.key")
    .where(every([sql`r.key = e.resource`, containsText(sql.ref("r.searched"), term, dialect)]));
  const inRelated = db
    .selectFrom("related_members as m")
    .innerJoin("resources as r", "r.key", "m.resource")
    .select("r.key")
    .where(every([sql`m.list = e.related`, containsText(sql.ref("r.searched"), term, dialect)]));
  return [inName, inResource, inRelated].map((query) => sql<SqlBool>`exists ${query}`);
}

function eventsInRange({ db, workspace }: HistoryDatabase, { since, until }: EventFilter) {
  return db
    .selectFrom("events as q")
    .where("q.workspace", "=", workspace)
    .where("q.occurred", ">=", since)
    .where("q.occurred", "<=", until);
}

/** Whether the filter's time range has at most so many events. */
export async function isShortRange(
  database: HistoryDatabase,
  filter: EventFilter,
  countMax: number,
): Promise<boolean> {
  const beyond = await eventsInRange(database, filter)
    .select("q.key")
    .orderBy("q.occurred")
    .offset(countMax)
    .limit(1)
    .executeTakeFirst();
  return beyond === undefined;
}

/** The primary and related resources of the events in the filter's time range. */
function resourcesInRange(database: HistoryDatabase, filter: EventFilter) {
  const lists = eventsInRange(database, filter).select("q.related").where("q.related", "is not", null);
  const related = database.db
    .selectFrom("related_members as m")
    .select("m.resource")
    .where(sql<SqlBool>`m.list in ${lists}`);
  return eventsInRange(database, filter)
    .select("q.resource")
    .union(related as never);
}

function isEmpty(set: KeySet): boolean {
  return "keys" in set && set.keys.length === 0;
}
