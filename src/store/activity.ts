/**
 * How much happens in a workspace: events, firings and resolutions, exactly, by second and by minute.
 *
 * The engine counts in the step that commits, so that nothing counts twice: not after a crash, and not in a replay. A hash
 * holds the seconds of one minute, another one the minutes of one hour, and each expires as a whole.
 */

import type { RedisConnection } from "./connection.ts";
import { activityHourKey, activityMinuteKey, workspaceKeys } from "./keys.ts";
import type { RedisTime } from "./redis-time.ts";
import { transact } from "./transaction.ts";

export const activityKinds = ["events", "firings", "resolutions"] as const;

/**
 * - `events`: all that people post and that Tripline emits itself, by when the log received them; an id counts once.
 * - `firings` and `resolutions`: of people's automations, by when they became known.
 */
export type ActivityKind = (typeof activityKinds)[number];

/** What happened in one second. */
export interface CountedSecond extends Readonly<Record<ActivityKind, number>> {
  /** Since the epoch. */
  readonly second: number;
}

export const nothingCounted: Readonly<Record<ActivityKind, number>> = {
  events: 0,
  firings: 0,
  resolutions: 0,
};

/** How long seconds can be read, and how long minutes can. */
const secondsKept = 300;
const minutesKept = 1_440;

/** Both are kept for longer, so that nobody reads a part of them. */
const minuteHashTtl = 600;
const hourHashTtl = 25 * 3_600;

/** One kind, as far back as it can be read. */
export interface ActivityCounts {
  /** Since the workspace has been counted. It only grows. */
  readonly total: number;
  /** The latest seconds that are complete, oldest first. */
  readonly perSecond: readonly number[];
  /** The latest minutes, oldest first. The last one is not complete. */
  readonly perMinute: readonly number[];
}

export interface Activity extends Readonly<Record<ActivityKind, ActivityCounts>> {
  /** The time of Redis, in seconds since the epoch: the second that is not complete. */
  readonly now: number;
  /** The first second of `perSecond`. */
  readonly firstSecond: number;
  /** The first second of the first minute of `perMinute`. */
  readonly firstMinuteStart: number;
}

/** How a commit counts: a script's keys from `firstKey` on, and for each number key, field, increment and expiry. */
export function activityParameters(
  workspace: string,
  counted: readonly CountedSecond[],
  firstKey: number,
): { readonly keys: readonly string[]; readonly parameters: readonly (string | number)[] } {
  const increments = new Map<string, { fields: Map<string, number>; expires: number | "" }>();
  const add = (key: string, expires: number | "", field: string, count: number): void => {
    const { fields } = increments.get(key) ?? { fields: new Map<string, number>() };
    increments.set(key, { fields, expires });
    fields.set(field, (fields.get(field) ?? 0) + count);
  };
  const { activityTotals } = workspaceKeys(workspace);
  for (const each of counted) {
    const minute = Math.floor(each.second / 60);
    const hour = Math.floor(minute / 60);
    for (const kind of activityKinds) {
      const count = each[kind];
      if (count === 0) continue;
      const expiries = [(minute + 1) * 60 + minuteHashTtl, (hour + 1) * 3_600 + hourHashTtl] as const;
      add(activityMinuteKey(workspace, minute), expiries[0], fieldOf(kind, each.second % 60), count);
      add(activityHourKey(workspace, hour), expiries[1], fieldOf(kind, minute % 60), count);
      add(activityTotals, "", kind, count);
    }
  }
  return {
    keys: [...increments.keys()],
    parameters: [...increments.values()].flatMap(({ fields, expires }, index) =>
      [...fields].flatMap(([field, count]) => [firstKey + index, field, count, expires]),
    ),
  };
}

function fieldOf(kind: ActivityKind, index: number): string {
  return `${kind.slice(0, 1)}${index}`;
}

/** @throws RedisUnreachable */
export async function readActivity(redis: RedisConnection, workspace: string): Promise<Activity> {
  // By the clock of the server with the keys, which received the events.
  const { activityTotals } = workspaceKeys(workspace);
  const [, time] = await transact<[number, RedisTime]>(redis, (step) => step.exists(activityTotals).time());
  const now = Number(time[0]);
  const last = Math.floor(now / 60);
  const minutes = rangeTo(last, Math.ceil(secondsKept / 60) + 1);
  const hours = rangeTo(Math.floor(last / 60), Math.ceil(minutesKept / 60) + 1);
  const [totals, ...hashes] = await transact<Record<string, string>[]>(redis, (step) => {
    step.hgetall(activityTotals);
    for (const minute of minutes) step.hgetall(activityMinuteKey(workspace, minute));
    for (const hour of hours) step.hgetall(activityHourKey(workspace, hour));
    return step;
  });
  const firstSecond = now - secondsKept;
  const firstMinute = last - minutesKept + 1;
  const countsOf = (kind: ActivityKind): ActivityCounts => ({
    total: Number(totals?.[kind] ?? 0),
    perSecond: Array.from({ length: secondsKept }, (_, index) => {
      const second = firstSecond + index;
      const hash = hashes[Math.floor(second / 60) - (minutes[0] ?? 0)];
      return Number(hash?.[fieldOf(kind, second % 60)] ?? 0);
    }),
    perMinute: Array.from({ length: minutesKept }, (_, index) => {
      const minute = firstMinute + index;
      const hash = hashes[minutes.length + Math.floor(minute / 60) - (hours[0] ?? 0)];
      return Number(hash?.[fieldOf(kind, minute % 60)] ?? 0);
    }),
  });
  return {
    now,
    firstSecond,
    firstMinuteStart: firstMinute * 60,
    events: countsOf("events"),
    firings: countsOf("firings"),
    resolutions: countsOf("resolutions"),
  };
}

/** So many consecutive numbers, of which this is the last. */
function rangeTo(last: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => last - count + 1 + index);
}
