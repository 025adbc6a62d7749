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
import type { Micros } from "../model/time.ts";
import { uuid5 } from "../model/uuid.ts";
import { Arrival, Arrivals } from "./arrival.ts";
import { buildTrigger, type EventTriggerNode } from "./build-trigger.ts";
import { type Deadline, Deadlines, rank } from "./deadlines.ts";
import type { Firing, LoopCut, TriggerFiring } from "./firing.ts";
import { Followers } from "./followers.ts";
import type { LogEntry, LogPosition } from "./log-entry.ts";
import { LoopGuard, lineageAfter } from "./loop-guard.ts";
import type { EventRole, Fired, Machine, Note, OpenWindow, TriggerNode } from "./node.ts";
import { SeenIds } from "./seen.ts";
import { Cells, type StateChange, stateVersion } from "./state.ts";
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
}

export interface Drained {
  /** In the order in which they happened. */
  readonly firings: readonly Firing[];
  readonly loopCuts: readonly LoopCut[];
  readonly dirty: readonly StateChange[];
}

interface RunningAutomation {
  automation: Automation;
  /** Null while the automation is disabled. */
  tree: { readonly root: TriggerNode; readonly nodes: ReadonlyMap<string, TriggerNode> } | null;
}

interface Meta {
  readonly version: number;
  readonly watermark: Micros;
  readonly evaluationCount: number;
}

export class Core {
  readonly #options: CoreOptions & { readonly latenessDefault: Micros };
  readonly #cells: Cells;
  readonly #arrivals: Arrivals;
  readonly #deadlines = new Deadlines();
  readonly #index = new TriggerIndex<EventTriggerNode>();
  readonly #running = new Map<string, RunningAutomation>();
  readonly #seen: SeenIds;
  readonly #followers: Followers;
  readonly #loopGuard: LoopGuard;
  readonly #machine: Machine;
  #watermark: Micros = 0;
  #target: Micros = 0;
  #evaluationCount = 0;
  #metaChanged = false;
  #firings: Firing[] = [];
  #loopCuts: LoopCut[] = [];

  constructor(options: CoreOptions = {}) {
    this.#options = { latenessDefault, ...options };
    this.#cells = new Cells(options.stored ?? true);
    this.#arrivals = new Arrivals(this.#cells);
    this.#seen = new SeenIds(seenFor, options.seenCountMax ?? seenCountMax);
    const awaitDeadline = (deadline: Deadline): void => this.#deadlines.push(deadline);
    this.#followers = new Followers(this.#arrivals, this.#cells, awaitDeadline, (arrival) =>
      this.#evaluateChain(arrival),
    );
    this.#loopGuard = new LoopGuard(this.#cells, awaitDeadline);
    this.#machine = this.#machineFor(awaitDeadline);
  }

  /**
   * Restores a core to the point at which the given state was drained.
   *
   * The ids of recent events are not part of the state. Read them from the log and pass them to `markSeen`.
   *
   * @param fields the fields of the shard's state, in any order
   * @throws AssertionError when the state was written by a newer version, or is inconsistent
   */
  static restore(fields: Iterable<readonly [field: string, value: string]>, options: CoreOptions = {}): Core {
    const steps = Core.restoreInSteps(fields, options);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** As `restore`, in short steps, between which something else can run. */
  static *restoreInSteps(
    fields: Iterable<readonly [field: string, value: string]>,
    options: CoreOptions = {},
  ): Generator<void, Core> {
    const core = new Core(options);
    const states: [kind: string, rest: string, value: string][] = [];
    for (const [field, value] of fields) {
      yield;
      if (field === "meta") core.#restoreMeta(JSON.parse(value) as Meta);
      else if (field.startsWith("a:")) core.#restoreAutomation(parseExactJson(value) as Automation);
      else if (field.startsWith("e:")) core.#arrivals.restore(field.slice(2), value);
      else states.push([field.slice(0, 1), field.slice(2), value]);
    }
    const followers: [order: number, position: LogPosition][] = [];
    for (const [kind, rest, value] of states) {
      yield;
      if (kind === "f") followers.push([Number(value), rest]);
      else if (kind === "l") core.#loopGuard.restore(rest, value);
      else core.#restoreState(kind, rest, value);
    }
    followers.sort(([a], [b]) => a - b);
    for (const [order, position] of followers)
      core.#followers.restore(core.#arrivals.restored(position), order);
    return core;
  }

  /** How far log time has been consumed. */
  get watermark(): Micros {
    return this.#watermark;
  }

  /** Records an event that was seen before the state was stored. Call it in the order of the log. */
  markSeen(eventId: string, at: Micros): void {
    this.#seen.see(eventId, at);
  }

  /** Applies an event or a change of an automation. First advances log time to the entry's time. */
  apply(entry: LogEntry): void {
    const at = Math.max(entry.received, this.#watermark);
    this.advance(at);
    if (entry.kind === "event") {
      const { event } = entry;
      this.#arrive(
        new Arrival(
          event.received === at ? event : eventOf(event.wire, at, event.lineage, event.trace),
          entry.position,
        ),
      );
    } else if (entry.kind === "automation-put") this.#put(entry.automation, at, entry.position);
    else this.#delete(entry.automationId);
    this.#meetDeadlines(at);
  }

  /** Advances log time; everything due until then happens, in order. An instant before the watermark changes nothing. */
  advance(watermark: Micros): void {
    if (watermark <= this.#watermark) return;
    this.#meetDeadlines(watermark);
    this.#watermark = watermark;
    this.#metaChanged = true;
  }

  /** Returns what happened since the last call: firings, loops that were cut, and changes of the state. */
  drain(): Drained {
    if (this.#metaChanged) {
      const meta: Meta = {
        version: stateVersion,
        watermark: this.#watermark,
        evaluationCount: this.#evaluationCount,
      };
      this.#cells.write("meta", meta);
    }
    const drained = {
      firings: this.#firings,
      loopCuts: this.#loopCuts,
      dirty: this.#cells.take(),
    };
    this.#metaChanged = false;
    this.#firings = [];
    this.#loopCuts = [];
    return drained;
  }

  /** The next instant at which the passing of time may change something, or null. */
  nextDeadline(): Micros | null {
    return this.#deadlines.next?.due ?? null;
  }

  *automations(): Iterable<Automation> {
    for (const { automation } of this.#running.values()) yield automation;
  }

  openWindowCount(): number {
    let count = 0;
    for (const id of this.#running.keys()) for (const _window of this.windowsOf(id)) count++;
    return count;
  }

  /** The open windows of an automation. Empty when it does not exist or is disabled. */
  *windowsOf(automationId: string): Iterable<OpenWindow> {
    const tree = this.#running.get(automationId)?.tree ?? null;
    if (tree !== null) yield* tree.root.openWindows();
  }

  #arrive(arrival: Arrival): void {
    const { event } = arrival;
    const known = this.#seen.knows(event.id, event.received);
    const waits = !known && this.#followers.mustWait(event, this.#seen);
    this.#seen.see(event.id, event.received);
    this.#metaChanged = true;
    if (known) return;
    if (waits) this.#followers.wait(arrival, this.#machine.nextOrder());
    else this.#evaluateChain(arrival);
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
    this.#cells.write(`a:${automation.id}`, automation);
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

  /** Meets the deadlines up to an instant, in order. With `before`, stops at the first deadline of that rank or higher. */
  #meetDeadlines(until: Micros, before: number = Number.POSITIVE_INFINITY): void {
    this.#target = Math.max(this.#target, until);
    for (;;) {
      const next = this.#deadlines.next;
      if (next === null || next.due > until || next.rank >= before) return;
      this.#deadlines.pop();
      if (next.due > this.#watermark) {
        this.#watermark = next.due;
        this.#metaChanged = true;
      }
      next.meet();
    }
  }

  #restoreMeta({ version, watermark, evaluationCount }: Meta): void {
    assert(
      version >= 1 && version <= stateVersion,
      `the state has version ${version}; this program reads versions 1 to ${stateVersion}`,
    );
    this.#watermark = watermark;
    this.#evaluationCount = evaluationCount;
  }

  #restoreAutomation(automation: Automation): void {
    this.#run(automation);
  }

  #restoreState(kind: string, rest: string, value: string): void {
    const revive = (position: string): Arrival => this.#arrivals.restored(position);
    const [automationId = "", path = ""] = rest.split(":", 2);
    const node = this.#running.get(automationId)?.tree?.nodes.get(path);
    assert(node !== undefined, `the state names the trigger ${automationId}:${path}, which it does not hold`);
    node.restore(kind, rest.slice(automationId.length + path.length + 2), value, revive);
  }

  #machineFor(awaitDeadline: (deadline: Deadline) => void): Machine {
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
      await: awaitDeadline,
      rise: (from, fired) => this.#rise(from, fired),
    };
  }
}

function shownFiring(fired: Fired, automation: Automation): TriggerFiring {
  const { id, path, state, triggered, happened, labels, arrival, window, late, firings } = fired;
  return {
    id,
    triggerId: triggerIdAt(automation, path),
    state,
    triggered,
    happened,
    labels,
    event: arrival?.event ?? null,
    window,
    late,
    firings: firings.map((firing) => shownFiring(firing, automation)),
  };
}

function triggerIdAt({ trigger }: Automation, path: string): string {
  let current = trigger;
  for (const step of path === "" ? [] : path.split(".")) {
    const child = current.type === "event" ? undefined : current.triggers[Number(step)];
    assert(child !== undefined, "a firing's path leads to a trigger");
    current = child;
  }
  return current.id;
}

/** The lineage of a firing, in the order of its events. Empty when only events from outside led to it. */
function lineageOf(fired: Fired): string[] {
  const own = fired.arrival?.event.lineage ?? [];
  return [...new Set([...fired.firings.flatMap(lineageOf), ...own])];
}
