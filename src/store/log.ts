/**
 * The log: one Redis stream per workspace, of everything that can change an outcome.
 *
 * Each method that writes does so in one atomic step. A `RedisUnreachable` from one of them leaves open whether it took
 * effect; to repeat it is harmless, because an event's id counts once and an automation is written as a whole.
 */

import type { Redis } from "ioredis";
import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Micros } from "../core/model/time.ts";
import type { AnnounceChange } from "./announce.ts";
import { readAutomationState, type StateFields } from "./automation-state.ts";
import { blockMsMax, reaching } from "./connection.ts";
import { DestinationStore } from "./destination-store.ts";
import { decodeEntry, encodeEvent, type NewEvent, type StoredEntry } from "./entry.ts";
import { HookStore } from "./hook-store.ts";
import { encodeJson } from "./json.ts";
import { shardKeys, type WorkspaceKeys, workspaceKeys } from "./keys.ts";
import { receivedAt, startOfLog } from "./position.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import { workspaceSecret } from "./workspace-secret.ts";

export type { NewEvent } from "./entry.ts";

export interface LogOptions {
  /** Called for each entry that cannot be read and is skipped. */
  readonly onMalformed?: (position: LogPosition, reason: string) => void;
}

/** Some entries in order, and how far reading has come, which may be further than the last that could be read. */
export interface LogBatch {
  readonly entries: LogEntry[];
  readonly position: LogPosition;
  /** How many entries were read, malformed ones among them. */
  readonly readCount: number;
  /** How much text was read. */
  readonly length: number;
}

const appendEventsScript = new Script(scripts.appendEvents);
const putAutomationsScript = new Script(scripts.putAutomations);
const deleteAutomationsScript = new Script(scripts.deleteAutomations);
const replaceAutomationScript = new Script(scripts.replaceAutomation);
const trimLogScript = new Script(scripts.trimLog);

/** An event as scripts take it; all texts are empty when there is none. */
function optionalEvent(event: NewEvent | undefined): ReturnType<typeof encodeEvent> {
  return event === undefined ? ["", "", ""] : encodeEvent(event);
}

/**
 * One workspace's log.
 *
 * @example
 * const log = new Log(connect("redis://127.0.0.1:6379"), "default");
 * await log.appendEvents([{ event }]);
 * const entries = await log.read(startOfLog, { count: 100 });
 * log.close();
 */
export class Log {
  /** Where webhooks and notifications may go, by name. */
  readonly destinations: DestinationStore;
  /** What becomes of other services' requests, by name. */
  readonly hooks: HookStore;
  readonly #redis: Redis;
  readonly #workspace: string;
  readonly #keys: WorkspaceKeys;
  readonly #onMalformed: (position: LogPosition, reason: string) => void;
  #waiting: Redis | null = null;
  #malformedCount = 0;

  constructor(redis: Redis, workspace: string, options: LogOptions = {}) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.#keys = workspaceKeys(workspace);
    this.destinations = new DestinationStore(redis, workspace);
    this.hooks = new HookStore(redis, workspace);
    this.#onMalformed = options.onMalformed ?? (() => {});
  }

  /** How many entries this reader has skipped because they could not be read. */
  get malformedCount(): number {
    return this.#malformedCount;
  }

  /**
   * Appends all events or none.
   *
   * @returns each event's position and log time, in order
   * @throws RedisUnreachable
   */
  async appendEvents(events: readonly NewEvent[]): Promise<{ position: LogPosition; received: Micros }[]> {
    if (events.length === 0) return [];
    const parameters = events.flatMap(encodeEvent);
    const positions = (await this.#run(appendEventsScript, [this.#keys.log], parameters)) as LogPosition[];
    return positions.map((position) => ({ position, received: receivedAt(position) }));
  }

  /**
   * Creates or changes automations, all or none.
   *
   * @param announce makes the event that announces a change: appended right after it, in the same step
   * @throws RedisUnreachable
   */
  async putAutomations(automations: readonly Automation[], announce?: AnnounceChange): Promise<void> {
    if (automations.length === 0) return;
    const parameters = automations.flatMap((automation) => [
      automation.id,
      encodeJson(automation),
      ...optionalEvent(announce?.(automation)),
    ]);
    await this.#run(putAutomationsScript, [this.#keys.automations, this.#keys.log], parameters);
  }

  /**
   * Deletes automations, in one step.
   *
   * @param events that announce the deletions, by automation id; each is appended if that automation existed
   * @returns how many of them there were
   * @throws RedisUnreachable
   */
  async deleteAutomations(
    ids: readonly string[],
    events: ReadonlyMap<string, NewEvent> = new Map(),
  ): Promise<number> {
    if (ids.length === 0) return 0;
    const keys = [this.#keys.automations, this.#keys.log];
    const parameters = ids.flatMap((id) => [id, ...optionalEvent(events.get(id))]);
    return (await this.#run(deleteAutomationsScript, keys, parameters)) as number;
  }

  /**
   * Changes one automation, starting over when another change comes between.
   *
   * @param change from the automation as it is to what it should be, with the same id; called again for each start.
   *   When it returns what it was given, nothing is written
   * @param announce makes the event that announces the change: appended right after it, in the same step
   * @returns what it has become, or null when there is none
   * @throws RedisUnreachable, and whatever `change` throws
   */
  async updateAutomation(
    id: string,
    change: (current: Automation) => Automation,
    announce?: AnnounceChange,
  ): Promise<Automation | null> {
    const keys = [this.#keys.automations, this.#keys.log];
    for (;;) {
      const stored = await reaching(() => this.#redis.hget(this.#keys.automations, id));
      if (stored === null) return null;
      const current = JSON.parse(stored) as Automation;
      const automation = change(current);
      if (automation === current) return current;
      const parameters = [id, stored, encodeJson(automation), ...optionalEvent(announce?.(automation))];
      if ((await this.#run(replaceAutomationScript, keys, parameters)) === 1) return automation;
    }
  }

  /** @throws RedisUnreachable */
  async automations(): Promise<Automation[]> {
    const bodies = await reaching(() => this.#redis.hvals(this.#keys.automations));
    return bodies.map((body) => JSON.parse(body) as Automation);
  }

  /** @throws RedisUnreachable */
  async automation(id: string): Promise<Automation | null> {
    const body = await reaching(() => this.#redis.hget(this.#keys.automations, id));
    return body === null ? null : (JSON.parse(body) as Automation);
  }

  /**
   * What the engine has committed of an automation; null when no shard has taken it up yet.
   *
   * @throws RedisUnreachable
   */
  automationState(id: string): Promise<StateFields | null> {
    return readAutomationState(this.#redis, this.#workspace, id);
  }

  /**
   * Reads the entries after a position, malformed ones left out.
   *
   * @param options.blockMs how long to wait for one when there is none, on a connection of its own (one wait at a time)
   * @returns at most `count` entries; none when there is none (in time)
   * @throws RedisUnreachable
   */
  async read(after: LogPosition, options: { count: number; blockMs?: number }): Promise<LogEntry[]> {
    let batch = await this.readBatch(after, options);
    while (batch.entries.length === 0 && batch.readCount > 0) {
      batch = await this.readBatch(batch.position, options);
    }
    return batch.entries;
  }

  /** As `read`, and says how far it came. */
  async readBatch(after: LogPosition, options: { count: number; blockMs?: number }): Promise<LogBatch> {
    const { count, blockMs = 0 } = options;
    const block = Math.min(Math.ceil(blockMs), blockMsMax);
    const found = await reaching(() =>
      block <= 0
        ? this.#redis.xread("COUNT", count, "STREAMS", this.#keys.log, after)
        : this.#waitingConnection().xread("COUNT", count, "BLOCK", block, "STREAMS", this.#keys.log, after),
    );
    return this.batchOf(found?.[0]?.[1] ?? [], after);
  }

  /**
   * Reads backwards: the entries from `last` to `first`, both included, newest first.
   *
   * @returns at most `count`, malformed ones left out
   * @throws RedisUnreachable
   */
  async readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch> {
    const found = await reaching(() => this.#redis.xrevrange(this.#keys.log, last, first, "COUNT", count));
    return this.batchOf(found, last);
  }

  /**
   * The position of the newest entry; "0-0" when there is none.
   *
   * @throws RedisUnreachable
   */
  async lastPosition(): Promise<LogPosition> {
    const newest = await reaching(() => this.#redis.xrevrange(this.#keys.log, "+", "-", "COUNT", 1));
    return newest[0]?.[0] ?? startOfLog;
  }

  /**
   * How many entries there have been, trimmed ones among them; how many of those were trimmed.
   *
   * @throws RedisUnreachable
   */
  async entryCounts(): Promise<{ total: number; trimmed: number }> {
    const [length, trimmed] = await reaching(() =>
      Promise.all([this.#redis.xlen(this.#keys.log), this.#redis.get(this.#keys.trimmed)]),
    );
    return { total: length + Number(trimmed ?? 0), trimmed: Number(trimmed ?? 0) };
  }

  /**
   * Forgets entries before a position; Redis may keep some of them until a whole block of them can go.
   *
   * The caller keeps what is still needed: every shard and the recorder must have passed `first`, and by at least the
   * time for which event ids are known, because a shard learns them again from the log when it starts.
   *
   * @returns how many were trimmed
   * @throws RedisUnreachable
   */
  async trim(first: LogPosition): Promise<number> {
    return (await this.#run(trimLogScript, [this.#keys.log, this.#keys.trimmed], [first])) as number;
  }

  /**
   * How far the workspace's shards have committed; null for a shard that has not begun.
   *
   * @returns none while no engine has ever run
   * @throws RedisUnreachable
   */
  async shardPositions(): Promise<(LogPosition | null)[]> {
    const shardCount = Number((await reaching(() => this.#redis.get(this.#keys.shardCount))) ?? "0");
    const cursors = Array.from(
      { length: shardCount },
      (_, shard) => shardKeys(this.#workspace, shard).cursor,
    );
    return reaching(() => Promise.all(cursors.map((cursor) => this.#redis.hget(cursor, "position"))));
  }

  /**
   * A secret that the servers of this workspace share, for one purpose; made when it is asked for first.
   *
   * @throws RedisUnreachable
   */
  secret(purpose: string): Promise<string> {
    return workspaceSecret(this.#redis, this.#workspace, purpose);
  }

  /** The same log for another reader, whose blocking reads do not hold up those of this one. To be closed as well. */
  reader(): Log {
    return new Log(this.#redis, this.#workspace, { onMalformed: this.#onMalformed });
  }

  /** Reads entries as Redis returned them; `after` is the position before them, kept when there are none. */
  batchOf(stored: readonly StoredEntry[], after: LogPosition): LogBatch {
    const entries: LogEntry[] = [];
    let length = 0;
    for (const entry of stored) {
      for (const text of entry[1]) length += text.length;
      try {
        entries.push(decodeEntry(entry));
      } catch (error) {
        this.#malformedCount += 1;
        this.#onMalformed(entry[0], error instanceof Error ? error.message : String(error));
      }
    }
    return { entries, position: stored.at(-1)?.[0] ?? after, readCount: stored.length, length };
  }

  /** Ends the connection of blocking reads, and any such read with `RedisUnreachable`. */
  close(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    // Between two attempts to connect, ioredis would leave what waits for the next one waiting forever.
    if (waiting?.status === "reconnecting") waiting.status = "wait";
    waiting?.disconnect();
  }

  #run(script: Script, keys: readonly string[], parameters: readonly string[]): Promise<unknown> {
    return reaching(() => script.run(this.#redis, keys, parameters));
  }

  // A blocked connection holds up every other command on it.
  #waitingConnection(): Redis {
    if (this.#waiting === null) {
      this.#waiting = this.#redis.duplicate({ commandTimeout: undefined, socketTimeout: 2 * blockMsMax });
      this.#waiting.on("error", () => {}); // each read that fails says so itself
    }
    return this.#waiting;
  }
}
