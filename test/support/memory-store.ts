/**
 * An in-memory store for the simulator: it does what Redis does for the engine, in virtual time.
 *
 * The suite in test/contract/ checks that it behaves like Redis.
 */

import type { LogEntry, LogPosition } from "../../src/core/machine/log-entry.ts";
import type { OpenNumbers } from "../../src/core/machine/open-count.ts";
import type { Automation } from "../../src/core/model/automation.ts";
import { eventOf, type WireEvent } from "../../src/core/model/event.ts";
import { formatTime, type Micros, millisecond } from "../../src/core/model/time.ts";
import type {
  Claim,
  Commit,
  CommitResult,
  Cursor,
  Origin,
  OutboxEntry,
  ReadResult,
  ShardStore,
  StoredShard,
} from "../../src/engine/ports.ts";
import { type ActivityKind, type CountedSecond, nothingCounted } from "../../src/store/activity.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { NewEvent } from "../../src/store/log.ts";
import type { LogBatch } from "../../src/store/log-reader.ts";
import type { OpenWindowsReport } from "../../src/store/open-counts.ts";
import { comparePositions, receivedAt, startOfLog } from "../../src/store/position.ts";
import type { ShardLayout } from "../../src/store/shard-layout.ts";
import type { VirtualClock } from "./virtual-clock.ts";

interface LeaseCells {
  owner: string | null;
  leaseEnd: number;
  epoch: number;
}

export interface ShardCells extends LeaseCells {
  cursor: Cursor | null;
  readonly state: Map<string, string>;
  /** How many windows of each automation are open, as their owner has written it. */
  readonly openCounts: Map<string, OpenNumbers>;
  openTotal: OpenNumbers;
  readonly unresolved: Set<string>;
  outbox: OutboxEntry[];
  /** Each commit's cursor, for tests to check. */
  readonly history: Cursor[];
}

/** What all simulated processes share. */
export class MemoryWorld {
  readonly clock: VirtualClock;
  readonly log: LogEntry[] = [];
  readonly automations = new Map<string, Automation>();
  /** What all shards have counted, by second. */
  readonly activity = new Map<number, Readonly<Record<ActivityKind, number>>>();
  layout: ShardLayout = { count: 1, generation: 0 };
  /** The shards of each layout, by its generation. */
  readonly generations: ShardCells[][] = [];
  trimmedCount = 0;
  /** The engines that are alive: when each counts as dead, and the shards that it waits for. */
  readonly engines = new Map<string, { expires: number; wants: readonly number[] }>();
  /** The number of shards that someone asked for. */
  wantedCount: number | null = null;
  /** Why that was refused. */
  refusal: string | null = null;
  readonly change: LeaseCells = { owner: null, leaseEnd: 0, epoch: 0 };
  /** How far the store's clock is ahead (or behind), in milliseconds. */
  skewMs = 0;
  /** Whether the store has no room left: it refuses whatever needs some. */
  isFull = false;
  #lastPosition: LogPosition = startOfLog;
  #sequence = 0;
  #namedCount = 0;
  readonly #waiting = new Set<() => void>();

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  now(): number {
    return Math.floor(this.clock.now()) + this.skewMs;
  }

  shard(shard: number, generation: number = this.layout.generation): ShardCells {
    this.generations[generation] ??= [];
    const shards = this.generations[generation];
    shards[shard] ??= {
      owner: null,
      leaseEnd: 0,
      epoch: 0,
      cursor: null,
      state: new Map(),
      openCounts: new Map(),
      openTotal: { open: 0, unresolved: 0 },
      unresolved: new Set(),
      outbox: [],
      history: [],
    };
    return shards[shard];
  }

  lastPosition(): LogPosition {
    return this.#lastPosition;
  }

  /** An event that occurs now, with an id of its own. */
  eventNamed(name: string): WireEvent {
    this.#namedCount += 1;
    return {
      id: `00000000-0000-4000-8000-${String(this.#namedCount).padStart(12, "0")}`,
      occurred: formatTime(this.now() * millisecond),
      event: name,
      resource: { "prefect.resource.id": "pump.1" },
      related: [],
      payload: {},
      follows: null,
    };
  }

  /** As Redis does, for a command that needs memory. @throws RedisUnreachable if the store is full */
  refuseIfFull(): void {
    if (this.isFull) throw new RedisUnreachable("OOM command not allowed when used memory > 'maxmemory'");
  }

  appendEvents(events: readonly NewEvent[]): { position: LogPosition; received: Micros }[] {
    this.refuseIfFull();
    const places = events.map(({ event, lineage = [], trace = null }) => {
      const place = this.#nextPlace();
      // A copy, as Redis would return.
      const wire = structuredClone(event);
      this.log.push({ kind: "event", ...place, event: eventOf(wire, place.received, [...lineage], trace) });
      return place;
    });
    this.#wake();
    return places;
  }

  putAutomations(automations: readonly Automation[]): void {
    for (const automation of automations) {
      this.automations.set(automation.id, automation);
      this.log.push({
        kind: "automation-put",
        ...this.#nextPlace(),
        automation: structuredClone(automation),
      });
    }
    this.#wake();
  }

  deleteAutomations(ids: readonly string[]): void {
    for (const automationId of ids) {
      if (!this.automations.delete(automationId)) continue;
      this.log.push({ kind: "automation-delete", ...this.#nextPlace(), automationId });
    }
    this.#wake();
  }

  /** Adds what a commit counts. */
  count(counted: readonly CountedSecond[]): void {
    for (const { second, ...counts } of counted) {
      const { events, firings, resolutions } = this.activity.get(second) ?? nothingCounted;
      this.activity.set(second, {
        events: events + counts.events,
        firings: firings + counts.firings,
        resolutions: resolutions + counts.resolutions,
      });
    }
  }

  trim(first: LogPosition): void {
    while (this.log[0] !== undefined && comparePositions(this.log[0].position, first) < 0) {
      this.log.shift();
      this.trimmedCount += 1;
    }
  }

  entriesAfter(position: LogPosition, count: number): LogEntry[] {
    let low = 0;
    let high = this.log.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePositions(this.log[middle]!.position, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return this.log.slice(low, low + count);
  }

  /** Resolves when something is appended, after `ms`, or when aborted. */
  async waitForEntry(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#waiting.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    await this.clock.sleep(ms, woken.signal);
    this.#waiting.delete(wake);
    signal.removeEventListener("abort", wake);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  // Like XADD: never behind the newest entry, even if the clock has stepped back.
  #nextPlace(): { position: LogPosition; received: Micros } {
    const last = receivedAt(this.#lastPosition) / millisecond;
    const now = this.now();
    this.#sequence = now > last ? 0 : this.#sequence + 1;
    this.#lastPosition = `${Math.max(now, last)}-${this.#sequence}`;
    return { position: this.#lastPosition, received: receivedAt(this.#lastPosition) };
  }
}

export class MemoryLease {
  readonly #world: MemoryWorld;
  readonly #cells: LeaseCells;
  readonly #owner: string;
  readonly #generation: number;

  constructor(world: MemoryWorld, cells: LeaseCells, owner: string, generation: number) {
    this.#world = world;
    this.#cells = cells;
    this.#owner = owner;
    this.#generation = generation;
  }

  async claim(leaseMs: number, { force = false }: { force?: boolean } = {}): Promise<Claim> {
    const cells = this.#cells;
    const now = this.#world.now();
    if (this.#world.layout.generation !== this.#generation) return { heldMs: leaseMs };
    const isHeld = cells.owner !== null && cells.owner !== this.#owner && cells.leaseEnd > now;
    if (isHeld && !force) return { heldMs: cells.leaseEnd - now };
    this.#world.refuseIfFull();
    cells.epoch = Math.max(cells.epoch + 1, now);
    cells.owner = this.#owner;
    cells.leaseEnd = now + leaseMs;
    return { epoch: cells.epoch };
  }

  async renew(epoch: number, leaseMs: number): Promise<boolean> {
    if (this.#cells.epoch !== epoch) return false;
    this.#world.refuseIfFull();
    this.#cells.owner = this.#owner;
    this.#cells.leaseEnd = this.#world.now() + leaseMs;
    return true;
  }

  async release(epoch: number): Promise<void> {
    if (this.#cells.epoch === epoch) this.#cells.owner = null;
  }
}

export class MemoryShardStore implements ShardStore {
  readonly #world: MemoryWorld;
  readonly #cells: ShardCells;
  readonly #lease: MemoryLease;
  #interruption = new AbortController();

  constructor(
    world: MemoryWorld,
    shard: number,
    owner: string,
    generation: number = world.layout.generation,
  ) {
    this.#world = world;
    this.#cells = world.shard(shard, generation);
    this.#lease = new MemoryLease(world, this.#cells, owner, generation);
  }

  claim(leaseMs: number, options: { force?: boolean } = {}): Promise<Claim> {
    return this.#lease.claim(leaseMs, options);
  }

  renew(epoch: number, leaseMs: number): Promise<boolean> {
    return this.#lease.renew(epoch, leaseMs);
  }

  release(epoch: number): Promise<void> {
    return this.#lease.release(epoch);
  }

  async load(): Promise<StoredShard> {
    return { cursor: this.#cells.cursor, state: new Map(this.#cells.state) };
  }

  async origin(): Promise<Origin> {
    const now = this.#world.now() * millisecond;
    const { trimmedCount, log, automations } = this.#world;
    if (trimmedCount === 0) {
      return { position: startOfLog, readCount: 0, automations: [], now, trimmed: false };
    }
    return {
      position: log.at(-1)?.position ?? startOfLog,
      readCount: trimmedCount + log.length,
      automations: [...automations.values()],
      now,
      trimmed: true,
    };
  }

  async lastPosition(): Promise<LogPosition> {
    return this.#world.log.at(-1)?.position ?? startOfLog;
  }

  async read(
    after: LogPosition,
    { count, blockMs }: { count: number; blockMs: number },
  ): Promise<ReadResult> {
    if (blockMs > 0 && this.#world.entriesAfter(after, 1).length === 0) {
      this.#interruption = new AbortController();
      await this.#world.waitForEntry(blockMs, this.#interruption.signal);
      if (this.#interruption.signal.aborted) throw new RedisUnreachable("interrupted");
    }
    const entries = this.#world.entriesAfter(after, count);
    return {
      ...batchOf(entries, after),
      now: this.#world.now() * millisecond,
    };
  }

  async readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch> {
    const exclusive = last.startsWith("(");
    const end = exclusive ? last.slice(1) : last;
    const entries = this.#world.log.filter(({ position }) => {
      const beyond = comparePositions(position, end);
      return comparePositions(position, first) >= 0 && (exclusive ? beyond < 0 : beyond <= 0);
    });
    return batchOf(entries.reverse().slice(0, count), end);
  }

  async commit({ epoch, changes, events, invocations, cursor, counted = [] }: Commit): Promise<CommitResult> {
    const cells = this.#cells;
    if (cells.epoch !== epoch) return { outcome: "fenced", positions: [] };
    if ((cells.cursor?.commitCount ?? 0) + 1 !== cursor.commitCount)
      return { outcome: "out of step", positions: [] };
    // Redis refuses the first command that needs room, and nothing was written before that.
    this.#world.refuseIfFull();
    for (const { field, value } of changes) {
      if (value === null) cells.state.delete(field);
      else cells.state.set(field, value);
    }
    const positions: string[] = [];
    for (const invocation of invocations) {
      const position = `${cursor.commitCount}-${cells.outbox.length}`;
      cells.outbox.push({ position, invocation: structuredClone(invocation) });
      positions.push(position);
    }
    cells.cursor = cursor;
    cells.history.push(cursor);
    this.#world.appendEvents(events);
    this.#world.count(counted);
    return { outcome: "committed", positions };
  }

  async writeOpenWindows(
    epoch: number,
    { counts, total, unresolved, isFirst }: OpenWindowsReport,
  ): Promise<boolean> {
    const cells = this.#cells;
    if (cells.epoch !== epoch) return false;
    if (isFirst) {
      // A script that has deleted something is not refused any more.
      cells.openCounts.clear();
      cells.unresolved.clear();
    } else this.#world.refuseIfFull();
    cells.openTotal = total;
    for (const [id, numbers] of counts) {
      if (numbers.open === 0) cells.openCounts.delete(id);
      else cells.openCounts.set(id, numbers);
    }
    for (const [field, isUnresolved] of unresolved) {
      if (isUnresolved) cells.unresolved.add(field);
      else cells.unresolved.delete(field);
    }
    return true;
  }

  async outbox(count: number): Promise<OutboxEntry[]> {
    return this.#cells.outbox.slice(0, count);
  }

  async clearOutbox(positions: readonly string[]): Promise<void> {
    this.#cells.outbox = this.#cells.outbox.filter(({ position }) => !positions.includes(position));
  }

  interrupt(): void {
    this.#interruption.abort();
  }
}

function batchOf(entries: readonly LogEntry[], after: LogPosition): LogBatch {
  return { entries, position: entries.at(-1)?.position ?? after, readCount: entries.length, length: 0 };
}
