/** Where a shard goes on: the core as it was last committed, or at its origin. */

import { Core } from "../core/machine/core.ts";
import { seenCountMax, seenFor } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import { comparePositions, positionBefore } from "../store/position.ts";
import type { Cursor, EngineLogger, ShardStore } from "./ports.ts";
import { shardOf } from "./shard-of.ts";

export interface RestoreSettings {
  readonly shard: number;
  readonly shardCount: number;
  /** The lateness of triggers that name none. */
  readonly latenessDefault?: Micros;
  readonly seenCountMax?: number;
}

export interface Restored {
  readonly core: Core;
  readonly cursor: Cursor;
}

export async function restore(
  store: ShardStore,
  settings: RestoreSettings,
  logger: EngineLogger,
): Promise<Restored> {
  const { shard, shardCount, ...options } = settings;
  const stored = await store.load();
  if (stored.cursor === null) return begin(store, settings, logger);

  const core = Core.restore(stored.state, options);
  let cursor = stored.cursor;
  const last = await store.lastPosition();
  if (comparePositions(last, cursor.position) < 0) {
    const fields = { shard, cursor: cursor.position, last };
    logger.error(fields, "The log ends before the cursor: entries were lost. Continuing with new ones");
    cursor = { ...cursor, position: last };
  }
  await recallSeenIds(core, cursor, store, options.seenCountMax ?? seenCountMax);
  return { core, cursor };
}

async function begin(
  store: ShardStore,
  { shard, shardCount, ...options }: RestoreSettings,
  logger: EngineLogger,
): Promise<Restored> {
  const { position, readCount, automations, now, trimmed } = await store.origin();
  const core = new Core(options);
  if (trimmed) {
    const fields = { shard, position };
    logger.warn(fields, "New shard in a trimmed log: it sees new events only");
  }
  for (const automation of automations) {
    if (shardOf(automation.id, shardCount) !== shard) continue;
    core.apply({ kind: "automation-put", position, received: now, automation });
  }
  return { core, cursor: { position, readCount, watermark: core.watermark, commitCount: 0 } };
}

const recallCount = 1_000;

/** Tells the core which event ids it has lately seen: they are in the log, so they need no place in the state. */
async function recallSeenIds(core: Core, cursor: Cursor, store: ShardStore, countMax: number): Promise<void> {
  const first = positionBefore(cursor.watermark - seenFor);
  const sightings: { id: string; received: Micros }[] = [];
  for (let last = cursor.position; sightings.length < countMax; ) {
    const batch = await store.readBack(last, first, recallCount);
    for (const entry of batch.entries) {
      if (entry.kind === "event") sightings.push({ id: entry.event.id, received: entry.received });
    }
    if (batch.readCount < recallCount) break;
    last = `(${batch.position}`;
  }
  let at = 0; // sightings are noted in order, also where the store's clock stepped back
  for (const { id, received } of sightings.slice(0, countMax).reverse()) {
    at = Math.max(at, received);
    core.markSeen(id, at);
  }
}
