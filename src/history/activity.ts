/** What automations did in a span of time, counted from the events about their firings and actions. */

import { type RawBuilder, sql } from "kysely";
import type { Micros } from "../core/model/time.ts";
import { breathe } from "../retry/slices.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { postgresSchema, type Tables } from "./schema.ts";
import { head, isOneOf } from "./sql-text.ts";

/** A span of time in buckets of equal length, each without its start and with its end. */
export interface ActivitySpan {
  readonly since: Micros;
  readonly bucketLength: Micros;
  readonly bucketCount: number;
}

export interface AutomationActivity {
  /** When it last fired or was resolved, whether or not in the span; null if the history holds no such event. */
  lastFired: Micros | null;
  lastState: "Triggered" | "Resolved" | null;
  /** By bucket. */
  readonly firings: number[];
  resolutions: number;
  /** Deliveries that were made, and those that were given up. */
  executed: number;
  failed: number;
}

const eventNames = {
  triggered: "prefect-cloud.automation.triggered",
  resolved: "prefect-cloud.automation.resolved",
  executed: "prefect-cloud.automation.action.executed",
  failed: "prefect-cloud.automation.action.failed",
} as const;

type Kind = keyof typeof eventNames;

const resourcePrefix = "prefect-cloud.automation.";
/** The resource of an automation, or of one of its actions, which may have several sets of labels. */
const ownResource = /^prefect-cloud\.automation\.([0-9a-f-]{36})(\.action\.\d+)?$/;

/** One statement looks at so many automations, so that other queries have their turn in between. */
export const automationsPerStatement = 500;

/**
 * Counts what automations did. Each costs a few look-ups in an index, besides the events in the span.
 *
 * @param automationIds at most `automationsPerStatement`
 * @returns an entry for each of them
 */
export async function activityOf(
  database: HistoryDatabase,
  automationIds: readonly string[],
  span: ActivitySpan,
): Promise<Map<string, AutomationActivity>> {
  const activity = new Map(automationIds.map((id) => [id, noActivity(span)]));
  const kinds = await kindsByName(database);
  if (activity.size === 0 || kinds.size === 0) return activity;
  for (const { id, name, buckets } of await countsOf(database, [...activity.keys()], kinds, span)) {
    await breathe();
    const [, automationId = "", action] = ownResource.exec(id) ?? [];
    const found = activity.get(automationId);
    const kind = kinds.get(name);
    const isOfAction = kind === "executed" || kind === "failed";
    if (found === undefined || kind === undefined || isOfAction !== (action !== undefined)) continue;
    for (const bucket of buckets.split(",")) {
      const [index, count] = bucket.split(":").map(Number) as [number, number];
      if (kind === "triggered") found.firings[index] = (found.firings[index] ?? 0) + count;
      else if (kind === "resolved") found.resolutions += count;
      else found[kind] += count;
    }
  }
  for (const { id, name, occurred } of await latestOf(database, [...activity.keys()], kinds)) {
    const found = activity.get(id.slice(resourcePrefix.length));
    // The labels of an automation change with its name, and each set has its latest event.
    if (found === undefined || occurred < (found.lastFired ?? Number.NEGATIVE_INFINITY)) continue;
    found.lastFired = occurred;
    found.lastState = kinds.get(name) === "resolved" ? "Resolved" : "Triggered";
  }
  return activity;
}

function noActivity({ bucketCount }: ActivitySpan): AutomationActivity {
  return {
    lastFired: null,
    lastState: null,
    firings: Array.from({ length: bucketCount }, () => 0),
    resolutions: 0,
    executed: 0,
    failed: 0,
  };
}

/** The names of the events that are counted, as far as the history has them, by their keys. */
async function kindsByName({ db, workspace }: HistoryDatabase): Promise<Map<number, Kind>> {
  const rows = await db
    .selectFrom("names as n")
    .select(["n.key", "n.name"])
    .where("n.workspace", "=", workspace)
    .where(isOneOf(sql.ref<string>("n.name"), Object.values(eventNames)))
    .execute();
  const kinds = Object.keys(eventNames) as Kind[];
  return new Map(rows.map(({ key, name }) => [key, kinds.find((kind) => eventNames[kind] === name) as Kind]));
}

interface Counts {
  /** The id of the resource. */
  readonly id: string;
  readonly name: number;
  /** `index:count` for each bucket that is not empty. As one text, because a statement may find a million of them. */
  readonly buckets: string;
}

async function countsOf(
  database: HistoryDatabase,
  ids: readonly string[],
  kinds: ReadonlyMap<number, Kind>,
  { since, bucketLength, bucketCount }: ActivitySpan,
): Promise<Counts[]> {
  const { db, workspace } = database;
  const names = [...kinds.keys()];
  const triggered = names.filter((name) => kinds.get(name) === "triggered");
  const isTriggered = triggered.length === 0 ? sql`1 = 0` : sql`e.name in (${sql.join(triggered)})`;
  const value = head(sql.ref("l.value"));
  const { rows } = await sql<Counts>`
    with wanted (id, beyond) as (values ${rangesOf(ids)}),
    counts as (
      select e.resource, e.name, count(*) as count,
        case when ${isTriggered} then (e.occurred - ${since} - 1) / ${bucketLength} else 0 end as bucket
      from wanted as w
      join ${table(database, "labels")} as l on ${isIdLabel(workspace)} and ${value} >= w.id and ${value} < w.beyond
      join ${table(database, "events")} as e on e.workspace = ${workspace} and e.resource = l.resource
        and e.occurred > ${since} and e.occurred <= ${since + bucketLength * bucketCount}
      where +e.name in (${sql.join(names)})
      group by 1, 2, 4
    )
    select r.id, c.name, string_agg(c.bucket || ':' || c.count, ',') as buckets
    from counts as c join ${table(database, "resources")} as r on r.key = c.resource
    group by r.key, r.id, c.name`.execute(db);
  return rows;
}

interface LatestEvent {
  readonly id: string;
  readonly name: number;
  readonly occurred: Micros;
}

/** The latest firing or resolution of each set of labels that an automation had. */
async function latestOf(
  database: HistoryDatabase,
  ids: readonly string[],
  kinds: ReadonlyMap<number, Kind>,
): Promise<LatestEvent[]> {
  const { db, workspace } = database;
  const names = [...kinds].flatMap(([name, kind]) =>
    kind === "triggered" || kind === "resolved" ? name : [],
  );
  if (names.length === 0) return [];
  const { rows } = await sql<LatestEvent>`
    with wanted (id, beyond) as (values ${rangesOf(ids)}),
    latest as (
      select (
        select f.key from ${table(database, "events")} as f
        where f.workspace = ${workspace} and f.resource = l.resource and +f.name in (${sql.join(names)})
        order by f.occurred desc, f.key desc limit 1
      ) as key
      from wanted as w
      join ${table(database, "labels")} as l on ${isIdLabel(workspace)} and ${head(sql.ref("l.value"))} = w.id
    )
    select r.id, e.name, e.occurred
    from latest as t
    join ${table(database, "events")} as e on e.key = t.key
    join ${table(database, "resources")} as r on r.key = e.resource`.execute(db);
  return rows;
}

/** The ids of the resources of automations, each with the end of the range that also holds those of its actions. */
function rangesOf(ids: readonly string[]): RawBuilder<unknown> {
  return sql.join(
    ids.map((id) => sql`(${resourcePrefix + id}, ${`${resourcePrefix}${id}/`})`), // the slash comes after the dot
  );
}

function isIdLabel(workspace: number): RawBuilder<unknown> {
  return sql`l.workspace = ${workspace} and ${isOneOf(sql.ref("l.label"), ["prefect.resource.id"])}`;
}

/** A table in a statement that is written out: nothing else adds its schema there. */
function table({ dialect }: HistoryDatabase, name: keyof Tables): RawBuilder<unknown> {
  return dialect === "postgres" ? sql.id(postgresSchema, name) : sql.id(name);
}
