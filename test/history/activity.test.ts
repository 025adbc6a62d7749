/** What automations did, counted in SQL, and the events that follow others. */

import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../../src/core/model/event.ts";
import { day, formatTime, hour, type Micros, minute } from "../../src/core/model/time.ts";
import type { ActivitySpan } from "../../src/history/activity.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import fc from "../support/fast-check.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { event, noon, stretchOf } from "./greenhouse.ts";

const automations = Array.from(
  { length: 3 },
  (_, index) => `0190a000-0000-7000-8000-00000000000${index + 1}`,
);
const [pumps = "", vents = "", sensors = ""] = automations;

function reportOf(automation: string, name: string, occurred: Micros, labels: Record<string, string> = {}) {
  const action = name.startsWith("action.") ? ".action.0" : "";
  return event({
    event: `prefect-cloud.automation.${name}`,
    occurred: formatTime(occurred),
    resource: { "prefect.resource.id": `prefect-cloud.automation.${automation}${action}`, ...labels },
  });
}

describe.each(databaseKinds)("in $name", ({ missing, start }) => {
  if (missing !== null) {
    test.skip(`not tested: ${missing}`);
    return;
  }
  let database: TestDatabase;
  let history: History;
  let workspaceCount = 0;
  beforeAll(async () => {
    database = await start();
    history = await openHistory(database.options("greenhouse"));
  });
  afterAll(async () => {
    await history?.close();
    await database?.remove();
  });

  /** Records the events in a new workspace beside all others, so that a leak between workspaces is noticed, too. */
  const recorded = async (events: readonly Event[]): Promise<History> => {
    workspaceCount += 1;
    const workspace = await history.inWorkspace(`greenhouse ${workspaceCount}`);
    await workspace.record(stretchOf(events));
    return workspace;
  };

  // A name that changes gives an automation another set of labels, and so a second resource.
  const report = fc.record({
    automation: fc.constantFrom(...automations),
    name: fc.constantFrom(
      "triggered",
      "resolved",
      "loop-cut",
      "action.triggered",
      "action.executed",
      "action.failed",
    ),
    minutes: fc.integer({ min: -12, max: 2 }),
    labels: fc.constantFrom({ "prefect.resource.name": "Pump watch" }, { "prefect.resource.name": "Pumps" }),
  });

  test("firings, resolutions and deliveries are counted as in a loop over the events", async () => {
    let countedCount = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(report, { maxLength: 40, size: "max" }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        async (reports, bucketCount, minutes) => {
          const events = reports.map(({ automation, name, minutes, labels }) =>
            reportOf(automation, name, noon + minutes * minute, labels),
          );
          const workspace = await recorded(events);
          const bucketLength = minutes * minute;
          const span = { since: noon - bucketCount * bucketLength, bucketLength, bucketCount };
          const found = await workspace.activityOf([pumps, vents], span);
          expect([...found.keys()]).toEqual([pumps, vents]);
          for (const [id, activity] of found) {
            expect(activity).toEqual(naiveActivity(events, id, span));
            countedCount += activity.firings.reduce((sum, count) => sum + count, 0);
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(countedCount).toBeGreaterThan(10); // otherwise nothing was counted
  });

  test("the last firing is found however long ago it was", async () => {
    const workspace = await recorded([
      reportOf(pumps, "triggered", noon - 300 * day),
      reportOf(pumps, "resolved", noon - 200 * day, { "prefect.resource.name": "Pump watch" }),
      reportOf(vents, "loop-cut", noon),
    ]);
    const span = { since: noon - hour, bucketLength: hour, bucketCount: 1 };
    const nothing = { firings: [0], resolutions: 0, executed: 0, failed: 0 };
    expect(Object.fromEntries(await workspace.activityOf([pumps, vents, sensors], span))).toEqual({
      [pumps]: { ...nothing, lastFired: noon - 200 * day, lastState: "Resolved" },
      [vents]: { ...nothing, lastFired: null, lastState: null },
      [sensors]: { ...nothing, lastFired: null, lastState: null },
    });
    expect((await workspace.activityOf([], span)).size).toBe(0);
  });

  test("thousands of automations are counted, each once", async () => {
    const ids = Array.from({ length: 1_201 }, () => randomUUID());
    const workspace = await recorded(
      ids.flatMap((id) => [
        reportOf(id, "triggered", noon - minute),
        reportOf(id, "action.executed", noon - minute),
      ]),
    );
    const span = { since: noon - hour, bucketLength: 30 * minute, bucketCount: 2 };
    const found = await workspace.activityOf([...ids, ...ids], span);
    expect([...found.keys()]).toEqual(ids);
    for (const activity of found.values()) expect(activity).toMatchObject({ firings: [0, 1], executed: 1 });
  });

  test("the events that follow an event are found in the order of recording", async () => {
    const first = event();
    const followers = Array.from({ length: 5 }, (_, index) =>
      // The order of the senders' times is another one.
      event({ follows: first.id, occurred: formatTime(noon - index * minute) }),
    );
    const workspace = await recorded([...followers.slice(0, 3), first, event(), ...followers.slice(3)]);
    const other = await recorded([event({ follows: first.id })]);
    for (const pageSize of [1, 2, 5, 20]) {
      const found: string[] = [];
      for await (const { id } of workspace.eventsFollowing(first.id, pageSize)) found.push(id);
      expect(found).toEqual(followers.map(({ id }) => id));
    }
    for await (const { follows } of other.eventsFollowing(first.id)) expect(follows).toBe(first.id);
    for await (const found of workspace.eventsFollowing(randomUUID())) expect(found).toBe("nothing");
  });

  test("events are found by their ids", async () => {
    const events = [event(), event(), event()];
    const workspace = await recorded(events);
    const ids = events.map(({ id }) => id);
    const found = await workspace.eventsById([...ids.slice(1).reverse(), randomUUID()]);
    expect(found.map(({ id }) => id)).toEqual(ids.slice(1));
    expect(await history.eventsById(ids)).toEqual([]);
    expect(await workspace.eventsById([])).toEqual([]);
  });
});

// Histories of before the index have events that follow others.
describe.each(databaseKinds)("a history of before the index of followers in $name", ({ missing, start }) => {
  if (missing !== null) {
    test.skip(`not tested: ${missing}`);
    return;
  }

  test("gets the index with its events", async () => {
    const database = await start();
    const options = database.options("greenhouse");
    try {
      const first = event();
      const follower = event({ follows: first.id });
      const before = await openHistory(options);
      await before.record(stretchOf([first, follower]));
      await before.close();
      const statements = [
        `drop index ${"path" in options ? "" : "tripline."}events_follows`,
        `delete from ${"path" in options ? "" : "tripline."}kysely_migration where name = '0003-followers'`,
      ];
      if ("path" in options) {
        const sqlite = new DatabaseSync(options.path);
        for (const statement of statements) sqlite.exec(statement);
        sqlite.close();
      } else {
        const client = new pg.Client({ connectionString: options.url });
        await client.connect();
        for (const statement of statements) await client.query(statement);
        await client.end();
      }
      const after = await openHistory(options);
      const found: string[] = [];
      for await (const { id } of after.eventsFollowing(first.id)) found.push(id);
      await after.close();
      expect(found).toEqual([follower.id]);
    } finally {
      await database.remove();
    }
  });
});

function naiveActivity(
  events: readonly Event[],
  automation: string,
  { since, bucketLength, bucketCount }: ActivitySpan,
) {
  const firings = Array.from({ length: bucketCount }, () => 0);
  const counts = { resolutions: 0, executed: 0, failed: 0 };
  let last: Event | null = null;
  for (const each of events) {
    const { name, claimed } = each;
    if (!each.resource.get("prefect.resource.id")?.includes(automation)) continue;
    const kind = name.slice("prefect-cloud.automation.".length);
    if (["triggered", "resolved"].includes(kind) && claimed >= (last?.claimed ?? 0)) last = each;
    const bucket = Math.ceil((claimed - since) / bucketLength) - 1;
    if (bucket < 0 || bucket >= bucketCount) continue;
    if (kind === "triggered") firings[bucket] = (firings[bucket] ?? 0) + 1;
    else if (kind === "resolved") counts.resolutions += 1;
    else if (kind === "action.executed") counts.executed += 1;
    else if (kind === "action.failed") counts.failed += 1;
  }
  return {
    lastFired: last?.claimed ?? null,
    lastState: last === null ? null : last.name.endsWith("resolved") ? "Resolved" : "Triggered",
    firings,
    ...counts,
  };
}
