/** An answer that is remembered for a while, because it takes work and many ask for it. */

import { systemClock } from "../../retry/clock.ts";

/** The work takes at most this part of the time, however often the answer is asked for. */
const workShare = 1 / 10;

/** Answers by key. Whoever asks while one is being made waits for the same one. */
export class RecentAnswers<T> {
  readonly #ms: number;
  readonly #answers = new Map<string, { readonly answer: Promise<T>; until: number }>();

  /** @param ms how long an answer is remembered, unless it took long to make: then for longer */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** The answer for a key. A failure is not remembered. @throws whatever `make` throws */
  get(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    const started = systemClock.now();
    if (known !== undefined && started < known.until) return known.answer;
    const entry = { answer: make(), until: Number.POSITIVE_INFINITY };
    this.#answers.set(key, entry);
    entry.answer.then(
      () => {
        const now = systemClock.now();
        entry.until = now + Math.max(this.#ms, (now - started) / workShare);
      },
      () => this.#answers.delete(key),
    );
    return entry.answer;
  }
}
