/**
 * Watches whether engines evaluate a workspace, from any process: which shards have an owner, and whether each moves on.
 *
 * What it reads says how things are. Since when, it knows from having looked before.
 */

import { formatSecond, millisecond } from "../core/model/time.ts";
import { BackgroundTask } from "../retry/background-task.ts";
import { type Clock, systemClock } from "../retry/clock.ts";
import type { Log } from "../store/log.ts";
import type { ShardStatus } from "../store/shard-status.ts";

export interface EngineHealthOptions {
  /** How long a shard may be without an owner: as long as a new owner waits for the lease of a dead one. */
  readonly leaseMs: number;
  /** How long a shard may stand still although something waits. */
  readonly stalledAfterMs: number;
  /** Called when something begins to keep alarms from being raised, with what it is, and with null when it has ended. */
  readonly onChange?: (problem: string | null) => void;
  readonly everyMs?: number;
  readonly clock?: Clock;
}

export interface EngineProblem {
  /** What is wrong and since when, with the remedy. */
  readonly message: string;
  /** Whether nothing is evaluated, in all shards or some, rather than late. */
  readonly stopsAlarms: boolean;
}

/** An engine that is this far behind is not just busy with a burst. */
const behindMsMax = 60_000;
const everyMsDefault = 2_000;

/** How a shard was when it was last seen to work, in milliseconds of the clock. */
interface Seen {
  readonly commitCount: number;
  readonly ownedAt: number;
  readonly movedAt: number;
}

/**
 * The health of the engines of one workspace, checked at regular intervals and whenever someone asks.
 *
 * @example
 * const health = new EngineHealth(log, { leaseMs: 10_000, stalledAfterMs: 30_000 });
 * health.start();
 * const problems = await health.check();
 * await health.stop();
 */
export class EngineHealth extends BackgroundTask {
  readonly #log: Pick<Log, "shardStatus">;
  readonly #options: EngineHealthOptions;
  readonly #clock: Clock;
  readonly #seen = new Map<number, Seen>();
  /** Since when there has been no shard at all, because no engine has ever run. */
  #emptySince: number | null = null;
  #checkedAt: number | null = null;
  #stalled: string | null = null;

  constructor(log: Pick<Log, "shardStatus">, options: EngineHealthOptions) {
    super();
    this.#log = log;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Looks now. @throws RedisUnreachable */
  async check(): Promise<EngineProblem[]> {
    const shards = await this.#log.shardStatus();
    const now = this.#clock.now();
    // A process that was paused saw nothing. It must not take that time for the engine's.
    const { everyMs = everyMsDefault } = this.#options;
    if (this.#checkedAt !== null && now - this.#checkedAt > 3 * everyMs) this.#forget();
    this.#checkedAt = now;
    this.#note(shards, now);
    const problems = this.#judge(shards, now);
    this.#report(problems);
    return problems;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.check().catch(() => {}); // an outage is reported elsewhere, and whoever asks gets the error
      await this.#clock.sleep(this.#options.everyMs ?? everyMsDefault, signal);
    }
  }

  #forget(): void {
    this.#seen.clear();
    this.#emptySince = null;
  }

  #note(shards: readonly ShardStatus[], now: number): void {
    this.#emptySince = shards.length > 0 ? null : (this.#emptySince ?? now);
    for (const { shard, owned, commitCount, delayMs } of shards) {
      const before = this.#seen.get(shard) ?? { commitCount, ownedAt: now, movedAt: now };
      const hasMoved = delayMs <= 0 || commitCount !== before.commitCount;
      this.#seen.set(shard, {
        commitCount,
        ownedAt: owned ? now : before.ownedAt,
        movedAt: hasMoved ? now : before.movedAt,
      });
    }
  }

  #judge(shards: readonly ShardStatus[], now: number): EngineProblem[] {
    const { leaseMs, stalledAfterMs } = this.#options;
    if (this.#emptySince !== null) {
      const ms = now - this.#emptySince;
      return [{ message: `No engine has ever run here. ${startRemedy}`, stopsAlarms: ms > leaseMs }];
    }
    const problems: EngineProblem[] = [];
    const unowned = shards.filter(({ owned }) => !owned);
    if (unowned.length > 0) {
      const ms = Math.max(...unowned.map(({ shard }) => now - (this.#seen.get(shard)?.ownedAt ?? now)));
      const what =
        unowned.length === shards.length
          ? "No engine is running"
          : `No engine runs ${unowned.length} of ${shards.length} shards`;
      problems.push({ message: `${what}, ${since(ms)}. ${startRemedy}`, stopsAlarms: ms > leaseMs });
    }
    for (const status of shards) {
      const { shard, owned, delayMs, entriesBehind, position } = status;
      // Something may have begun to wait only now, after the last look.
      const ms = Math.min(delayMs, now - (this.#seen.get(shard)?.movedAt ?? now));
      if (!owned || ms < stalledAfterMs) continue;
      const waiting =
        entriesBehind > 0
          ? `${entriesBehind} ${entriesBehind === 1 ? "entry waits" : "entries wait"} after ${position}`
          : "a window is overdue";
      const message = `Shard ${shard} has stalled, ${since(ms)}: an engine owns it, but does not move on, although ${waiting}. ${stallRemedy}`;
      problems.push({ message, stopsAlarms: true });
    }
    if (problems.length > 0) return problems;
    const delayMs = Math.max(...shards.map((shard) => shard.delayMs));
    if (delayMs <= behindMsMax) return [];
    const message = `The engine is ${Math.round(delayMs / 1_000)} s behind, so alarms are late.`;
    return [{ message, stopsAlarms: false }];
  }

  #report(problems: readonly EngineProblem[]): void {
    const stalled = problems.find(({ stopsAlarms }) => stopsAlarms)?.message ?? null;
    const isNews = (stalled === null) !== (this.#stalled === null);
    this.#stalled = stalled;
    if (isNews) this.#options.onChange?.(stalled);
  }
}

const startRemedy =
  "Events are accepted, but no automation sees them before a process with the role engine is started.";
const stallRemedy = "Its log says why; if it does not, restart it.";

function since(ms: number): string {
  return `since ${formatSecond((Date.now() - ms) * millisecond)}`;
}
