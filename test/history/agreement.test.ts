/**
 * A filter is applied in memory to live feeds, and in SQL to past events. If the two could differ, a feed would show
 * other events after a reload than before it.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../../src/core/model/event.ts";
import { day, formatTime, type Micros, minute, parseTime, second } from "../../src/core/model/time.ts";
import type { EventCount } from "../../src/history/count-by.ts";
import { type EventFilter, EventFilterSchema, resolveFilter } from "../../src/history/filter.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import { matchesFilter, occurredOf } from "../../src/history/matches.ts";
import type { PageCursor } from "../../src/history/query-events.ts";
import { comparable } from "../../src/history/text.ts";
import fc from "../support/fast-check.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { noon, event as sensorEvent, someEvents, someFilter, stretchOf } from "./greenhouse.ts";

const runs = { numRuns: 100 };

describe.each(databaseKinds)("$name", ({ missing, start }) => {
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
    await history.close();
    await database.remove();
  });

  /** Records the events in a new workspace beside all others, so that a leak between workspaces is noticed, too. */
  const recorded = async (events: readonly Event[]): Promise<History> => {
    workspaceCount += 1;
    const workspace = await history.inWorkspace(`greenhouse ${workspaceCount}`);
    await workspace.record(stretchOf(events));
    return workspace;
  };

  test("finds exactly the events that match in memory, in order, in pages of any size", async () => {
    let foundCount = 0;
    await fc.assert(
      fc.asyncProperty(
        someEvents,
        fc.array(someFilter, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 8 }),
        async (events, filters, limit) => {
          const workspace = await recorded(events);
          for (const filter of filters) {
            const expected = expectedEvents(events, filter).map(({ id }) => id);
            foundCount += expected.length;
            const found: string[] = [];
            let after: PageCursor | null = null;
            do {
              const page = await workspace.queryEvents(filter, { limit, after });
              expect(page.total).toBe(expected.length);
              expect(page.events.length).toBeLessThanOrEqual(limit);
              found.push(...page.events.map(({ id }) => id));
              after = page.next;
            } while (after !== null);
            expect(found).toEqual(expected);
            // Few events are sorted; with many, an index in order of time is walked.
            for (const sortedMax of [0, 5_000]) {
              const streamed: string[] = [];
              const all = workspace.eachEvent(filter, { pageSize: limit, sortedMax });
              for await (const { id } of all) streamed.push(id);
              expect(streamed).toEqual(expected);
            }
          }
        },
      ),
      runs,
    );
    expect(foundCount).toBeGreaterThan(100); // otherwise the filters are too strict to prove anything
  });

  // With few events, the texts of each are looked at; with many, those that contain a term are found first.
  test("finds the same texts among many events", async () => {
    const samples = fc.sample(someEvents, { numRuns: 1_500, seed: 7 }).flat();
    const events = [...new Map(samples.map((event) => [event.id, event])).values()].slice(0, 5_400);
    expect(events).toHaveLength(5_400);
    const workspace = await recorded(events);
    const queries = [
      "pump",
      "north -south",
      '+"vent" pump',
      "οδος",
      "9400053101578681001",
      '"xxxa"',
      "-north",
    ];
    for (const query of [...queries, '"zone"', '"\\\\"', "operator +n", "{}"]) {
      for (const name of [undefined, "vent.opened"]) {
        const event = name === undefined ? {} : { event: { name: [name] } };
        const occurred = { since: "0001-01-01T00:00:00Z", until: "9999-12-31T00:00:00Z" };
        const order = query.length % 2 === 0 ? "ASC" : "DESC";
        const written = { text: { query }, occurred, order, ...event };
        const wanted = resolveFilter(EventFilterSchema.parse(written), noon);
        const expected = expectedEvents(events, wanted).map(({ id }) => id);
        const found: string[] = [];
        let after: PageCursor | null = null;
        do {
          const page = await workspace.queryEvents(wanted, { limit: 30, after });
          expect([query, page.total]).toEqual([query, expected.length]);
          found.push(...page.events.map(({ id }) => id));
          after = page.next;
        } while (after !== null && found.length < 90);
        expect(found).toEqual(expected.slice(0, found.length));
        expect(found.length).toBe(Math.min(90, expected.length));
      }
    }
  });

  // With many resources that pass, those of each event are looked up where few events are looked at.
  test("finds the same resources among very many", async () => {
    const events = Array.from({ length: 20_200 }, (_, index) => {
      const labels = { "prefect.resource.id": `sensor.${index}`, zone: index % 3 === 0 ? "north" : "south" };
      const own = { ...labels, ...(index % 7 === 0 ? { "prefect.resource.id": `lamp.${index}` } : {}) };
      const related = index % 2 === 0 ? [{ ...labels, "prefect.resource.role": "sensor" }] : [];
      return sensorEvent({ occurred: formatTime(noon + index * second), resource: own, related });
    });
    const workspace = await recorded(events);
    const sensors = { id_prefix: ["sensor."] };
    for (const [since, until] of [[20_000, 20_100] as const, [10_000, 16_000] as const]) {
      const occurred = {
        since: formatTime(noon + since * second),
        until: formatTime(noon + until * second),
      };
      for (const written of [
        { resource: sensors },
        { resource: { labels: { zone: ["n*", "s*"] } } },
        { any_resource: sensors },
        { related: { labels: { zone: ["n*", "s*"] } } },
      ]) {
        const wanted = resolveFilter(EventFilterSchema.parse({ ...written, occurred }), noon + day);
        const expected = expectedEvents(events, wanted).map(({ id }) => id);
        const { events: found, total } = await workspace.queryEvents(wanted, { limit: 40 });
        expect([written, total]).toEqual([written, expected.length]);
        expect(found.map(({ id }) => id)).toEqual(expected.slice(0, 40));
      }
    }
  });

  test("counts the same events as a loop over them", async () => {
    await fc.assert(
      fc.asyncProperty(
        someEvents,
        fc.array(someFilter, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("day", "time", "event", "resource"),
        fc.constantFrom(...units),
        async (events, filters, countable, { unit, length }) => {
          const workspace = await recorded(events);
          for (const filter of filters) {
            if ((filter.until - filter.since) / length > 1_000) continue; // rejected: too many buckets
            const counts = await workspace.countBy(countable, filter, { unit, interval: 1, now: noon });
            const distinctOff = { ...filter, distinct: false };
            const matching = expectedEvents(events, distinctOff);
            if (countable === "event") expectGroups(counts, matching, ({ name }) => comparable(name));
            else if (countable === "resource") {
              expectGroups(counts, matching, idOf);
              expectLatestTitles(counts, matching);
            } else expectBuckets(counts, matching, countable === "day" ? day : length);
          }
        },
      ),
      runs,
    );
  });
});

// If the generators drew only empty filters, everything above would pass without proving anything.
test("the drawn filters use every criterion, and each matches some events and not others", () => {
  const verdicts = new Map<string, Set<boolean>>();
  const samples = fc.sample(fc.tuple(someEvents, someFilter), { numRuns: 3_000, seed: 1 });
  for (const [events, filter] of samples) {
    const tests = [...filter.resource, ...filter.related, ...filter.anyResource];
    const patterns = tests.flatMap(({ labels }) => labels.flatMap(({ patterns }) => patterns));
    const criteria = {
      ...filter,
      ...filter.text,
      ...Object.fromEntries(testParts.map((part) => [part, tests.flatMap((test) => [...test[part]])])),
      negated: patterns.filter((pattern) => pattern.startsWith("!")),
      classes: patterns.filter((pattern) => pattern.includes("[!n]")),
    };
    for (const [criterion, value] of Object.entries(criteria)) {
      if (!Array.isArray(value) || value.length === 0) continue;
      const seen = verdicts.get(criterion) ?? new Set();
      for (const event of events) seen.add(matchesFilter(filter, event));
      verdicts.set(criterion, seen);
    }
  }
  const used = [...verdicts].filter(([, { size }]) => size === 2).map(([criterion]) => criterion);
  expect(used).toEqual(expect.arrayContaining(expectedCriteria));
});

const testParts = ["ids", "idPrefixes", "roles", "idsInRoles", "labels"] as const;
const expectedCriteria = [
  ...["prefixes", "names", "excludedPrefixes", "excludedNames", "resource", "related", "anyResource"],
  ...["any", "all", "none", "negated", "classes", ...testParts],
];

const units = [
  { unit: "week", length: 7 * day },
  { unit: "day", length: day },
  { unit: "minute", length: minute },
  { unit: "second", length: second },
] as const;

function idOf(event: Event): string {
  return comparable(event.resource.get("prefect.resource.id") ?? "");
}

/** Every event that should be found, in order; events with equal times in the order in which they were recorded. */
function expectedEvents(events: readonly Event[], filter: EventFilter): Event[] {
  const direction = filter.order === "ASC" ? 1 : -1;
  const matching = events
    .map((event, index) => ({ event, index, occurred: occurredOf(event) }))
    .filter(({ event }) => matchesFilter(filter, event))
    .sort((a, b) => direction * (a.occurred - b.occurred || a.index - b.index))
    .map(({ event }) => event);
  if (!filter.distinct) return matching;
  const seen = new Set<string>();
  return matching.filter((event) => !seen.has(idOf(event)) && seen.add(idOf(event)));
}

/** A resource is called what its latest event calls it. */
function expectLatestTitles(counts: readonly EventCount[], matching: readonly Event[]) {
  const groups = Map.groupBy(matching, idOf);
  for (const { value, label } of counts) {
    const events = groups.get(value) ?? [];
    const last = Math.max(...events.map(occurredOf));
    const titles = events.filter((event) => occurredOf(event) === last).map(titleOf);
    expect(titles).toContain(label);
  }
}

function titleOf({ resource }: Event): string {
  const title = resource.get("prefect.resource.name") || resource.get("prefect.name");
  return comparable(title || (resource.get("prefect.resource.id") ?? ""));
}

function expectGroups(
  counts: readonly EventCount[],
  matching: readonly Event[],
  keyOf: (event: Event) => string,
) {
  const groups = Map.groupBy(matching, keyOf);
  expect(new Set(counts.map(({ value }) => value))).toEqual(new Set(groups.keys()));
  for (const { value, count, start_time, end_time } of counts) {
    const times = groups.get(value)?.map(occurredOf) ?? [];
    expect(count).toBe(times.length);
    expect(parseTime(start_time)).toBe(Math.min(...times));
    expect(parseTime(end_time)).toBe(Math.max(...times));
  }
  const ranks = counts.map(({ count, label }) => [-count, label] as const);
  const sorted = [...ranks].sort(
    ([countA, a], [countB, b]) => countA - countB || Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  expect(ranks).toEqual(sorted);
}

function expectBuckets(counts: readonly EventCount[], matching: readonly Event[], length: Micros) {
  let end: Micros | null = null;
  for (const [index, { value, count, start_time, end_time, label }] of counts.entries()) {
    const start = parseTime(start_time) ?? 0;
    const last = parseTime(end_time) ?? 0;
    expect(value).toBe(String(index));
    expect(label).toBe(start_time.replace("Z", "+00:00"));
    if (end !== null) expect(start).toBe(end + 1); // no gap and no overlap
    expect(last).toBe(start + length - 1);
    const inside = matching.filter((event) => start <= occurredOf(event) && occurredOf(event) <= last);
    expect(count).toBe(inside.filter((event) => occurredOf(event) <= endOfUnit(length)).length);
    end = last;
  }
  const counted = counts.reduce((sum, { count }) => sum + count, 0);
  expect(counted).toBe(matching.filter((event) => occurredOf(event) <= endOfUnit(length)).length);
}

/** The end of the unit that contains noon, which starts a second, a minute and an hour, and is in the middle of a day. */
function endOfUnit(length: Micros): Micros {
  return length < day ? noon + length - 1 : noon + day / 2 - 1;
}
