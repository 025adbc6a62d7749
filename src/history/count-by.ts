/** Counts of events, by name, by resource or by time. */

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
import { type EventFilter, EventFilterSchema } from "./filter.ts";
import { matchingEvents, prepareSearch } from "./matching.ts";
import type { Store } from "./store.ts";

const units = { week: 7 * day, day, hour, minute, second } as const;

/** Longer than any history, and far from where numbers become inexact. */
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
  /** How many units a bucket lasts, 0.01 or more. */
  readonly interval: number;
  readonly now: Micros;
}

/** One group, as it goes over the wire. */
export interface EventCount {
  readonly value: string;
  readonly label: string;
  readonly count: number;
  readonly start_time: string;
  readonly end_time: string;
}

/** The interval would cut the filter's time into too many buckets; the message goes to the client as it is. */
export class TooManyBuckets extends Error {
  override readonly name = "TooManyBuckets";
}

const bucketCountMax = 1_000;

/** The Monday that buckets are counted from. */
const origin: Micros = parseTime("2024-04-01T00:00:00Z") ?? 0;

/**
 * Counts the events that match, in groups. `distinct` and `order` of the filter play no part.
 *
 * @throws TooManyBuckets, whatever is counted
 */
export async function countBy(
  store: Store,
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
      return countByName(store, filter);
    case "resource":
      return countByResource(store, filter);
    case "time":
      return countByTime(store, { ...filter, until: cutToUnit(filter.until, units[unit], now) }, length);
    case "day":
      return countByTime(store, { ...filter, until: cutToUnit(filter.until, day, now) }, day);
  }
}

/** An `until` in the future is cut to the end of the unit that `now` lies in. */
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

async function countByName(store: Store, filter: EventFilter): Promise<EventCount[]> {
  const groups = matchingEvents(await prepareSearch(store, filter))
    .select(({ fn }) => [
      "e.name",
      fn.countAll<number>().as("count"),
      fn.min<number>("e.occurred").as("first"),
      fn.max<number>("e.occurred").as("last"),
    ])
    .groupBy("e.name");
  const rows = await store.db
    .selectFrom(groups.as("g"))
    .innerJoin("names as n", "n.key", "g.name")
    .select(["n.name", "g.count", "g.first", "g.last"])
    .orderBy("g.count", "desc")
    .orderBy("n.name", "asc")
    .execute();
  return rows.map((row) => shown(row.name, row.name, row));
}

async function countByResource(store: Store, filter: EventFilter): Promise<EventCount[]> {
  const groups = matchingEvents(await prepareSearch(store, filter))
    .select(({ fn }) => [
      "e.resource",
      fn.countAll<number>().as("count"),
      fn.min<number>("e.occurred").as("first"),
      fn.max<number>("e.occurred").as("last"),
    ])
    .groupBy("e.resource");
  // One resource id may have had several sets of labels; the last of them names it.
  const ranked = store.db
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
  const rows = await store.db
    .selectFrom(ranked.as("k"))
    .select(["k.id", "k.title", "k.count", "k.first", "k.last"])
    .where("k.rank", "=", 1)
    .orderBy("k.count", "desc")
    .orderBy("k.title", "asc")
    .orderBy("k.id", "asc")
    .execute();
  return rows.map((row) => shown(row.id, row.title, row));
}

function shown(
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

async function countByTime(store: Store, filter: EventFilter, length: Micros): Promise<EventCount[]> {
  const { since, until } = filter;
  const start = bucketStart(since, length);
  const buckets = matchingEvents(await prepareSearch(store, filter)).select(
    sql<number>`(${sql.ref("e.occurred")} - ${start}) / ${length}`.as("bucket"),
  );
  const rows = await store.db
    .selectFrom(buckets.as("b"))
    .select(({ fn }) => ["b.bucket", fn.countAll<number>().as("count")])
    .groupBy("b.bucket")
    .execute();
  const counts = new Map(rows.map(({ bucket, count }) => [bucket, count]));
  const shownCounts: EventCount[] = [];
  for (let index = 0; start + index * length <= until; index += 1) {
    const bucket = start + index * length;
    const count = counts.get(index) ?? 0;
    // Prefect leaves out a bucket that begins right at the end; here it is left out only when it is empty.
    if (bucket === until && count === 0) continue;
    const first = formatTime(Math.max(bucket, timeMin));
    shownCounts.push({
      value: String(index),
      label: first.replace("Z", "+00:00"),
      count,
      start_time: first,
      end_time: formatTime(Math.min(bucket + length - 1, timeMax)),
    });
  }
  return shownCounts;
}
