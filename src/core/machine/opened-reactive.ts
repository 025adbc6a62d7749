/**
 * Reactive triggers with `after`: enough expected events in a window that an event opened.
 *
 * Events are evaluated as they arrive. Only of those that occurred at the same time, what opens a window comes before what
 * counts in one, whichever arrived first: such an instant is evaluated again with each of its events.
 */

import { packId, unpackId } from "../model/packed-id.ts";
import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import type { Key } from "./key.ts";
import type { EventRole, TriggerOutcome } from "./node.ts";
import { notOpen, openForever } from "./open-count.ts";
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
    this.awaitNext(key, opened);
    return fires && fired !== null ? { ...fired, count: this.compiled.threshold } : outcome;
  }

  /** The instant that an event belongs to: the latest one, if the event occurred then and does not follow its last event. */
  #instantOf({ window, instant }: Opened, at: Micros, follows: string | null): Instant {
    const isOnTime = this.machine.watermark <= at + this.compiled.lateness;
    if (instant !== null && instant.at === at && isOnTime && instant.lastEventId !== follows) return instant;
    const none = { opening: 0, both: 0, counting: 0, firedCount: 0, lastEventId: "" };
    return { at, base: window, ...none };
  }

  protected awaitNext(key: Key, { window, instant }: Opened): void {
    const ends = [window?.end ?? null, instant ? instant.at + 1 : null];
    const next = Math.min(...ends.map((end) => end ?? Number.POSITIVE_INFINITY));
    if (next < Number.POSITIVE_INFINITY) this.states.awaitEnd(key, next, this.compiled.lateness);
  }

  override meetEnd(key: Key, opened: Opened, due: Micros): void {
    const { window, instant } = opened;
    const settled = due - this.compiled.lateness;
    if (instant !== null && instant.at < settled) opened.instant = null;
    if (window !== null && window.end !== null && window.end <= settled) opened.window = null;
    if (opened.instant === null && opened.window === null) {
      this.states.delete(key);
      return;
    }
    if (opened.instant !== instant || opened.window !== window) this.states.put(key, opened);
    this.awaitNext(key, opened);
  }

  encode({ window, instant, lastEventId }: Opened): string {
    const stored: StoredOpened = [packId(lastEventId), storedWindow(window)];
    if (instant !== null) {
      const { at, base, opening, both, counting, firedCount, lastEventId: last } = instant;
      stored.push(at, storedWindow(base), opening, both, counting, firedCount, packId(last));
    }
    return JSON.stringify(stored);
  }

  decode(text: string): Opened {
    const stored = JSON.parse(text) as StoredOpened | Opened | VersionOne;
    if (Array.isArray(stored)) {
      const [lastEventId, window, at, base, opening = 0, both = 0, counting = 0, firedCount = 0, last = ""] =
        stored;
      return {
        window: restoredWindow(window),
        lastEventId: unpackId(lastEventId),
        instant:
          at === undefined
            ? null
            : {
                ...{ at, opening, both, counting, firedCount },
                base: restoredWindow(base ?? 0),
                lastEventId: unpackId(last),
              },
      };
    }
    if (!("start" in stored)) return stored;
    const { lastEventId, ...window } = stored;
    return { window, instant: null, lastEventId };
  }

  openUntil({ window }: Opened): Micros {
    return window === null ? notOpen : openForever;
  }

  protected shown({ window, lastEventId }: Opened) {
    if (window === null) return { start: null, end: null, count: 0, deadline: null, lastEventId };
    const { start, end, count } = window;
    return { start, end, count, deadline: end === null ? null : end + this.compiled.lateness, lastEventId };
  }
}

type StoredWindow = readonly [start: Micros, length: Micros | null, count: number] | 0;

/** The window, then the parts of the instant if there is one. */
type StoredOpened = [
  lastEventId: string,
  window: StoredWindow,
  at?: Micros,
  base?: StoredWindow,
  opening?: number,
  both?: number,
  counting?: number,
  firedCount?: number,
  lastEventId?: string,
];

function storedWindow(window: OpenedWindow | null): StoredWindow {
  if (window === null) return 0;
  const { start, end, count } = window;
  return [start, end === null ? null : end - start, count];
}

function restoredWindow(stored: StoredWindow): OpenedWindow | null {
  if (stored === 0) return null;
  const [start, length, count] = stored;
  return { start, end: length === null ? null : start + length, count };
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
