/**
 * Reports how many windows of each automation are open, and which are unresolved, beside the commits.
 *
 * It is for people: it is a moment behind, and what an owner that died has written stands until the next one has begun.
 */

import type { Core } from "../core/machine/core.ts";
import { nothingOpen, type OpenNumbers } from "../core/machine/open-count.ts";
import type { Clock } from "../retry/clock.ts";
import { Outage } from "../retry/outage.ts";
import { breathe } from "../retry/slices.ts";
import type { EngineLogger, EngineMetrics, ShardStore } from "./ports.ts";

export interface ReportPorts {
  readonly store: Pick<ShardStore, "writeOpenWindows">;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly metrics: EngineMetrics;
}

const everyMs = 2_000;
const changesPerWrite = 1_000;

/**
 * Reports until `signal` is aborted, or the shard has another owner. First everything, and then what has changed.
 *
 * @param core nobody else takes its numbers
 */
export async function reportOpenWindows(
  { store, clock, logger, metrics }: ReportPorts,
  core: Pick<Core, "takeOpenCounts" | "takeUnresolved">,
  { shard, epoch }: { readonly shard: number; readonly epoch: number },
  signal: AbortSignal,
): Promise<void> {
  const latest = new Map<string, OpenNumbers>();
  const changed = new Map<string, OpenNumbers>();
  let unresolved = new Map<string, boolean>();
  let total = nothingOpen;
  let isFirst = true;
  while (!signal.aborted) {
    try {
      for (const [id, numbers] of core.takeOpenCounts()) {
        const before = latest.get(id) ?? nothingOpen;
        if (numbers.open !== before.open || numbers.unresolved !== before.unresolved) {
          total = {
            open: total.open + numbers.open - before.open,
            unresolved: total.unresolved + numbers.unresolved - before.unresolved,
          };
          changed.set(id, numbers);
          if (numbers.open === 0) latest.delete(id);
          else latest.set(id, numbers);
        }
        await breathe();
        if (signal.aborted) return;
      }
      metrics.openWindows?.(shard, total.open);
      for (;;) {
        const counts = firstOf(changed, changesPerWrite);
        if (unresolved.size === 0) unresolved = core.takeUnresolved(changesPerWrite);
        // The first one is also written when nothing is open: an earlier owner may have left something.
        if (!isFirst && counts.size === 0 && unresolved.size === 0) break;
        if (!(await store.writeOpenWindows(epoch, { counts, total, unresolved, isFirst }))) return;
        isFirst = false;
        unresolved = new Map();
        for (const id of counts.keys()) changed.delete(id);
        if (signal.aborted) return;
      }
    } catch (error) {
      // The loop reports outages. Whatever was not written is, the next time.
      const message = "Could not write how many windows are open; retrying";
      if (!(error instanceof Outage)) logger.error({ shard, err: error }, message);
    }
    await clock.sleep(everyMs, signal);
  }
}

function firstOf<K, V>(map: ReadonlyMap<K, V>, count: number): Map<K, V> {
  const first = new Map<K, V>();
  for (const [key, value] of map) {
    if (first.size === count) break;
    first.set(key, value);
  }
  return first;
}
