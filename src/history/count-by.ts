/** Counts events by name, by resource or by time. */

import { sql } from "kysely";
import { z } from "zod";
import {
  day,
  formatTime,
  hour,
  type Micros,
  minute,
  parseTime,
  second,
  timeMax,
  timeMin,
} from "../core/model/time.ts";
import { mapInSlices } from "../retry/slices.ts";
import { type EventFilter, EventFilterSchema } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { forAllEvents, matchingEvents, prepareSearch, type Search } from "./matching.ts";

const units = { week: 7 * day, day, hour, minute, second } as const;

/** Longer than any history, and far from the numbers that doubles cannot represent exactly. */
const bucketLengthMax: Micros = 36_525 * day;

export const CountableSchema = z.enum(["day", "time", "event", "resource"]);
export const CountRequestSchema = z
  .strictObject({
    filter: EventFilterSchema,
    time_unit: z.enum(["week", "day", "hour", "minute", "second"]).default("day"),
    time_interval: z.number().min(0.01, "Input should be greater than or equal to 0.01").default(1),
  })
  .superRefine(({ time_unit, time_interval }, context) => {
    const intervalMax = Math.floor(bucketLengthMax / units[time_unit]);
    if (time_interval <= intervalMax) return;
    const message = `Input should be less than or equal to ${intervalMax}: a bucket lasts 100 years at most`;
    context.addIssue({
      code: "custom",
      path: ["time_interval"],
      message,
      params: { type: "less_than_equal" },
    });
  })
  .meta({ id: "EventCountRequest" });

export type Countable = z.output<typeof CountableSchema>;
export type TimeUnit = keyof typeof units;

export interface CountOptions {
  readonly unit: TimeUnit;
  /** The length of a bucket in units, 0.01 or more. */
  readonly interval: number;
  readonly now: Micros;
  /** How many groups to return at most, the largest first. Groups by time are as many as the time range holds. */
  readonly limit?: number | undefined;
}

/** One group, in Prefect's wire format. */
export interface EventCount {
  readonly value: string;
  readonly label: string;
  readonly count: number;
  readonly start_time: string;
  readonly end_time: string;
}

/** The interval would divide the filter's time range into too many buckets. Clients see the message as it is. */
export class TooManyBuckets extends Error {
  override readonly name = "TooManyBuckets";
}

const bucketCountMax = 1_000;

/** Buckets are counted from this Monday. */
const origin: Micros = parseTime("2024-04-01T00:00:00Z") ?? 0;

/**
 * Counts the matching events in groups. The filter's `distinct` and `order` are ignored.
 *
 * @throws TooManyBuckets, even if the events are not counted by time
 */
export async function countBy(
  database: HistoryDatabase,
  countable: Countable,
  filter: EventFilter,
  options: CountOptions,
): Promise<EventCount[]> {
  const { unit, interval, now } = options;
  const length = Math.round(units[unit] * interval);
  refuseTooManyBuckets(filter, length, cutToUnit(filter.until, units[unit], now));
  if (filter.since > filter.until) return [];
  switch (countable) {
    case "event":
      return countByName(database, filter, options.limit);
    case "resource":
      return countByResource(database, filter, options.limit);
    case "time":
      return countByTime(database, { ...filter, until: cutToUnit(filter.until, units[unit], now) }, length);
    case "day":
      return countByTime(database, { ...filter, until: cutToUnit(filter.until, day, now) }, day);
  }
}

/** Cuts an `until` in the future to the end of the current unit. */
function cutToUnit(until: Micros, unit: Micros, now: Micros): Micros {
  return until <= now ? until : Math.min(until, bucketStart(now, unit) + unit - 1);
}

function bucketStart(time: Micros, length: Micros): Micros {
  return origin + Math.floor((time - origin) / length) * length;
}

function refuseTooManyBuckets({ since }: EventFilter, length: Micros, until: Micros): void {
  const count = Math.ceil((until - since) / length);
  if (count <= bucketCountMax) return;
  throw new TooManyBuckets(
    `The given interval would create ${count} buckets, which is too many. Please increase the interval or reduce the ` +
      `time range to produce ${bucketCountMax} buckets or fewer.`,
  );
}

async function countByName(
  database: HistoryDatabase,
  filter: EventFilter,
  limit: number | undefined,
): Promise<EventCount[]> {
  const groups = matchingEvents(await searchAll(database, filter))
    .select(({ fn }) => [
      "e.name",
      fn.countAll<number>().as("count"),
      fn.min<number>("e.occurred").as("first"),
      fn.max<number>("e.occurred").as("last"),
    ])
    .groupBy("e.name");
  const rows = await database.db
    .selectFrom(groups.as("g"))
    .innerJoin("names as n", "n.key", "g.name")
    .select(["n.name", "g.count", "g.first", "g.last"])
    .orderBy("g.count", "desc")
    .orderBy("n.name", "asc")
    .$if(limit !== undefined, (query) => query.limit(limit ?? 0))
    .execute();
  return mapInSlices(rows, (row) => countOf(row.name, row.name, row));
}

async function countByResource(
  database: HistoryDatabase,
  filter: EventFilter,
  limit: number | undefined,
): Promise<EventCount[]> {
  const groups = matchingEvents(await searchAll(database, filter))
    .select(({ fn }) => [
      "e.resource",
      fn.countAll<number>().as("count"),
      fn.min<number>("e.occurred").as("first"),
      fn.max<number>("e.occurred").as("last"),
    ])
    .groupBy("e.resource");
  // A resource may have had several sets of labels; the latest one gives its title.
  const ranked = database.db
    .selectFrom(groups.as("g"))
    .innerJoin("resources as r", "r.key", "g.resource")
    .select(({ fn }) => [
      "r.id",
      "r.title",
      sql<number>`sum(${sql.ref("g.count")}) over (partition by ${sql.ref("r.id")})`.as("count"),
      sql<number>`min(${sql.ref("g.first")}) over (partition by ${sql.ref("r.id")})`.as("first"),
      "g.last",
      fn
        .agg<number>("row_number")
        .over((over) => over.partitionBy("r.id").orderBy("g.last", "desc").orderBy("g.resource", "desc"))
        .as("rank"),
    ]);
  const rows = await database.db
    .selectFrom(ranked.as("k"))
    .select(["k.id", "k.title", "k.count", "k.first", "k.last"])
    .where("k.rank", "=", 1)
    .orderBy("k.count", "desc")
    .orderBy("k.title", "asc")
    .orderBy("k.id", "asc")
    .$if(limit !== undefined, (query) => query.limit(limit ?? 0))
    .execute();
  return mapInSlices(rows, (row) => countOf(row.id, row.title, row));
}

async function searchAll(database: HistoryDatabase, filter: EventFilter): Promise<Search> {
  return await forAllEvents(await prepareSearch(database, filter));
}

function countOf(
  value: string,
  label: string,
  { count, first, last }: { count: number; first: Micros; last: Micros },
): EventCount {
  return {
    value,
    label,
    count: Number(count),
    start_time: formatTime(first),
    end_time: formatTime(last),
  };
}

async function countByTime(
  database: HistoryDatabase,
  filter: EventFilter,
  length: Micros,
): Promise<EventCount[]> {
  const { since, until } = filter;
  const start = bucketStart(since, length);
  const buckets = matchingEvents(await searchAll(database, filter)).select(
    sql<number>`(${sql.ref("e.occurred")} - ${start}) / ${length}`.as("bucket"),
  );
  const rows = await database.db
    .selectFrom(buckets.as("b"))
    .select(({ fn }) => ["b.bucket", fn.countAll<number>().as("count")])
    .groupBy("b.bucket")
    .execute();
  const counts = new Map(rows.map(({ bucket, count }) => [bucket, count]));
  const eventCounts: EventCount[] = [];
  for (let index = 0; start + index * length <= until; index += 1) {
    const bucket = start + index * length;
    const count = counts.get(index) ?? 0;
    // Prefect leaves out a bucket that starts exactly at the end; here only an empty one is left out.
    if (bucket === until && count === 0) continue;
    const first = formatTime(Math.max(bucket, timeMin));
    eventCounts.push({
      value: String(index),
      label: first.replace("Z", "+00:00"),
      count,
      start_time: first,
      end_time: formatTime(Math.min(bucket + length - 1, timeMax)),
    });
  }
  return eventCounts;
}
