/** A log in partitions, as docs/scale.md plans it: one order, whoever reads it and however the clocks run. */

import { expect, test } from "vitest";
import { seed } from "../support/fast-check.ts";
import { Random } from "../support/random.ts";
import { type MergedEntry, PartitionedLog, PartitionMerger } from "./partitioned-log.ts";

interface History {
  readonly log: PartitionedLog;
  readonly endMs: number;
  /** What was acknowledged before something else began, by the names of the items. */
  readonly ordered: readonly (readonly [earlier: string, later: string])[];
  readonly itemCount: number;
}

const nameOf = (item: MergedEntry["item"]) => ("event" in item ? item.event : `change ${item.change}`);

/** Appends events and changes; the changes of several servers may overlap, and some are spread twice. */
function randomHistory(random: Random): History {
  const offsets = Array.from({ length: random.integer(1, 5) }, () => random.integer(0, 400));
  const log = new PartitionedLog(offsets);
  const ordered: [string, string][] = [];
  const open: { change: number; left: number[] }[] = [];
  const acknowledged: string[] = [];
  let nowMs = 1_000;
  let eventCount = 0;
  let changeCount = 0;
  const began = (name: string) => {
    // Only around changes is an order promised: two events may be in different partitions.
    for (const earlier of acknowledged) {
      if (earlier.startsWith("change") || name.startsWith("change")) ordered.push([earlier, name]);
    }
  };
  const spread = (index: number) => {
    const { change, left } = open[index] as (typeof open)[number];
    const [partition] = left.splice(random.integer(0, left.length - 1), 1);
    if (partition !== undefined) log.spreadChange(change, partition, nowMs);
    if (partition !== undefined && random.chance(0.2)) log.spreadChange(change, partition, nowMs);
    if (left.length > 0) return;
    open.splice(index, 1);
    acknowledged.push(`change ${change}`);
  };
  for (let step = 0; step < 80; step++) {
    nowMs += random.integer(0, 20);
    if (open.length > 0 && random.chance(0.4)) spread(random.integer(0, open.length - 1));
    else if (random.chance(0.1)) {
      changeCount += 1;
      began(`change ${changeCount}`);
      const change = log.beginChange(nowMs);
      open.push({ change, left: Array.from({ length: offsets.length - 1 }, (_, index) => index + 1) });
      if (offsets.length === 1) spread(open.length - 1);
    } else {
      eventCount += 1;
      const event = `event ${eventCount}`;
      began(event);
      log.appendEvent(event, nowMs);
      acknowledged.push(event);
    }
  }
  while (open.length > 0) spread(0);
  return { log, endMs: nowMs + 1_000, ordered, itemCount: eventCount + changeCount };
}

/** Reads all of it in random portions, with restarts from what was committed. */
function mergeAtRandom(random: Random, { log, endMs }: History): MergedEntry[] {
  const merged: MergedEntry[] = [];
  const committed = Array.from({ length: log.partitionCount }, () => 0);
  let readUpTo = [...committed];
  let merger = new PartitionMerger(log.partitionCount);
  const read = (partition: number, countMax: number, nowMs: number) => {
    const from = readUpTo[partition] ?? 0;
    const found = log.read(partition, from, countMax, nowMs);
    readUpTo[partition] = from + found.entries.length;
    merger.offer(partition, found);
  };
  const takeAll = () => {
    for (let taken = merger.take(); taken !== null; taken = merger.take()) {
      const before = merged.at(-1)?.ms ?? 0;
      expect(taken.entry.ms).toBeGreaterThanOrEqual(before);
      merged.push(taken.entry);
      for (const partition of taken.partitions) committed[partition] = consumed(partition);
    }
  };
  // A change that was repeated is skipped when it is reached, so the cursor is found from what was merged.
  const consumed = (partition: number) => {
    const names = new Set(merged.map(({ item }) => nameOf(item)));
    const all = log.read(partition, 0, Number.POSITIVE_INFINITY, endMs).entries;
    const index = all.findIndex(({ item }) => !names.has(nameOf(item)));
    return index === -1 ? all.length : index;
  };
  for (let round = 0; round < 60; round++) {
    read(random.integer(0, log.partitionCount - 1), random.integer(1, 10), endMs);
    takeAll();
    if (!random.chance(0.1)) continue;
    merger = new PartitionMerger(log.partitionCount, {
      nextChange: merger.nextChange,
      watermarkMs: merged.at(-1)?.ms ?? 0,
    });
    readUpTo = [...committed];
  }
  for (let partition = 0; partition < log.partitionCount; partition++) {
    read(partition, Number.POSITIVE_INFINITY, endMs + 1_000);
  }
  takeAll();
  return merged;
}

test(`partitions merge into one order, in any portions and with restarts (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let run = 0; run < 300; run++) {
    const history = randomHistory(random);
    const first = mergeAtRandom(random, history);
    expect(first.map(({ item }) => nameOf(item)).sort()).toHaveLength(history.itemCount);
    expect(new Set(first.map(({ item }) => nameOf(item))).size).toBe(history.itemCount);
    expect(mergeAtRandom(random, history)).toEqual(first);
  }
});

// Otherwise an event could be missed by a rule that was there before it was accepted.
test(`what began after a change was acknowledged comes after it, however far the clocks are apart (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let run = 0; run < 300; run++) {
    const history = randomHistory(random);
    const places = new Map(
      mergeAtRandom(random, history).map(({ item }, index) => [nameOf(item), index] as const),
    );
    const wrong = history.ordered.filter(
      ([earlier, later]) => (places.get(earlier) ?? 0) > (places.get(later) ?? 0),
    );
    expect(wrong).toEqual([]);
  }
});

// A window is judged by the watermark: an entry behind it would be a heartbeat that was already reported as missing.
test(`nothing comes before the watermark (seed ${seed})`, () => {
  const random = new Random(seed);
  for (let run = 0; run < 200; run++) {
    const offsets = Array.from({ length: random.integer(2, 4) }, () => random.integer(0, 200));
    const log = new PartitionedLog(offsets);
    const merger = new PartitionMerger(offsets.length);
    const readUpTo = offsets.map(() => 0);
    let nowMs = 1_000;
    let settled = 0;
    for (let step = 0; step < 60; step++) {
      nowMs += random.integer(0, 10);
      if (random.chance(0.5)) log.appendEvent(`event ${run} ${step}`, nowMs);
      const partition = random.integer(0, offsets.length - 1);
      const found = log.read(partition, readUpTo[partition] ?? 0, random.integer(1, 5), nowMs);
      readUpTo[partition] = (readUpTo[partition] ?? 0) + found.entries.length;
      merger.offer(partition, found);
      for (let taken = merger.take(); taken !== null; taken = merger.take()) {
        expect(taken.entry.ms).toBeGreaterThanOrEqual(settled);
      }
      settled = Math.max(settled, merger.watermarkMs);
    }
  }
});
