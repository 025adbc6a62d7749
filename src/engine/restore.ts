/** Restores the core of a shard as it was last committed, or at its origin if it has never committed. */

import { randomInt } from "node:crypto";
import { Core } from "../core/machine/core.ts";
import type { LogPosition } from "../core/machine/log-entry.ts";
import { seenCountMax, seenFor } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import { finishInSlices } from "../retry/slices.ts";
import { comparePositions, positionBefore } from "../store/position.ts";
import type { Cursor, EngineLogger, ShardStore } from "./ports.ts";
import { shardOf } from "./shard-of.ts";

export interface RestoreSettings {
  readonly shard: number;
  readonly shardCount: number;
  /** The lateness of triggers that do not set their own. */
  readonly latenessDefault?: Micros;
  readonly seenCountMax?: number;
}

export interface Restored {
  readonly core: Core;
  readonly cursor: Cursor;
}

/** @throws RedisUnreachable */
export async function restore(
  store: ShardStore,
  settings: RestoreSettings,
  logger: EngineLogger,
): Promise<Restored> {
  const { shard, shardCount, ...rest } = settings;
  const options = { ...rest, seed: randomSeed() };
  const stored = await store.load();
  if (stored.cursor === null) return startAtOrigin(store, settings, logger);

  const core = await finishInSlices(Core.restoreInSteps(stored.state, options));
  let cursor = stored.cursor;
  const last = await store.lastPosition();
  if (comparePositions(last, cursor.position) < 0) {
    const fields = { shard, cursor: cursor.position, last };
    logger.error(
      fields,
      "The log ends before the shard's cursor: entries were lost; continuing with new ones",
    );
    cursor = { ...cursor, position: last };
  }
  await recallSeenIds(core, cursor, store, options.seenCountMax ?? seenCountMax);
  return { core, cursor };
}

async function startAtOrigin(
  store: ShardStore,
  { shard, shardCount, ...options }: RestoreSettings,
  logger: EngineLogger,
): Promise<Restored> {
  const { position, readCount, automations, now, trimmed } = await store.origin();
  const core = new Core(options);
  if (trimmed) {
    const fields = { shard, position };
    logger.warn(fields, "The log was trimmed before this shard first started; it sees only new events");
  }
  for (const automation of automations) {
    if (shardOf(automation.id, shardCount) !== shard) continue;
    core.apply({ kind: "automation-put", position, received: now, automation });
  }
  return { core, cursor: { position, readCount, watermark: core.watermark, commitCount: 0 } };
}

function randomSeed(): number {
  return randomInt(2 ** 32);
}

const recallCount = 1_000;

/**
 * Marks the ids of the latest events as seen. Those before them are part of the state, if it is not of an old version: then
 * all are read from the log.
 */
async function recallSeenIds(core: Core, cursor: Cursor, store: ShardStore, countMax: number): Promise<void> {
  const { seenUntil } = core;
  const first = seenUntil ?? positionBefore(cursor.watermark - seenFor);
  // By id, because only the last sighting counts: an event that was sent many times uses up one place, as it did before.
  const sightings = new Map<string, { position: LogPosition; received: Micros }>(); // newest first
  for (let last = cursor.position; sightings.size < countMax; ) {
    const batch = await store.readBack(last, first, recallCount);
    for (const entry of batch.entries) {
      if (entry.kind !== "event" || sightings.has(entry.event.id) || entry.position === seenUntil) continue;
      sightings.set(entry.event.id, entry);
    }
    if (batch.readCount === 0) break;
    last = `(${batch.position}`;
  }
  let seenAt = 0; // never decreases, even where the store's clock stepped back
  for (const [id, { position, received }] of [...sightings].slice(0, countMax).reverse()) {
    seenAt = Math.max(seenAt, received);
    core.markSeen(id, seenAt, position);
  }
}
