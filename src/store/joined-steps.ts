/**
 * Joins what many callers write at about the same time into steps.
 *
 * A round trip costs as much as a dozen small writes. So while a step is under way, whatever else comes waits and then
 * goes together; the more there is to do, the larger the steps become. Each caller still learns only of what is its own,
 * and only after the step that holds it.
 */

import { afterTurn } from "../retry/slices.ts";

export interface StepLimits {
  /** How many things one step writes, and about how many bytes of them, so that it does not keep Redis from all else. */
  readonly countMax: number;
  readonly lengthMax: number;
}

/** So many things go at once, because it gains little to wait for more; as long as so few steps are under way. */
const countWorthAStep = 50;
const stepsMax = 4;

interface Waiting<Item, Reply> {
  readonly item: Item;
  readonly count: number;
  readonly length: number;
  readonly resolve: (done: StepReply<Reply>) => void;
  readonly reject: (error: unknown) => void;
}

export interface StepReply<Reply> {
  /** The reply to the whole step. */
  readonly reply: Reply;
  /** How many things of the step came before those of this caller. */
  readonly first: number;
}

export class JoinedSteps<Item, Reply> {
  readonly #run: (items: readonly Item[]) => Promise<Reply>;
  readonly #limits: StepLimits;
  readonly #waiting: Waiting<Item, Reply>[] = [];
  #waitingCount = 0;
  #stepCount = 0;
  #isScheduled = false;

  /** @param run writes the items of one step, all or none. What it throws reaches all whose items they are */
  constructor(run: (items: readonly Item[]) => Promise<Reply>, limits: StepLimits) {
    this.#run = run;
    this.#limits = limits;
  }

  /**
   * Writes an item in one step, after those of earlier calls.
   *
   * @param size how many things it holds, and about how many bytes
   */
  add(
    item: Item,
    { count, length }: { readonly count: number; readonly length: number },
  ): Promise<StepReply<Reply>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, count, length, resolve, reject });
      this.#waitingCount += count;
      this.#next();
    });
  }

  #next(): void {
    while (this.#waitingCount >= countWorthAStep && this.#stepCount < stepsMax) void this.#takeStep();
    if (this.#waiting.length === 0 || this.#stepCount > 0 || this.#isScheduled) return;
    // Other requests that have arrived by now are read in the same turn.
    this.#isScheduled = true;
    afterTurn(() => {
      this.#isScheduled = false;
      if (this.#waiting.length > 0 && this.#stepCount === 0) void this.#takeStep();
    });
  }

  async #takeStep(): Promise<void> {
    const step = this.#takeWaiting();
    this.#stepCount += 1;
    try {
      const reply = await this.#run(step.map(({ item }) => item));
      let first = 0;
      for (const { count, resolve } of step) {
        resolve({ reply, first });
        first += count;
      }
    } catch (error) {
      for (const { reject } of step) reject(error);
    } finally {
      this.#stepCount -= 1;
      this.#next();
    }
  }

  /** As many as fit into a step. */
  #takeWaiting(): Waiting<Item, Reply>[] {
    const { countMax, lengthMax } = this.#limits;
    let count = 0;
    let length = 0;
    let taken = 0;
    for (const next of this.#waiting) {
      count += next.count;
      length += next.length;
      if (taken > 0 && (count > countMax || length > lengthMax)) break;
      taken += 1;
    }
    const step = this.#waiting.splice(0, taken);
    for (const each of step) this.#waitingCount -= each.count;
    return step;
  }
}
