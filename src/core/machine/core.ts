/**
 * The core: a deterministic state machine over the ordered log.
 *
 * The same entries in the same order give the same firings, no matter how they are split into batches and where the
 * machine is stopped, stored and restored in between.
 */

import { parseExactJson } from "../json/exact-json.ts";
import { assert } from "../model/assert.ts";
import { type Automation, sameTrigger } from "../model/automation.ts";
import { type Event, eventOf } from "../model/event.ts";
import { latenessDefault, seenCountMax, seenFor } from "../model/limits.ts";
import { finishAtOnce } from "../model/steps.ts";
import type { Micros } from "../model/time.ts";
import { uuid5 } from "../model/uuid.ts";
import { Agenda } from "./agenda.ts";
import { Arrival, Arrivals } from "./arrival.ts";
import { buildTrigger, type EventTriggerNode } from "./build-trigger.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import type { Firing, LoopCut } from "./firing.ts";
import { Followers } from "./followers.ts";
import { type Gap, Reachability } from "./gaps.ts";
import type { LogEntry, LogPosition } from "./log-entry.ts";
import { LoopGuard, lineageAfter } from "./loop-guard.ts";
import type { EventRole, Fired, Machine, Note, OpenWindow, TriggerNode } from "./node.ts";
import { OpenCounts, type OpenNumbers } from "./open-count.ts";
import { SeenIds, type StoredPages } from "./seen.ts";
import { lineageOf, shownFiring } from "./shown-firing.ts";
import { Cells, type StateChange, type StateMeta, stateVersion } from "./state.ts";
import { TriggerIndex } from "./trigger-index.ts";

export type { StateChange } from "./state.ts";

export interface CoreOptions {
  /** The lateness of triggers that set none. */
  readonly latenessDefault?: Micros;
  /** The maximum number of remembered event ids, whatever their age. */
  readonly seenCountMax?: number;
  /** Called with every decision, for explanations. */
  readonly trace?: (note: Note) => void;
  /** False for a core that is never stored and restored. Then `drain` returns no state. */
  readonly stored?: boolean;
  /** Any number, unknown outside: ids of events come from there, and so nobody can choose ids that are slow to find. */
  readonly seed?: number;
  /** Times in which nobody could post, for a run over a time that has passed. In a log, beats say it. */
  readonly gaps?: readonly Gap[];
}

export interface Drained {
  /** In the order in which they happened. */
  readonly firings: readonly Firing[];
  readonly loopCuts: readonly LoopCut[];
  /** The gaps that have ended. */
  readonly gaps: readonly Gap[];
  readonly dirty: readonly StateChange[];
}

interface RunningAutomation {
  automation: Automation;
  /** Null while the automation is disabled. */
  tree: { readonly root: TriggerNode; readonly nodes: ReadonlyMap<string, TriggerNode> } | null;
}

export class Core {
  readonly #options: CoreOptions & { readonly latenessDefault: Micros };
  readonly #cells: Cells;
  readonly #arrivals: Arrivals;
  readonly #reachability: Reachability;
  readonly #agenda: Agenda;
  readonly #index = new TriggerIndex<EventTriggerNode>();
  readonly #running = new Map<string, RunningAutomation>();
  readonly #seen: SeenIds;
  readonly #followers: Followers;
  readonly #loopGuard: LoopGuard;
  readonly #machine: Machine;
  readonly #openCounts = new OpenCounts();
  #watermark: Micros = 0;
  #target: Micros = 0;
  #evaluationCount = 0;
  #metaChanged = false;
  #firings: Firing[] = [];
  #loopCuts: LoopCut[] = [];
  #gaps: Gap[] = [];

  constructor(options: CoreOptions = {}) {
    this.#options = { latenessDefault, ...options };
    this.#cells = new Cells(options.stored ?? true);
    this.#arrivals = new Arrivals(this.#cells);
    this.#seen = new SeenIds({
      span: seenFor,
      countMax: options.seenCountMax ?? seenCountMax,
      seed: options.seed ?? 0,
      onPage: (page, encode) => this.#cells.write(`i:${page}`, encode),
    });
    this.#reachability = new Reachability(options.gaps);
    this.#agenda = new Agenda(this.#reachability);
    const awaitDeadline = (waiter: Waiter, deadline: Deadline): void => this.#agenda.push(waiter, deadline);
    this.#followers = new Followers(this.#arrivals, this.#cells, awaitDeadline, (arrival) =>
      this.#evaluateChain(arrival),
    );
    this.#loopGuard = new LoopGuard(this.#cells, awaitDeadline);
    this.#machine = this.#machineFor(awaitDeadline);
  }

  /**
   * Restores a core to the point at which the given state was drained.
   *
   * The ids of the latest events are not part of the state. Read those after `seenUntil` from the log, and pass them to
   * `markSeen`.
   *
   * @param fields the fields of the shard's state, in any order; one that comes again is ignored
   * @throws AssertionError when the state was written by a newer version, or is inconsistent
   */
  static restore(fields: Iterable<readonly [field: string, value: string]>, options: CoreOptions = {}): Core {
    return finishAtOnce(Core.restoreInSteps(fields, options));
  }

  /** As `restore`, in short steps, between which something else can run. */
  static *restoreInSteps(
    fields: Iterable<readonly [field: string, value: string]>,
    options: CoreOptions = {},
  ): Generator<void, Core> {
    const core = new Core(options);
    // Of a million windows; what they refer to may come after them. Two lists take less space than one of pairs.
    const waitingFields: string[] = [];
    const waitingValues: string[] = [];
    const followers: [position: LogPosition, value: string][] = [];
    const pages = new Map<number, string>();
    let seen: StoredPages | null = null;
    const others = new Set<string>(); // which windows there are is known to their triggers
    for (const [field, value] of fields) {
      yield;
      if (!field.startsWith("k:")) {
        if (others.has(field)) continue;
        others.add(field);
      }
      if (field === "meta") seen = core.#restoreMeta(JSON.parse(value) as StateMeta);
      else if (field.startsWith("a:")) core.#restoreAutomation(parseExactJson(value) as Automation);
      else if (field.startsWith("e:")) core.#arrivals.restore(field.slice(2), value);
      else if (field.startsWith("i:")) pages.set(Number(field.slice(2)), value);
      else if (field.startsWith("f:")) followers.push([field.slice(2), value]);
      else if (field.startsWith("l:")) core.#loopGuard.restore(field.slice(2), value);
      else {
        waitingFields.push(field);
        waitingValues.push(value);
      }
    }
    for (const [index, field] of waitingFields.entries()) {
      yield;
      core.#restoreState(field.slice(0, 1), field.slice(2), waitingValues[index] ?? "");
      waitingFields[index] = waitingValues[index] = "";
    }
    core.#followers.restore(followers);
    yield* core.#restoreSeen(seen, pages);
    return core;
  }

  /** Where the part of the log begins of which the event ids are not part of the state; null if none are. */
  get seenUntil(): LogPosition | null {
    return this.#seen.storedPages?.position ?? null;
  }

  /** The fields with which this core was restored that hold events of other shards; see divide-state.ts. */
  *unusedFields(): Iterable<string> {
    for (const position of this.#arrivals.unused()) yield `e:${position}`;
  }

  /** How far log time has been consumed. */
  get watermark(): Micros {
    return this.#watermark;
  }

  /** Records an event that was seen before the state was stored, after `seenUntil`. Call it in the order of the log. */
  markSeen(eventId: string, at: Micros, position: LogPosition): void {
    this.#seen.see(eventId, at, position);
    this.#metaChanged = true;
  }

  /**
   * Applies an event, a change of an automation or a beat. First advances log time to the entry's time.
   *
   * @returns false if it is an event whose id was seen before, which counts once
   */
  apply(entry: LogEntry): boolean {
    const at = Math.max(entry.received, this.#watermark);
    this.advance(at);
    let isNew = true;
    if (entry.kind === "event") {
      const { event } = entry;
      isNew = this.#arrive(
        Arrival.of(
          event.received === at ? event : eventOf(event.wire, at, event.lineage, event.trace),
          entry.position,
        ),
      );
    } else if (entry.kind === "automation-put") this.#put(entry.automation, at, entry.position);
    else if (entry.kind === "automation-delete") this.#delete(entry.automationId);
    else this.#beat(at);
    this.#meetDeadlines(at);
    return isNew;
  }

  /** Advances log time; everything due until then happens, in order. An instant before the watermark changes nothing. */
  advance(watermark: Micros): void {
    // What is due at the watermark itself is met as well: after `advanceSome` it may not be met yet.
    this.#meetDeadlines(watermark);
    if (watermark <= this.#watermark) return;
    this.#watermark = watermark;
    this.#metaChanged = true;
  }

  /**
   * As `advance`, but stops early once many deadlines are met. What was drained then, and then restored, continues in the
   * same way.
   *
   * @param countMax how many deadlines to meet at most
   * @returns true when there is nothing left to do until `watermark`
   */
  advanceSome(watermark: Micros, countMax: number): boolean {
    if (!this.#meetDeadlines(watermark, Number.POSITIVE_INFINITY, countMax)) return false;
    this.advance(watermark);
    return true;
  }

  /** Returns what happened since the last call: firings, loops that were cut, gaps, and changes of the state. */
  drain(): Drained {
    if (this.#metaChanged) {
      const { storedPages } = this.#seen;
      const { stored } = this.#reachability;
      const meta: StateMeta = {
        version: stateVersion,
        watermark: this.#watermark,
        evaluationCount: this.#evaluationCount,
        ...(storedPages === null ? {} : { seen: storedPages }),
        ...(stored === undefined ? {} : { reachable: stored }),
      };
      this.#cells.write("meta", () => JSON.stringify(meta));
    }
    const drained = {
      firings: this.#firings,
      loopCuts: this.#loopCuts,
      gaps: this.#gaps,
      dirty: this.#cells.take(),
    };
    this.#metaChanged = false;
    this.#firings = [];
    this.#loopCuts = [];
    this.#gaps = [];
    return drained;
  }

  /** The next instant at which the passing of time may change something, or null. */
  nextDeadline(): Micros | null {
    return this.#agenda.nextDue;
  }

  /** How many firings have happened since the last call of `drain`. */
  get firingCount(): number {
    return this.#firings.length;
  }

  *automations(): Iterable<Automation> {
    for (const { automation } of this.#running.values()) yield automation;
  }

  /** Takes the automations whose numbers of open windows may have changed since the last call: see `OpenCounts.take`. */
  takeOpenCounts(): Generator<readonly [automationId: string, numbers: OpenNumbers], void> {
    return this.#openCounts.take(() => this.#watermark);
  }

  /** Takes up to so many windows, by the fields of the state, that have become unresolved, or no longer are, since the last call. */
  takeUnresolved(countMax: number): Map<string, boolean> {
    return this.#openCounts.takeUnresolved(countMax);
  }

  /** The open windows of an automation. Empty when it does not exist or is disabled. */
  *windowsOf(automationId: string): Iterable<OpenWindow> {
    const tree = this.#running.get(automationId)?.tree ?? null;
    if (tree !== null) yield* tree.root.openWindows();
  }

  #beat(at: Micros): void {
    const gap = this.#agenda.beat(at);
    if (gap !== null) this.#gaps.push(gap);
    this.#metaChanged = true;
  }

  /** @returns false if the event's id was seen before */
  #arrive(arrival: Arrival): boolean {
    const { event } = arrival;
    const known = this.#seen.knows(event.id, event.received);
    const waits = !known && this.#followers.mustWait(event, this.#seen);
    this.#seen.see(event.id, event.received, arrival.position);
    this.#metaChanged = true;
    if (known) return false;
    if (waits) this.#followers.wait(arrival, this.#machine.nextOrder());
    else this.#evaluateChain(arrival);
    return true;
  }

  #evaluateChain(head: Arrival): void {
    for (const arrival of this.#followers.chainFrom(head)) {
      this.#evaluate(arrival);
      // What is due comes before the next event of the chain. Other followers wait: a chain is released as a whole.
      this.#meetDeadlines(this.#watermark, rank.follower);
    }
  }

  #evaluate(arrival: Arrival): void {
    if (this.#loopGuard.isUsedUp(arrival.event.lineage)) return;
    const roles = this.#index.find(arrival.event);
    if (roles.size === 0) return;
    const order = this.#machine.nextOrder();
    const automationIds = [...new Set([...roles.keys()].map(({ automationId }) => automationId))].sort();
    for (const id of automationIds) {
      const running = this.#running.get(id);
      const tree = running?.tree ?? null;
      if (running === undefined || tree === null || this.#cutLoop(running.automation, arrival.event))
        continue;
      const fired = tree.root.evaluate(arrival, order, roles as ReadonlyMap<TriggerNode, EventRole>);
      if (fired !== null) this.#fire(running.automation, fired);
    }
  }

  #cutLoop(automation: Automation, event: Event): boolean {
    if (this.#loopGuard.admits(automation.id, event.lineage)) return false;
    this.#reportLoopCut(automation, event);
    return true;
  }

  /** Reports once per automation and root that the automation was held back. */
  #reportLoopCut(automation: Automation, event: Event): void {
    if (!this.#loopGuard.holdBack(automation.id, event.lineage, this.#watermark)) return;
    const id = uuid5(automation.id, `loop ${event.lineage[0]}`);
    this.#loopCuts.push({ id, automation, event, at: this.#watermark });
  }

  #rise(from: TriggerNode, fired: Fired): void {
    let node = from;
    let risen: Fired | null = fired;
    while (node.parent !== null && risen !== null) {
      risen = node.parent.childRose(node.childIndex, risen);
      node = node.parent;
    }
    const running = this.#running.get(from.automationId);
    assert(running !== undefined, "only the triggers of a running automation fire");
    if (risen !== null) this.#fire(running.automation, risen);
  }

  #fire(automation: Automation, fired: Fired): void {
    const causes = lineageOf(fired);
    this.#loopGuard.countFiring(automation.id, causes, this.#watermark);
    this.#firings.push({
      ...shownFiring(fired, automation),
      automation,
      lineage: lineageAfter(causes, fired.arrival?.event.id ?? fired.id, automation.id),
    });
  }

  #put(automation: Automation, at: Micros, position: LogPosition): void {
    const before = this.#running.get(automation.id);
    this.#cells.write(`a:${automation.id}`, () => JSON.stringify(automation));
    const keepsWindows = before?.automation.enabled === automation.enabled;
    if (before !== undefined && keepsWindows && sameTrigger(before.automation.trigger, automation.trigger)) {
      before.automation = automation;
      return;
    }
    if (before !== undefined) this.#stop(before);
    const running = this.#run(automation);
    running.tree?.root.begin(at, position);
  }

  #delete(automationId: string): void {
    const running = this.#running.get(automationId);
    if (running === undefined) return;
    this.#stop(running);
    this.#running.delete(automationId);
    this.#openCounts.delete(automationId);
    this.#cells.write(`a:${automationId}`, null);
  }

  #run(automation: Automation): RunningAutomation {
    const tree = automation.enabled
      ? buildTrigger(automation, this.#options.latenessDefault, this.#machine)
      : null;
    for (const node of tree?.nodes.values() ?? [])
      if ("compiled" in node) this.#index.add(node as EventTriggerNode);
    const running: RunningAutomation = { automation, tree };
    this.#running.set(automation.id, running);
    return running;
  }

  #stop({ tree }: RunningAutomation): void {
    if (tree === null) return;
    for (const node of tree.nodes.values())
      if ("compiled" in node) this.#index.remove(node as EventTriggerNode);
    tree.root.clear();
  }

  /**
   * Meets the deadlines up to an instant, in order. With `before`, stops at the first deadline of that rank or higher.
   *
   * @returns false if it stopped because so many were met
   */
  #meetDeadlines(
    until: Micros,
    before: number = Number.POSITIVE_INFINITY,
    countMax: number = Number.POSITIVE_INFINITY,
  ): boolean {
    this.#target = Math.max(this.#target, until);
    for (let count = 0; ; count++) {
      const { nextDue } = this.#agenda;
      if (nextDue === null || nextDue > until || this.#agenda.nextRank >= before) return true;
      if (count >= countMax) return false;
      if (nextDue > this.#watermark) {
        this.#watermark = nextDue;
        this.#metaChanged = true;
      }
      this.#agenda.meetNext();
    }
  }

  #restoreMeta({ version, watermark, evaluationCount, seen, reachable }: StateMeta): StoredPages | null {
    assert(
      version >= 1 && version <= stateVersion,
      `the state has version ${version}; this program reads versions 1 to ${stateVersion}`,
    );
    this.#watermark = watermark;
    this.#evaluationCount = evaluationCount;
    if (reachable !== undefined) this.#reachability.restore(reachable);
    // From the first change on, an older program must refuse this state.
    this.#metaChanged = version < stateVersion;
    return seen ?? null;
  }

  /** Restores the ids of recent events. If some are missing, as in a part of a state, all are read from the log. */
  *#restoreSeen(stored: StoredPages | null, pages: ReadonlyMap<number, string>): Generator<void, void> {
    const isComplete =
      stored !== null &&
      Array.from({ length: stored.end - stored.first }).every((_, index) => pages.has(stored.first + index));
    if (isComplete) yield* this.#seen.restore(stored, pages, this.#watermark);
    for (const page of pages.keys()) {
      if (!isComplete || page < stored.first || page >= stored.end) this.#cells.write(`i:${page}`, null);
    }
  }

  #restoreAutomation(automation: Automation): void {
    this.#run(automation);
  }

  #restoreState(kind: string, rest: string, value: string): void {
    const [automationId = "", path = ""] = rest.split(":", 2);
    const node = this.#running.get(automationId)?.tree?.nodes.get(path);
    assert(node !== undefined, `the state names the trigger ${automationId}:${path}, which it does not hold`);
    node.restore(kind, rest.slice(automationId.length + path.length + 2), value);
  }

  #machineFor(awaitDeadline: (waiter: Waiter, deadline: Deadline) => void): Machine {
    const watermark = (): Micros => this.#watermark;
    const quietUntil = (): Micros => (this.#followers.size === 0 ? this.#target : this.#watermark);
    return {
      get watermark() {
        return watermark();
      },
      get quietUntil() {
        return quietUntil();
      },
      arrivals: this.#arrivals,
      cells: this.#cells,
      nextOrder: () => {
        this.#metaChanged = true;
        this.#evaluationCount++;
        return this.#evaluationCount;
      },
      trace: this.#options.trace,
      openCounts: this.#openCounts,
      await: awaitDeadline,
      postpone: (waiter, deadline) => this.#agenda.postpone(waiter, deadline, this.#watermark),
      reachability: this.#reachability,
      rise: (from, fired) => this.#rise(from, fired),
    };
  }
}
