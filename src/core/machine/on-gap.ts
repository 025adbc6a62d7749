/** What gaps mean for the windows of a Proactive trigger, as its `on_gap` says: they move ends, or nothing. */

import type { Micros } from "../model/time.ts";
import type { EventTriggerDefinition } from "../model/trigger.ts";
import type { Gap } from "./gaps.ts";
import type { Machine } from "./node.ts";
import { never, type WatchedWindow } from "./watched.ts";

/** A window as it was opened: gaps have not moved its end. */
type UnmovedWindow = Pick<WatchedWindow, "start" | "end">;

export class OnGap {
  readonly #extends: boolean;
  readonly #machine: Machine;

  constructor({ on_gap }: EventTriggerDefinition, machine: Machine) {
    this.#extends = on_gap !== "fire";
    this.#machine = machine;
  }

  /** When a window ends, as far as it is known. */
  endOf({ start, end }: UnmovedWindow): Micros {
    return this.#extends ? this.#machine.reachability.endOf(start, end) : end;
  }

  /** When events are too late for a window; `never` while nobody can post since before its end. */
  latestEndOf(window: UnmovedWindow): Micros {
    const end = this.endOf(window);
    return this.#lostBefore(end) === null ? end : never;
  }

  /** Whether a window that has ended can be judged now. */
  confirms(end: Micros): boolean {
    return !this.#extends || this.#machine.reachability.confirms(end, this.#machine.watermark);
  }

  /** How many windows follow that are as long as usual and are judged by `until`. */
  regularCount(end: Micros, until: Micros, within: Micros): number {
    const { reachability, watermark } = this.#machine;
    const last = this.#extends ? Math.min(until, reachability.regularUntil(end, watermark)) : until;
    return Math.max(0, Math.floor((last - end) / within));
  }

  /** What people see of a window. */
  shown(window: UnmovedWindow): { end: Micros; gaps: readonly Gap[]; unreachableSince: Micros | null } {
    const end = this.endOf(window);
    const gaps = this.#extends ? this.#machine.reachability.gapsIn(window.start, window.end) : [];
    return { end, gaps, unreachableSince: this.#lostBefore(end) };
  }

  #lostBefore(end: Micros): Micros | null {
    if (!this.#extends) return null;
    const since = this.#machine.reachability.lostSince(this.#machine.watermark);
    return since !== null && since < end ? since : null;
  }
}
