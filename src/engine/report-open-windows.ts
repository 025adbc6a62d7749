/**
 * Reports how many windows of each automation are open, beside the commits.
 *
 * The numbers are for people: they are a moment behind, and those of an owner that died stand until the next one has begun.
 */

import type { Core } from "../core/machine/core.ts";
import type { OpenNumbers } from "../core/machine/open-count.ts";
import type { Clock } from "../retry/clock.ts";
import { Outage } from "../retry/outage.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import type { EngineLogger, EngineMetrics, ShardStore } from "./ports.ts";

export interface ReportPorts {
  readonly store: Pick<ShardStore, "writeOpenCounts">;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly metrics: EngineMetrics;
}

const everyMs = 2_000;
const automationsPerWrite = 1_000;

/**
 * Reports until `signal` is aborted, or the shard has another owner. First everything, and then what has changed.
 *
 * @param core nobody else takes its counts
 */
export async function reportOpenWindows(
  { store, clock, logger, metrics }: ReportPorts,
  core: Pick<Core, "takeOpenCounts">,
  { shard, epoch }: { readonly shard: number; readonly epoch: number },
  signal: AbortSignal,
): Promise<void> {
  const latest = new Map<string, OpenNumbers>();
  const unwritten = new Map<string, OpenNumbers>();
  let openCount = 0;
  let isFirst = true;
  while (!signal.aborted) {
    try {
      for (const [id, numbers] of core.takeOpenCounts()) {
        const before = latest.get(id) ?? nothingOpen;
        if (numbers.open !== before.open || numbers.unresolved !== before.unresolved) {
          openCount += numbers.open - before.open;
          unwritten.set(id, numbers);
          if (numbers.open === 0) latest.delete(id);
          else latest.set(id, numbers);
        }
        await breathe();
        if (signal.aborted) return;
      }
      metrics.openWindows?.(shard, openCount);
      const parts = chunksOf([...unwritten], automationsPerWrite);
      // Also when nothing is open: an earlier owner may have left something.
      for (const part of isFirst && parts.length === 0 ? [[]] : parts) {
        if (!(await store.writeOpenCounts(epoch, new Map(part), { isFirst }))) return;
        isFirst = false;
        for (const [id] of part) unwritten.delete(id);
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

const nothingOpen: OpenNumbers = { open: 0, unresolved: 0 };
