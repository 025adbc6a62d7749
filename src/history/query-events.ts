/** Reads a page of the matching events, and counts them all. */

import { sql } from "kysely";
import type { ReceivedEvent } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import type { EventFilter } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import {
  findsNothing,
  forAllEvents,
  hasMoreThan,
  matchingEvents,
  matchingEventsByResource,
  matchingEventsInOrder,
  prepareSearch,
  type Search,
} from "./matching.ts";
import { bytesOf } from "./recording-memory.ts";
import { eventsWithKeys } from "./stored-event.ts";
import { hasText } from "./text-search.ts";

/** Where a page ended, as plain JSON. */
export interface PageCursor {
  readonly occurred: Micros;
  /** Breaks ties: the event's place in the order of recording. */
  readonly key: number;
  /** The total when the first page was read; all pages report it. */
  readonly total: number;
}

export interface EventPage {
  readonly events: readonly ReceivedEvent[];
  /** The total number of matching events; with `distinct`, the number of resources that have such events. */
  readonly total: number;
  /** Pass this with the same filter to read the next page; null on the last page. */
  readonly next: PageCursor | null;
}

export interface PageOptions {
  /** The maximum number of events, 0 or more. */
  readonly limit: number;
  /** `next` of the previous page. */
  readonly after?: PageCursor | null | undefined;
}

/**
 * Up to this many matching events are collected and sorted. If there are more, an index in order of time is walked until
 * the page is full. With few matches that walk would take long; with many, sorting would.
 */
const sortedCountMax = 5_000;

/** Finds the events whose ids begin with some hexadecimal digits, in the order of their ids. */
export async function eventsByIdPrefix(
  database: HistoryDatabase,
  prefix: string,
  limit: number,
): Promise<ReceivedEvent[]> {
  const digits = prefix.replaceAll("-", "");
  if (digits.length > 32) return [];
  const rows = await database.db
    .selectFrom("events")
    .select("key")
    .where("workspace", "=", database.workspace)
    .where("id", ">=", Buffer.from(digits.padEnd(32, "0"), "hex"))
    .where("id", "<=", Buffer.from(digits.padEnd(32, "f"), "hex"))
    .where(sql<boolean>`length(id) = 16`) // the others are hashes
    .orderBy("id")
    .limit(limit)
    .execute();
  return eventsWithKeys(
    database,
    rows.map(({ key }) => key),
  );
}

/** Finds events by their ids, in the order of recording. */
export async function eventsById(
  database: HistoryDatabase,
  ids: readonly string[],
): Promise<ReceivedEvent[]> {
  if (ids.length === 0) return [];
  const rows = await database.db
    .selectFrom("events")
    .select("key")
    .where("workspace", "=", database.workspace)
    .where("id", "in", ids.map(bytesOf))
    .orderBy("key")
    .execute();
  return eventsWithKeys(
    database,
    rows.map(({ key }) => key),
  );
}

/** Reads the events that follow an event, in the order of recording. */
export async function* eventsFollowing(
  database: HistoryDatabase,
  id: string,
  pageSize: number,
): AsyncGenerator<ReceivedEvent> {
  const followers = database.db
    .selectFrom("events")
    .select("key")
    .where("workspace", "=", database.workspace)
    .where("follows", "=", bytesOf(id))
    .orderBy("key")
    .limit(pageSize);
  for (let after = 0; ; ) {
    const keys = (await followers.where("key", ">", after).execute()).map(({ key }) => key);
    yield* await eventsWithKeys(database, keys);
    const last = keys.at(-1);
    if (last === undefined || keys.length < pageSize) return;
    after = last;
  }
}

/** Reads one page in the filter's order by `occurred`. Events with the same time are in the order of recording. */
export async function queryEvents(
  database: HistoryDatabase,
  filter: EventFilter,
  { limit, after = null }: PageOptions,
): Promise<EventPage> {
  let search = await prepareSearch(database, filter);
  if (after === null) search = await forAllEvents(search);
  const total = after?.total ?? (await countEvents(search));
  if (total === 0 || limit === 0) return { events: [], total, next: null };
  const found = await placesOf(search, { limit: limit + 1, after, total });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const next = last === undefined || found.length <= limit ? null : { ...last, total };
  return { events: await eventsAt(database, page), total, next };
}

/** How `eachEvent` reads. */
export interface EachOptions {
  readonly pageSize?: number;
  /** False: payloads, which may be large, are left empty. */
  readonly withPayloads?: boolean;
  /** Up to this many matching events are sorted. If there are more, an index in order of time is walked. */
  readonly sortedMax?: number;
}

/** Reads all matching events page by page, in the filter's order. */
export async function* eachEvent(
  database: HistoryDatabase,
  filter: EventFilter,
  { pageSize = 200, withPayloads = true, sortedMax = sortedCountMax }: EachOptions,
): AsyncGenerator<ReceivedEvent> {
  const search = await prepareSearch(database, filter);
  // No one sees the total, so it is not counted. But a walk through the whole history for a few events would take long.
  const isMany = hasText(filter) || filter.distinct || (await hasMoreThan(search, sortedMax));
  const total = isMany ? Number.POSITIVE_INFINITY : 0;
  let after: PageCursor | null = null;
  do {
    const found = await placesOf(search, { limit: pageSize, after, total });
    yield* await eventsAt(database, found, withPayloads);
    const last = found.at(-1);
    after = last === undefined || found.length < pageSize ? null : { ...last, total: 0 };
  } while (after !== null);
}

/**
 * Reads the events that were received in a span of time, both ends inclusive, in the order of the log.
 *
 * @param countMax only the latest this many
 */
export async function* eventsReceived(
  database: HistoryDatabase,
  { from, until, countMax }: { readonly from: Micros; readonly until: Micros; readonly countMax: number },
  pageSize: number,
): AsyncGenerator<ReceivedEvent> {
  const inSpan = database.db
    .selectFrom("events")
    .where("workspace", "=", database.workspace)
    .where("received", ">=", from)
    .where("received", "<=", until);
  const beyond = await inSpan
    .select("key")
    .orderBy("received", "desc")
    .orderBy("key", "desc")
    .offset(countMax)
    .limit(1)
    .executeTakeFirst();
  let after = { received: from, key: beyond?.key ?? 0 };
  for (;;) {
    const rows = await inSpan
      .select(["key", "received"])
      .where(sql<boolean>`(received, key) > (${after.received}, ${after.key})`)
      .$if(beyond !== undefined, (query) => query.where("key", ">", beyond?.key ?? 0))
      .orderBy("received")
      .orderBy("key")
      .limit(pageSize)
      .execute();
    yield* await eventsWithKeys(
      database,
      rows.map(({ key }) => key),
    );
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = { received: last.received, key: last.key };
  }
}

async function countEvents(search: Search): Promise<number> {
  if (findsNothing(search)) return 0;
  const matching = matchingEvents(search);
  const { count } = await (search.filter.distinct
    ? search.database.db
        .selectFrom(matching.select("e.resource").distinct().as("g"))
        .innerJoin("resources as r", "r.key", "g.resource")
        .select(({ fn }) => fn.count<number>("r.id").distinct().as("count"))
    : matching.select(({ fn }) => fn.countAll<number>().as("count"))
  ).executeTakeFirstOrThrow();
  return count;
}

interface EventPlace {
  readonly occurred: Micros;
  readonly key: number;
}

interface PlacesWanted {
  readonly limit: number;
  readonly after: PageCursor | null;
  readonly total: number;
}

/**
 * Finds the places of a page. Of few events with a text, which may be anywhere, those near the page's beginning are looked
 * for first: to look at all texts again for each page would take as long as to count them.
 */
async function placesOf(search: Search, wanted: PlacesWanted): Promise<EventPlace[]> {
  const { filter } = search;
  const { limit, after, total } = wanted;
  if (hasText(filter) && !filter.distinct && total > limit && total <= sortedCountMax) {
    const times = await timesOfEvents(search.database, filter);
    for (let share = (2 * limit) / total; share < 1; share *= 8) {
      const beginning = beginningOf({ ...filter, ...times }, after, share);
      const found = await placesIn({ ...search, filter: beginning }, wanted);
      if (found.length === limit) return found;
    }
  }
  return placesIn(search, wanted);
}

/** The part of a filter's time range in which there are events. */
async function timesOfEvents(
  { db, workspace }: HistoryDatabase,
  { since, until }: EventFilter,
): Promise<Pick<EventFilter, "since" | "until">> {
  const outermost = async (direction: "asc" | "desc") =>
    await db
      .selectFrom("events")
      .select("occurred")
      .where("workspace", "=", workspace)
      .orderBy("occurred", direction)
      .limit(1)
      .executeTakeFirst();
  const [first, last] = [await outermost("asc"), await outermost("desc")];
  return {
    since: Math.max(since, first?.occurred ?? since),
    until: Math.min(until, last?.occurred ?? until),
  };
}

/** A filter for a share of the time range that is left. */
function beginningOf(filter: EventFilter, after: PageCursor | null, share: number): EventFilter {
  const { since, until, order } = filter;
  if (order === "ASC") {
    const start = after?.occurred ?? since;
    return { ...filter, since: start, until: Math.ceil(start + (until - start) * share) };
  }
  const end = after?.occurred ?? until;
  return { ...filter, since: Math.floor(end - (end - since) * share), until: end };
}

async function placesIn(search: Search, { limit, after, total }: PlacesWanted): Promise<EventPlace[]> {
  const { database, filter } = search;
  const direction = filter.order === "ASC" ? "asc" : "desc";
  const beyond = (alias: "e" | "m") =>
    after === null
      ? sql<boolean>`1 = 1`
      : sql<boolean>`(${sql.ref(`${alias}.occurred`)}, ${sql.ref(`${alias}.key`)}) ${sql.raw(
          direction === "asc" ? ">" : "<",
        )} (${after.occurred}, ${after.key})`;

  if (!filter.distinct && total > sortedCountMax) {
    return matchingEventsInOrder(search)
      .select(["e.key", "e.occurred"])
      .where(beyond("e"))
      .orderBy("e.occurred", direction)
      .orderBy("e.key", direction)
      .limit(limit)
      .execute();
  }
  const all = await forAllEvents(search);
  const candidates = filter.distinct
    ? outermostEvents(all, direction)
    : matchingEvents(all).select(["e.key", "e.occurred", sql<number>`1`.as("rank")]);
  return database.db
    .with(
      (cte) => cte("m").materialized(),
      () => candidates,
    )
    .selectFrom("m")
    .select(["m.key", "m.occurred"])
    .where("m.rank", "=", 1)
    .where(beyond("m"))
    .orderBy("m.occurred", direction)
    .orderBy("m.key", direction)
    .limit(limit)
    .execute();
}

/** The first matching event of each label set, in the given direction, ranked among those of the same resource id. */
function outermostEvents(search: Search, direction: "asc" | "desc") {
  const times = matchingEvents(search)
    .select(({ fn }) => [
      "e.resource",
      (direction === "asc" ? fn.min("e.occurred") : fn.max("e.occurred")).as("occurred"),
    ])
    .groupBy("e.resource");
  return matchingEventsByResource(search)
    .innerJoin(times.as("g"), (join) =>
      join.onRef("g.resource", "=", "e.resource").onRef("g.occurred", "=", "e.occurred"),
    )
    .innerJoin("resources as r", "r.key", "e.resource")
    .select(["e.key", "e.occurred"])
    .select(({ fn }) =>
      fn
        .agg<number>("row_number")
        .over((over) => over.partitionBy("r.id").orderBy("e.occurred", direction).orderBy("e.key", direction))
        .as("rank"),
    );
}

/** The events at these places; one that has been pruned in the meantime is missing. */
function eventsAt(
  database: HistoryDatabase,
  places: readonly EventPlace[],
  withPayloads = true,
): Promise<ReceivedEvent[]> {
  const keys = places.map(({ key }) => key);
  return eventsWithKeys(database, keys, withPayloads);
}
