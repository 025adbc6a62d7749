/**
 * The log: one Redis stream per workspace, which holds everything that affects what fires.
 *
 * Each write is one atomic step. After `RedisUnreachable` it is unknown whether a write took effect. Repeating it is
 * harmless: an event counts once per id, and an automation is written as a whole.
 */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import type { StateFields } from "../core/machine/state.ts";
import type { Automation } from "../core/model/automation.ts";
import { isCanary } from "../core/model/canary.ts";
import { gapMax } from "../core/model/limits.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import type { TraceContext } from "../core/model/trace-context.ts";
import { mapInSlices } from "../retry/slices.ts";
import type { AnnounceChange } from "./announce.ts";
import { readAutomationState } from "./automation-state.ts";
import { CanaryStore } from "./canary-store.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { DestinationStore } from "./destination-store.ts";
import { DisabledEndpointStore } from "./disabled-endpoints.ts";
import { readLayout } from "./engines.ts";
import { encodeEvent, type NewEvent, type StoredEntry } from "./entry.ts";
import { EventAppender } from "./event-appender.ts";
import type { EventBatch } from "./event-batch.ts";
import { type EventLines, stepLengthMax, stepsOfEvents, stepsOfLines } from "./event-lines.ts";
import { HookStore } from "./hook-store.ts";
import { JoinedSteps } from "./joined-steps.ts";
import { encodeJson } from "./json.ts";
import { shardKeys, type WorkspaceKeys, workspaceKeys } from "./keys.ts";
import { type LogBatch, LogReader, type OnMalformed } from "./log-reader.ts";
import type { EntrySource } from "./passed-entries.ts";
import { receivedAt, startOfLog } from "./position.ts";
import { microsOf, type RedisTime } from "./redis-time.ts";
import { RequestLimitStore } from "./request-limits.ts";
import { RuleNotes } from "./rule-notes.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import { SecretBox } from "./secret-box.ts";
import { readShardStatus, type ShardStatus, Shards } from "./shard-status.ts";
import { transact } from "./transaction.ts";
import { WorkspaceBox } from "./workspace-box.ts";
import { WorkspaceNumbers } from "./workspace-numbers.ts";
import { workspaceSecret } from "./workspace-secret.ts";

export type { NewEvent } from "./entry.ts";

export interface LogOptions {
  /** Called for each entry that is skipped because it cannot be read. */
  readonly onMalformed?: OnMalformed;
  /** Seals the secrets that are stored. By default they are stored as they are. */
  readonly secretBox?: SecretBox;
  /** How many replicas must have an event or a change before it is acknowledged. Default 0. */
  readonly replicaCount?: number;
  /** Whether a beat is appended before events, because this process cannot do so at regular intervals. */
  readonly beatsWithEvents?: boolean;
}

/**
 * Who appends beats, each of which says that people can post: a server, which does so all the time, or the Worker at the
 * edge, which runs only while it takes events. Its beats count while there are those of servers, and none begins with them.
 */
export type BeatSource = "server" | "edge";

/** How many milliseconds lie between two beats at least. */
const beatEveryMs = 1_500;

/** How many automations of different callers are created or replaced in one step. */
const automationsPerStep = 50;

const appendBeatScript = new Script(scripts.appendBeat);
const putAutomationsScript = new Script(scripts.putAutomations);
const deleteAutomationsScript = new Script(scripts.deleteAutomations);
const replaceAutomationScript = new Script(scripts.replaceAutomation);
const trimLogScript = new Script(scripts.trimLog);

/** Encodes an event for a script; without one, all three texts are empty. */
function optionalEvent(event: NewEvent | undefined): ReturnType<typeof encodeEvent> {
  return event === undefined ? ["", "", ""] : encodeEvent(event);
}

/**
 * The log of one workspace.
 *
 * @example
 * const log = new Log(connect("redis://127.0.0.1:6379"), "default");
 * await log.appendEvents([{ event }]);
 * const entries = await log.read(startOfLog, { count: 100 });
 * log.close();
 */
export class Log {
  /** Named targets of webhooks and notifications. */
  readonly destinations: DestinationStore;
  /** Endpoints that responded 410 Gone. */
  readonly endpoints: DisabledEndpointStore;
  /** The parts of the workspace, and the engines that own them. */
  readonly shards: Shards;
  /** Named endpoints that turn requests of other services into events. */
  readonly hooks: HookStore;
  /** How much there is of what, for people. */
  readonly numbers: WorkspaceNumbers;
  /** Limits on the requests of deliveries, over all processes. */
  readonly limits: RequestLimitStore;
  /** What is known of the canary. */
  readonly canary: CanaryStore;
  /** How rules are written, and what was found in their files. */
  readonly rules: RuleNotes;
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  readonly #keys: WorkspaceKeys;
  readonly #secretBox: SecretBox;
  readonly #box: WorkspaceBox;
  readonly #onMalformed: OnMalformed | undefined;
  readonly #reader: LogReader;
  readonly #appender: EventAppender;
  /** Automations to put, as parameters of the script. */
  readonly #puts: JoinedSteps<readonly string[], unknown>;
  readonly #replicaCount: number;
  readonly #beatsWithEvents: boolean;

  constructor(redis: RedisConnection, workspace: string, options: LogOptions = {}) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.#keys = workspaceKeys(workspace);
    this.#secretBox = options.secretBox ?? SecretBox.of();
    this.#box = new WorkspaceBox(this.#secretBox, workspace);
    this.destinations = new DestinationStore(redis, workspace, this.#box);
    this.shards = new Shards(redis, workspace);
    this.endpoints = new DisabledEndpointStore(redis, workspace, this.destinations, this.#box);
    this.hooks = new HookStore(redis, workspace, this.#box);
    this.numbers = new WorkspaceNumbers(redis, workspace);
    this.limits = new RequestLimitStore(redis, workspace);
    this.canary = new CanaryStore(redis, workspace);
    this.rules = new RuleNotes(redis, workspace);
    this.#onMalformed = options.onMalformed;
    this.#replicaCount = options.replicaCount ?? 0;
    this.#beatsWithEvents = options.beatsWithEvents ?? false;
    this.#reader = this.reader();
    this.#appender = new EventAppender(redis, this.#keys.log, this.#replicaCount);
    const putKeys = [this.#keys.automations, this.#keys.log];
    this.#puts = new JoinedSteps(
      (parameters) => this.#run(putAutomationsScript, putKeys, parameters.flat()),
      { countMax: automationsPerStep, lengthMax: stepLengthMax },
    );
  }

  /** How many entries this reader has skipped because they could not be read. */
  get malformedCount(): number {
    return this.#reader.malformedCount;
  }

  /**
   * Appends events, in order. Up to 1,000 events and 1 MB of them are one step, all or none; more are several steps, so
   * that a large batch keeps neither Redis nor this process from everything else, and no step outlives the timeout.
   *
   * @returns each event's position and log time, in order
   * @throws RedisUnreachable; the first of them may have been appended, and appending all of them again is harmless
   */
  async appendEvents(events: readonly NewEvent[]): Promise<{ position: LogPosition; received: Micros }[]> {
    if (this.#beatsWithEvents) await this.appendBeat("edge");
    const appended: { position: LogPosition; received: Micros }[] = [];
    for (const groups of stepsOfEvents(events)) {
      const positions = (await this.#appender.append(groups))();
      for (const position of positions) appended.push({ position, received: receivedAt(position) });
    }
    return appended;
  }

  /**
   * Appends events whose texts are known, like `appendEvents`.
   *
   * @param trace the trace that all of them belong to, if there is one
   * @throws RedisUnreachable
   */
  async appendLines(lines: EventLines, trace?: TraceContext | null): Promise<void> {
    if (this.#beatsWithEvents) await this.appendBeat("edge");
    for (const step of stepsOfLines(lines)) {
      await this.#appender.append([{ ...step, lineage: "", trace: trace ?? "" }]);
    }
  }

  /**
   * Says that people can post now, if nobody has said so in the last 1.5 seconds.
   *
   * @throws RedisUnreachable
   */
  async appendBeat(source: BeatSource): Promise<void> {
    const parameters = [beatEveryMs, gapMax / millisecond, source === "server" ? 1 : ""];
    const keys = [this.#keys.log, this.#keys.lastBeat];
    await callRedis(() => appendBeatScript.run(this.#redis, keys, parameters));
  }

  /**
   * Creates or replaces automations, all or none.
   *
   * @param announce makes the event that announces each change; it is appended in the same step, right after the change
   * @throws RedisUnreachable
   */
  async putAutomations(automations: readonly Automation[], announce?: AnnounceChange): Promise<void> {
    if (automations.length === 0) return;
    const parameters = automations.flatMap((automation) => [
      automation.id,
      this.#encode(automation),
      ...optionalEvent(announce?.(automation, null)),
    ]);
    const length = parameters.reduce((sum, text) => sum + text.length, 0);
    await this.#puts.add(parameters, { count: automations.length, length });
  }

  /**
   * Deletes automations in one step.
   *
   * @param events announce the deletions, keyed by automation id; each is appended only if that automation existed
   * @returns how many of them existed
   * @throws RedisUnreachable
   */
  async deleteAutomations(
    ids: readonly string[],
    events: ReadonlyMap<string, NewEvent> = new Map(),
  ): Promise<number> {
    if (ids.length === 0) return 0;
    const keys = [this.#keys.automations, this.#keys.log, this.#keys.ruleTexts];
    const parameters = ids.flatMap((id) => [id, ...optionalEvent(events.get(id))]);
    return (await this.#run(deleteAutomationsScript, keys, parameters)) as number;
  }

  /**
   * Changes one automation. Starts over if it has changed in the meantime, so no other change is lost.
   *
   * @param change takes the stored automation and returns its replacement, with the same id. If it returns its argument,
   *   nothing is written. Called again for each start
   * @param announce makes the event that announces the change; it is appended in the same step, right after the change
   * @returns the automation as it is now; null if it does not exist
   * @throws RedisUnreachable, and whatever `change` throws
   */
  async updateAutomation(
    id: string,
    change: (current: Automation) => Automation,
    announce?: AnnounceChange,
  ): Promise<Automation | null> {
    const keys = [this.#keys.automations, this.#keys.log];
    for (;;) {
      const stored = await callRedis(() => this.#redis.hget(this.#keys.automations, id));
      if (stored === null) return null;
      const current = this.#decodeAutomation(stored);
      const automation = change(current);
      if (automation === current) return current;
      const parameters = [
        id,
        stored,
        this.#encode(automation),
        ...optionalEvent(announce?.(automation, current)),
      ];
      if ((await this.#run(replaceAutomationScript, keys, parameters)) === 1) return automation;
    }
  }

  /**
   * People's automations: all but that of the canary. With their secrets; one that no key opens is read as it is stored.
   *
   * @throws RedisUnreachable
   */
  async automations(): Promise<Automation[]> {
    const bodies = await callRedis(() => this.#redis.hvals(this.#keys.automations));
    const all = await mapInSlices(bodies, (body) => this.#decodeAutomation(body));
    return all.filter(({ id }) => !isCanary(id));
  }

  /** The ids of people's automations, in their order: much cheaper than the automations. @throws RedisUnreachable */
  async automationIds(): Promise<string[]> {
    const ids = await callRedis(() => this.#redis.hkeys(this.#keys.automations));
    return ids.filter((id) => !isCanary(id)).sort();
  }

  /** With its secrets; one that no key opens is read as it is stored. @throws RedisUnreachable */
  async automation(id: string): Promise<Automation | null> {
    const automation = await this.sealedAutomation(id);
    return automation === null ? null : this.#box.openAutomation(automation);
  }

  /** With its secrets as they are stored, for what is stored itself, such as a delivery. @throws RedisUnreachable */
  async sealedAutomation(id: string): Promise<Automation | null> {
    const body = await callRedis(() => this.#redis.hget(this.#keys.automations, id));
    return body === null ? null : (parseExactJson(body) as Automation);
  }

  /**
   * The values of an automation's secrets, for their use. Entries of the log, and the deliveries that follow from them,
   * hold them sealed.
   *
   * @throws SecretUnreadable
   */
  openSecrets(
    automationId: string,
    secrets: Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>> {
    return this.#box.requireSecrets(automationId, secrets);
  }

  /**
   * The state that the engine has committed for an automation; null if no shard has committed anything for it yet.
   *
   * @throws RedisUnreachable
   */
  automationState(id: string): Promise<StateFields | null> {
    return readAutomationState(this.#redis, this.#workspace, id);
  }

  /**
   * Reads the entries after a position. Malformed ones are left out.
   *
   * @param options.blockMs how long to wait for an entry if there is none. The wait has its own connection, so only one
   *   read may wait at a time
   * @returns at most `count` entries; an empty list if there are none, or none arrived in time
   * @throws RedisUnreachable
   */
  async read(after: LogPosition, options: { count: number; blockMs?: number }): Promise<readonly LogEntry[]> {
    let batch = await this.readBatch(after, options);
    const entries = [...batch.entries];
    while (batch.readCount > 0 && entries.length < options.count) {
      const blockMs = entries.length === 0 ? (options.blockMs ?? 0) : 0;
      batch = await this.readBatch(batch.position, { count: options.count - entries.length, blockMs });
      entries.push(...batch.entries);
    }
    return entries;
  }

  /** Like `read`, and also returns how far it read: see `LogReader.readBatch`. @throws RedisUnreachable */
  readBatch(after: LogPosition, options: { count: number; blockMs?: number }): Promise<LogBatch> {
    return this.#reader.readBatch(after, options);
  }

  /** See `LogReader.readEvents`. @throws RedisUnreachable */
  readEvents(after: LogPosition, options: { count: number; blockMs?: number }): Promise<EventBatch> {
    return this.#reader.readEvents(after, options);
  }

  /** See `LogReader.readBack`. @throws RedisUnreachable */
  readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch> {
    return this.#reader.readBack(last, first, count);
  }

  /**
   * The position of the newest entry; `startOfLog` if there is none.
   *
   * @throws RedisUnreachable
   */
  async lastPosition(): Promise<LogPosition> {
    const newest = await callRedis(() => this.#redis.xrevrange(this.#keys.log, "+", "-", "COUNT", 1));
    return newest[0]?.[0] ?? startOfLog;
  }

  /**
   * For how many milliseconds the first entry after a position has been in the log; 0 if there is none.
   *
   * @throws RedisUnreachable
   */
  async waitingMs(after: LogPosition): Promise<number> {
    const [found, time] = await transact<[StoredEntry[], RedisTime]>(this.#redis, (step) =>
      step.xrange(this.#keys.log, `(${after}`, "+", "COUNT", 1).time(),
    );
    const [first] = found;
    if (first === undefined) return 0;
    return Math.max(0, microsOf(time) - receivedAt(first[0])) / millisecond;
  }

  /**
   * How many entries the log has had in total, and how many of those were trimmed.
   *
   * @throws RedisUnreachable
   */
  async entryCounts(): Promise<{ total: number; trimmed: number }> {
    const [length, trimmed] = await callRedis(() =>
      Promise.all([this.#redis.xlen(this.#keys.log), this.#redis.get(this.#keys.trimmed)]),
    );
    return { total: length + Number(trimmed ?? 0), trimmed: Number(trimmed ?? 0) };
  }

  /**
   * Removes the entries before a position. Redis may keep some of them until it can remove a whole block.
   *
   * The caller must keep what is still needed: every shard and the recorder must have read past `first`, and the shards by
   * at least the time for which event ids are remembered, because a shard reads them from the log again when it starts.
   *
   * @returns how many entries were removed
   * @throws RedisUnreachable
   */
  async trim(first: LogPosition): Promise<number> {
    const keys = [this.#keys.log, this.#keys.trimmed];
    return (await callRedis(() => trimLogScript.run(this.#redis, keys, [first]))) as number;
  }

  /**
   * The committed position of each shard; null for a shard that has committed nothing yet.
   *
   * @returns an empty list if no engine has ever run
   * @throws RedisUnreachable
   */
  async shardPositions(): Promise<(LogPosition | null)[]> {
    const layout = await readLayout(this.#redis, this.#workspace);
    const cursors = Array.from(
      { length: layout?.count ?? 0 },
      (_, shard) => shardKeys(this.#workspace, shard, layout?.generation).cursor,
    );
    return callRedis(() => Promise.all(cursors.map((cursor) => this.#redis.hget(cursor, "position"))));
  }

  /**
   * How far each shard has come; an empty list if no engine has ever run.
   *
   * @throws RedisUnreachable
   */
  shardStatus(): Promise<readonly ShardStatus[]> {
    return readShardStatus(this.#redis, this.#workspace);
  }

  /**
   * A secret for one purpose, shared by all servers of this workspace; created on first use.
   *
   * @throws RedisUnreachable, SecretUnreadable
   */
  secret(purpose: string): Promise<string> {
    return workspaceSecret(this.#redis, this.#workspace, purpose, this.#box);
  }

  /**
   * A reader of this log with its own connection for blocking reads. Close it as well.
   *
   * @param passed has what another reader of this process has read
   */
  reader(passed: EntrySource | null = null): LogReader {
    return new LogReader(this.#redis, this.#workspace, { onMalformed: this.#onMalformed, passed });
  }

  #encode(automation: Automation): string {
    return encodeJson(this.#box.sealAutomation(automation));
  }

  #decodeAutomation(body: string): Automation {
    return this.#box.openAutomation(parseExactJson(body) as Automation);
  }

  /** Closes the connection for blocking reads. A read that is waiting fails with `RedisUnreachable`. */
  close(): void {
    this.#reader.close();
  }

  #run(script: Script, keys: readonly string[], parameters: readonly string[]): Promise<unknown> {
    return callRedis(() => script.run(this.#redis, keys, parameters, this.#replicaCount));
  }
}
