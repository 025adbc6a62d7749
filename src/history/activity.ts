/** What automations did in a span of time, counted from the events about their firings and actions. */

import { type SqlBool, sql } from "kysely";
import type { Micros } from "../core/model/time.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { beginsWithOneOf, isOneOf } from "./sql-text.ts";

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
/** The resource of an automation, or of one of its actions. */
const ownResource = /^prefect-cloud\.automation\.([0-9a-f-]{36})(\.action\.\d+)?$/;

/** So many are looked at together. Other queries have their turn in between. */
export const automationsPerStep = 100;
/** One statement counts the events of so many resources. */
const resourcesPerStatement = 1_000;

/**
 * Counts what automations did. Each costs a few look-ups in an index, besides the events in the span.
 *
 * @param automationIds at most `automationsPerStep`
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
  const resources = await resourcesOf(database, [...activity.keys()]);
  for (const keys of chunksOf([...resources.keys()], resourcesPerStatement)) {
    for (const { resource, name, buckets } of await countsOf(database, keys, kinds, span)) {
      await breathe();
      const { automationId = "", isAction = false } = resources.get(resource) ?? {};
      const found = activity.get(automationId);
      const kind = kinds.get(name);
      const isOfAction = kind === "executed" || kind === "failed";
      if (found === undefined || kind === undefined || isOfAction !== isAction) continue;
      addCounts(found, kind, buckets);
    }
    const own = keys.filter((key) => resources.get(key)?.isAction === false);
    for (const { resource, name, occurred } of await latestOf(database, own, kinds)) {
      const found = activity.get(resources.get(resource)?.automationId ?? "");
      // The labels of an automation change with its name, and each set of labels has its latest event.
      if (found === undefined || occurred < (found.lastFired ?? Number.NEGATIVE_INFINITY)) continue;
      found.lastFired = occurred;
      found.lastState = kinds.get(name) === "resolved" ? "Resolved" : "Triggered";
    }
  }
  return activity;
}

function addCounts(activity: AutomationActivity, kind: Kind, buckets: string): void {
  for (const bucket of buckets.split(",")) {
    const [index, count] = bucket.split(":").map(Number) as [number, number];
    if (kind === "triggered") activity.firings[index] = (activity.firings[index] ?? 0) + count;
    else if (kind === "resolved") activity.resolutions += count;
    else activity[kind] += count;
  }
}

/** That of an automation that did nothing. */
export function noActivity({ bucketCount }: Pick<ActivitySpan, "bucketCount">): AutomationActivity {
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

interface OwnResource {
  readonly automationId: string;
  readonly isAction: boolean;
}

/** The resources of automations and of their actions, by key. Each set of labels that one has had is one of them. */
async function resourcesOf(
  { db, workspace }: HistoryDatabase,
  automationIds: readonly string[],
): Promise<Map<number, OwnResource>> {
  const ofAutomation = (id: string) =>
    db
      .selectFrom("labels as l")
      .select(["l.resource as key", "l.value as id"])
      .where("l.workspace", "=", workspace)
      .where(isOneOf(sql.ref<string>("l.label"), ["prefect.resource.id"]))
      .where(beginsWithOneOf(sql.ref<string>("l.value"), [`${resourcePrefix}${id}`]));
  const [first, ...others] = automationIds;
  if (first === undefined) return new Map();
  // Not one condition with many alternatives: SQLite would look at the ids of all resources.
  const rows = await others
    .reduce((all, id) => all.unionAll(ofAutomation(id)), ofAutomation(first))
    .execute();
  const found = new Map<number, OwnResource>();
  for (const { key, id } of rows) {
    const [, automationId, action] = ownResource.exec(id) ?? [];
    if (automationId !== undefined) found.set(key, { automationId, isAction: action !== undefined });
  }
  return found;
}

interface Counts {
  readonly resource: number;
  readonly name: number;
  /** `index:count` for each bucket that is not empty. As one text, because a statement may find a million of them. */
  readonly buckets: string;
}

async function countsOf(
  { db, workspace }: HistoryDatabase,
  resources: readonly number[],
  kinds: ReadonlyMap<number, Kind>,
  { since, bucketLength, bucketCount }: ActivitySpan,
): Promise<Counts[]> {
  const names = [...kinds.keys()];
  const triggered = names.filter((name) => kinds.get(name) === "triggered");
  const isTriggered = triggered.length === 0 ? sql`1 = 0` : sql`e.name in (${sql.join(triggered)})`;
  // Only firings are shown by bucket.
  const bucket = sql<number>`case when ${isTriggered} then (e.occurred - ${since} - 1) / ${bucketLength} else 0 end`;
  const counts = db
    .selectFrom("events as e")
    .select(["e.resource", "e.name", bucket.as("bucket"), sql<number>`count(*)`.as("count")])
    .where("e.workspace", "=", workspace)
    .where("e.resource", "in", resources)
    .where("e.occurred", ">", since)
    .where("e.occurred", "<=", since + bucketLength * bucketCount)
    .where(sql<SqlBool>`+e.name in (${sql.join(names)})`) // hidden from the indexes: the resources find them
    .groupBy(["e.resource", "e.name", sql`3`]);
  return await db
    .selectFrom(counts.as("c"))
    .select(["c.resource", "c.name", sql<string>`string_agg(c.bucket || ':' || c.count, ',')`.as("buckets")])
    .groupBy(["c.resource", "c.name"])
    .execute();
}

interface LatestEvent {
  readonly resource: number;
  readonly name: number;
  readonly occurred: Micros;
}

/** The latest firing or resolution of each resource, in the order in which they occurred. */
async function latestOf(
  { db, workspace }: HistoryDatabase,
  resources: readonly number[],
  kinds: ReadonlyMap<number, Kind>,
): Promise<LatestEvent[]> {
  const names = [...kinds].flatMap(([name, kind]) =>
    kind === "triggered" || kind === "resolved" ? name : [],
  );
  if (names.length === 0 || resources.length === 0) return [];
  const latest = db
    .selectFrom("resources as r")
    .select((from) =>
      from
        .selectFrom("events as f")
        .select("f.key")
        .where("f.workspace", "=", workspace)
        .whereRef("f.resource", "=", "r.key")
        .where(sql<SqlBool>`+f.name in (${sql.join(names)})`)
        .orderBy("f.occurred", "desc")
        .orderBy("f.key", "desc")
        .limit(1)
        .as("key"),
    )
    .where("r.key", "in", resources);
  return await db
    .with(
      (cte) => cte("latest").materialized(), // otherwise SQLite may look for the latest of each event
      () => latest,
    )
    .selectFrom("latest as t")
    .innerJoin("events as e", "e.key", "t.key")
    .select(["e.resource", "e.name", "e.occurred"])
    .orderBy("e.occurred")
    .orderBy("e.key")
    .execute();
}
