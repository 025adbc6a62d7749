/** How many windows of each automation are open, without visiting them. */

import { type Micros, second } from "../model/time.ts";

/** The end of a window that stays open until its state changes. */
export const openForever = Number.POSITIVE_INFINITY;
/** As `openForever`, for one whose absence has fired and has not ended. */
export const openUnresolved = Number.MAX_VALUE;
/** In the place of an end: the state is not an open window. */
export const notOpen = Number.NEGATIVE_INFINITY;

export interface OpenNumbers {
  /** Windows that are open, without those that an event will open whose time has yet to settle. */
  readonly open: number;
  /** How many of them have fired for an absence that has not ended. */
  readonly unresolved: number;
}

export const nothingOpen: OpenNumbers = { open: 0, unresolved: 0 };

/**
 * The number of open windows of one automation, by when they end.
 *
 * Windows that end within the same second stop counting together, at its end. The number is for people.
 */
export class OpenCount {
  readonly automationId: string;
  readonly #onChange: (changed: OpenCount) => void;
  readonly #bySecond = new Map<number, number>();
  /** The second up to which windows have stopped counting by themselves. */
  #passed: number;
  #endless = 0;
  #unresolved = 0;
  /** Those that end by themselves, and later than `#passed`. */
  #ending = 0;

  constructor(automationId: string, now: Micros, onChange: (changed: OpenCount) => void) {
    this.automationId = automationId;
    this.#passed = Math.floor(now / second);
    this.#onChange = onChange;
  }

  /** Whether the passing of time alone will change the numbers. */
  get isEnding(): boolean {
    return this.#ending > 0;
  }

  /** @param end when the window ends by itself; it has changed from `before` */
  change(before: Micros, end: Micros): void {
    if (before === end) return;
    this.#add(before, -1);
    this.#add(end, 1);
    this.#onChange(this);
  }

  /** @param now never earlier than before */
  count(now: Micros): OpenNumbers {
    this.#passTo(Math.floor(now / second));
    return { open: this.#endless + this.#unresolved + this.#ending, unresolved: this.#unresolved };
  }

  #add(end: Micros, change: number): void {
    if (end === openForever) this.#endless += change;
    else if (end === openUnresolved) this.#unresolved += change;
    else if (end !== notOpen) {
      const time = Math.ceil(end / second);
      const windows = (this.#bySecond.get(time) ?? 0) + change;
      if (windows === 0) this.#bySecond.delete(time);
      else this.#bySecond.set(time, windows);
      if (time > this.#passed) this.#ending += change;
    }
  }

  #passTo(time: number): void {
    // Whichever is less to look at: the seconds that have passed, or all at which a window ends.
    if (time - this.#passed > this.#bySecond.size) {
      for (const [ended, windows] of this.#bySecond) {
        if (ended > this.#passed && ended <= time) this.#ending -= windows;
      }
    } else {
      for (let ended = this.#passed + 1; ended <= time; ended++) {
        this.#ending -= this.#bySecond.get(ended) ?? 0;
      }
    }
    this.#passed = Math.max(this.#passed, time);
  }
}

/** A part of the machine that knows which of its windows have become unresolved, or no longer are. */
export interface UnresolvedPart {
  /**
   * Adds some of those, by the field of the state: whether it is unresolved now. Each is added once.
   *
   * @param countMax until how many there are
   * @returns whether those were all
   */
  takeUnresolved(taken: Map<string, boolean>, countMax: number): boolean;
}

/** The numbers of all automations, and which of them have changed. */
export class OpenCounts {
  readonly #byAutomation = new Map<string, OpenCount>();
  readonly #touched = new Set<UnresolvedPart>();
  #changed = new Set<OpenCount>();

  /** The number of an automation, which all its triggers change. */
  of(automationId: string, now: Micros): OpenCount {
    const known = this.#byAutomation.get(automationId);
    if (known !== undefined) return known;
    const added = new OpenCount(automationId, now, (changed) => this.#changed.add(changed));
    this.#byAutomation.set(automationId, added);
    return added;
  }

  /** Forgets an automation, whose windows are gone. */
  delete(automationId: string): void {
    this.#byAutomation.delete(automationId);
  }

  /** Notes that windows of a part have become unresolved, or no longer are. */
  touch(part: UnresolvedPart): void {
    this.#touched.add(part);
  }

  /** Takes up to so many windows that have become unresolved, or no longer are: see `UnresolvedPart`. */
  takeUnresolved(countMax: number): Map<string, boolean> {
    const taken = new Map<string, boolean>();
    for (const part of this.#touched) {
      if (!part.takeUnresolved(taken, countMax)) break;
      this.#touched.delete(part);
    }
    return taken;
  }

  /**
   * Takes the automations whose numbers may have changed since they were last taken. Each step is short. Take all of them:
   * those that are left are forgotten.
   *
   * @param now how far log time has been consumed; it may go on between two steps
   */
  *take(now: () => Micros): Generator<readonly [automationId: string, numbers: OpenNumbers], void> {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const count of changed) {
      const numbers = count.count(now());
      if (count.isEnding) this.#changed.add(count);
      yield [count.automationId, numbers];
    }
  }
}
