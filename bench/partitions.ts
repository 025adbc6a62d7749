/**
 * What would a log in partitions cost? It drives the model of docs/scale.md (test/simulation/partitioned-log.ts).
 *
 * - How many entries per second does one reader merge, beside reading one partition?
 * - How much later than the event does its place become certain, by how far the clocks of the nodes are apart? This is in
 *   virtual time: events arrive evenly, and each partition is read every few milliseconds.
 *
 * Run: npx node bench/partitions.ts
 */

import { PartitionedLog, PartitionMerger } from "../test/simulation/partitioned-log.ts";
import { median, rounded } from "./support/figures.ts";

const entryCount = 200_000;
const portion = 2_000;

/** Entries per second. */
function mergeRate(partitionCount: number): number {
  const log = new PartitionedLog(Array.from({ length: partitionCount }, () => 0));
  for (let index = 0; index < entryCount; index++) log.appendEvent(`event ${index}`, index / 100);
  const merger = new PartitionMerger(partitionCount);
  const readUpTo = Array.from({ length: partitionCount }, () => 0);
  let mergedCount = 0;
  const began = performance.now();
  while (mergedCount < entryCount) {
    for (let partition = 0; partition < partitionCount; partition++) {
      const found = log.read(partition, readUpTo[partition] ?? 0, portion, entryCount);
      readUpTo[partition] = (readUpTo[partition] ?? 0) + found.entries.length;
      merger.offer(partition, found);
    }
    while (merger.take() !== null) mergedCount += 1;
  }
  return (entryCount / (performance.now() - began)) * 1_000;
}

/** How many milliseconds after it was accepted the place of an event is certain: median and 99th percentile. */
function delays(partitionCount: number, skewMs: number, readEveryMs: number): [p50: number, p99: number] {
  const offsets = Array.from(
    { length: partitionCount },
    (_, index) => (skewMs * index) / Math.max(1, partitionCount - 1),
  );
  const log = new PartitionedLog(offsets);
  const merger = new PartitionMerger(partitionCount);
  const readUpTo = offsets.map(() => 0);
  const acceptedAt = new Map<string, number>();
  const waits: number[] = [];
  for (let nowMs = 1; nowMs < 3_000; nowMs++) {
    for (let index = 0; index < 3; index++) {
      const event = `event ${nowMs} ${index}`;
      acceptedAt.set(event, nowMs);
      log.appendEvent(event, nowMs);
    }
    for (let partition = 0; partition < partitionCount; partition++) {
      // Not all in the same millisecond.
      if ((nowMs + partition * 3) % readEveryMs !== 0) continue;
      const found = log.read(partition, readUpTo[partition] ?? 0, portion, nowMs);
      readUpTo[partition] = (readUpTo[partition] ?? 0) + found.entries.length;
      merger.offer(partition, found);
    }
    for (let taken = merger.take(); taken !== null; taken = merger.take()) {
      const { item } = taken.entry;
      if ("event" in item) waits.push(nowMs - (acceptedAt.get(item.event) ?? nowMs));
    }
  }
  waits.sort((a, b) => a - b);
  return [median(waits), waits[Math.floor(waits.length * 0.99)] ?? 0];
}

for (const partitionCount of [1, 2, 4, 8, 16]) {
  const rates = Array.from({ length: 3 }, () => mergeRate(partitionCount));
  console.log(`${partitionCount} partitions: ${rounded(median(rates))} entries/s merged by one reader`);
}
for (const skewMs of [0, 5, 50, 500]) {
  for (const partitionCount of [2, 8]) {
    const [p50, p99] = delays(partitionCount, skewMs, 10);
    console.log(
      `${partitionCount} partitions read every 10 ms, clocks up to ${skewMs} ms apart: certain after ${p50} ms (p99 ${p99} ms)`,
    );
  }
}
