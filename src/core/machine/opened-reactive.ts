/**
 * Reactive triggers with `after`: enough expected events in a window that an event opened.
 *
 * Events are evaluated as they arrive. Only of those that occurred at the same time, what opens a window comes before what
 * counts in one, whichever arrived first: such an instant is evaluated again with each of its events.
 */

import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import type { Key } from "./key.ts";
import type { EventRole, Revive, TriggerOutcome } from "./node.ts";
import { type Counted, ReactiveTrigger } from "./reactive.ts";

interface OpenedWindow {
  readonly start: Micros;
  readonly end: Micros | null;
  readonly count: number;
}

/** The events that occurred at the time of the latest arrival, and the window before them. */
interface Instant {
  readonly at: Micros;
  readonly base: OpenedWindow | null;
  /** How many events only open windows, how many also count, and how many only count. */
  readonly opening: number;
  readonly both: number;
  readonly counting: number;
  readonly firedCount: number;
  readonly lastEventId: string;
}

interface Opened {
  window: OpenedWindow | null;
  instant: Instant | null;
  lastEventId: string;
}

export class OpenedTrigger extends ReactiveTrigger<Opened> {
  protected count(key: Key, { event }: Arrival, role: EventRole): Counted | TriggerOutcome {
    const opened = this.states.get(key) ?? { window: null, instant: null, lastEventId: event.id };
    const before = opened.window;
    const instant = withEvent(this.#instantOf(opened, event.occurred, event.follows), role, event.id);
    const { window, firedCount, fired } = evaluateInstant(instant, this.compiled);
    const fires = firedCount > instant.firedCount;
    opened.window = window;
    opened.instant = { ...instant, firedCount: Math.max(firedCount, instant.firedCount) };
    const outcome = outcomeOf(role, before, window);
    if (!outcome.startsWith("ignored")) opened.lastEventId = event.id;
    this.states.put(key, opened);
    this.afterRestore(key);
    return fires && fired !== null ? { ...fired, count: this.compiled.threshold } : outcome;
  }

  /** The instant that an event belongs to: the latest one, if the event occurred then and does not follow its last event. */
  #instantOf({ window, instant }: Opened, at: Micros, follows: string | null): Instant {
    const isOnTime = this.machine.watermark <= at + this.compiled.lateness;
    if (instant !== null && instant.at === at && isOnTime && instant.lastEventId !== follows) return instant;
    const none = { opening: 0, both: 0, counting: 0, firedCount: 0, lastEventId: "" };
    return { at, base: window, ...none };
  }

  protected afterRestore(key: Key): void {
    const opened = this.states.get(key);
    const ends = [opened?.window?.end ?? null, opened?.instant ? opened.instant.at + 1 : null];
    const next = Math.min(...ends.map((end) => end ?? Number.POSITIVE_INFINITY));
    if (next < Number.POSITIVE_INFINITY) this.states.awaitEnd(key, next, this.compiled.lateness, this.#end);
  }

  readonly #end = (key: Key, opened: Opened, due: Micros): void => {
    const { window, instant } = opened;
    const settled = due - this.compiled.lateness;
    if (instant !== null && instant.at < settled) opened.instant = null;
    if (window !== null && window.end !== null && window.end <= settled) opened.window = null;
    if (opened.instant === null && opened.window === null) this.states.delete(key);
    else if (opened.instant !== instant || opened.window !== window) this.states.put(key, opened);
    this.afterRestore(key);
  };

  override restore(kind: string, rest: string, json: string, revive: Revive): void {
    const stored = JSON.parse(json) as Opened | VersionOne;
    if (!("start" in stored)) {
      super.restore(kind, rest, json, revive);
      return;
    }
    const { lastEventId, ...window } = stored;
    super.restore(kind, rest, JSON.stringify({ window, instant: null, lastEventId }), revive);
  }

  protected shown({ window, lastEventId }: Opened) {
    if (window === null) return { start: null, end: null, count: 0, deadline: null, lastEventId };
    const { start, end, count } = window;
    return { start, end, count, deadline: end === null ? null : end + this.compiled.lateness, lastEventId };
  }
}

/** In version 1, the state was the window. */
type VersionOne = OpenedWindow & { readonly lastEventId: string };

function withEvent(instant: Instant, { expected, after }: EventRole, lastEventId: string): Instant {
  const kind = after ? (expected ? "both" : "opening") : "counting";
  return { ...instant, [kind]: instant[kind] + 1, lastEventId };
}

/**
 * Evaluates the events of an instant: those that only open windows, then those that also count, then those that only count.
 *
 * @returns the window afterwards, how often it fires, and the last window that fires
 */
function evaluateInstant(
  { at, base, opening, both, counting }: Instant,
  { within, threshold }: { readonly within: Micros; readonly threshold: number },
): { window: OpenedWindow | null; firedCount: number; fired: OpenedWindow | null } {
  let window = base;
  let firedCount = 0;
  let fired: OpenedWindow | null = null;
  const next: OpenedWindow = { start: at, end: within === 0 ? null : at + within, count: 0 };
  const opens = (): boolean => window === null || window.end === null || at >= window.end;
  const count = (events: number): number => {
    if (window === null || at < window.start || (window.end !== null && at >= window.end)) return events;
    const needed = threshold - window.count;
    if (events < needed) window = { ...window, count: window.count + events };
    else {
      fired = window;
      firedCount++;
      window = null;
    }
    return Math.max(0, events - needed);
  };

  if (opening > 0 && opens()) window = next;
  if (within === 0 && both > 0) window = next;
  for (let left = within === 0 ? 0 : both; left > 0; ) {
    if (window === null && left > threshold) {
      // One opens the window and the others fill it, as often as there are enough.
      const rounds = Math.floor(left / (threshold + 1));
      firedCount += rounds;
      fired = next;
      left -= rounds * (threshold + 1);
    } else if (opens()) {
      window = next;
      left--;
    } else {
      const rest = count(left);
      if (rest === left) break;
      left = rest;
    }
  }
  if (counting > 0) count(counting);
  return { window, firedCount, fired };
}

/** What an event that did not make the trigger fire has changed. */
function outcomeOf(role: EventRole, before: OpenedWindow | null, after: OpenedWindow | null): TriggerOutcome {
  if (role.after && after !== null && after.start !== before?.start) return "opened a window";
  if (role.expected && after !== null && after.count > (before?.count ?? 0)) return "counted";
  if (role.after && after !== null) return "noted as the last event of the window";
  return after === null ? "ignored: no window is open" : "ignored: it occurred outside the window";
}
