/**
 * Gaps: the times in which nobody could post, because no process with the role `api` was running or none reached the log.
 *
 * Such processes append beats. Where beats are missing, a heartbeat that is missing as well says nothing about its sender.
 * So the time in a gap does not count for a window: its end moves by as much as the gaps cover of it. Where the end is
 * depends on the beats alone, so it is computed when it is needed, and a gap touches none of the windows.
 */

import type { WireEvent } from "../model/event.ts";
import { gapMax, gapsMax, gapTolerance } from "../model/limits.ts";
import { formatTime, type Micros, parseTime, second } from "../model/time.ts";
import { triplineNamespace, uuid5 } from "../model/uuid.ts";

/** A time in which nobody could post: [from, to), from the last beat before it to the first one after it. */
export interface Gap {
  readonly from: Micros;
  readonly to: Micros;
}

/** What is stored of the reachability. */
export interface StoredReachability {
  /** The log time of the last beat. */
  readonly to: Micros;
  readonly gaps: readonly (readonly [from: Micros, to: Micros])[];
}

/** When people could post, as far as the log says. Without any beat in the log, always. */
export class Reachability {
  #lastBeat: Micros | null = null;
  #gaps: readonly Gap[];

  /** @param known gaps that are known in advance, in the order in which they happened */
  constructor(known: readonly Gap[] = []) {
    this.#gaps = known.filter(isBridged);
  }

  /** @returns the gap that this beat ends; null if it ends none */
  beat(at: Micros): Gap | null {
    const from = this.#lastBeat;
    this.#lastBeat = at;
    if (from === null || at - from <= gapTolerance) return null;
    const gap = { from, to: at };
    if (isBridged(gap)) this.#gaps = [...this.#gaps, gap].slice(-gapsMax);
    return gap;
  }

  /** The end of a window, moved by the known gaps. A gap that has begun and not ended is not known yet. */
  endOf(start: Micros, end: Micros): Micros {
    let moved = end;
    for (const { from, to } of this.#gaps) {
      if (from >= moved) break;
      if (to > start) moved += to - Math.max(from, start);
    }
    return moved;
  }

  /** The known gaps that move the end of a window. */
  gapsIn(start: Micros, end: Micros): readonly Gap[] {
    const moved = this.endOf(start, end);
    return this.#gaps.filter(({ from, to }) => from < moved && to > start);
  }

  /** Since when nobody has been able to post, if that is certain; null if someone could, or it is not known yet. */
  lostSince(now: Micros): Micros | null {
    const from = this.#lastBeat;
    return from !== null && now - from > gapTolerance && now - from <= gapMax ? from : null;
  }

  /** Whether it is known that no gap had begun when a window ended. It is known once a beat has come after that. */
  confirms(end: Micros, now: Micros): boolean {
    const last = this.#lastBeat;
    return last === null || (end <= last && last < now) || now - last > gapMax;
  }

  /** When to look again at a window of which `confirms` was false, if no beat comes before. */
  nextLook(now: Micros): Micros {
    const last = this.#lastBeat ?? now;
    return last + (now <= last ? 0 : gapMax) + 1;
  }

  /** The latest time until which the windows after `end` are as long as usual, and are judged when they are due. */
  regularUntil(end: Micros, now: Micros): Micros {
    const gap = this.#gaps.find(({ to }) => to > end);
    const last = this.#lastBeat;
    const confirmed = last === null || now - last > gapMax ? Number.POSITIVE_INFINITY : last;
    return Math.min(confirmed, gap?.from ?? Number.POSITIVE_INFINITY);
  }

  /** Undefined if the log has held no beat. */
  get stored(): StoredReachability | undefined {
    const to = this.#lastBeat;
    return to === null ? undefined : { to, gaps: this.#gaps.map(({ from, to: end }) => [from, end]) };
  }

  restore({ to, gaps }: StoredReachability): void {
    this.#lastBeat = to;
    this.#gaps = gaps.map(([from, end]) => ({ from, to: end }));
  }
}

/** After a longer outage, windows are judged as if there had been none. */
function isBridged({ from, to }: Gap): boolean {
  return to - from <= gapMax;
}

export const gapEventName = "tripline.gap";

/** The event that reports a gap, once it has ended. */
export function gapEvent({ from, to }: Gap): WireEvent {
  return {
    occurred: formatTime(to),
    event: gapEventName,
    resource: { "prefect.resource.id": "tripline.api", "prefect.resource.name": "Tripline's API" },
    related: [],
    payload: { from: formatTime(from), to: formatTime(to), seconds: (to - from) / second },
    id: uuid5(triplineNamespace, `gap ${from} ${to}`),
    follows: null,
  };
}

/** The gaps that recorded events report, in the order in which they happened. */
export function gapsReportedBy(events: Iterable<Pick<WireEvent, "event" | "payload">>): Gap[] {
  const gaps = new Map<Micros, Gap>();
  for (const { event, payload } of events) {
    if (event !== gapEventName) continue;
    const [from, to] = [payload["from"], payload["to"]].map((time) =>
      typeof time === "string" ? parseTime(time) : null,
    );
    if (from != null && to != null && from < to) gaps.set(from, { from, to });
  }
  return [...gaps.values()].sort((a, b) => a.from - b.from);
}
