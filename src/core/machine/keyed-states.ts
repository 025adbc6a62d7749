/** The state of a trigger for each key, in memory and as fields that are written when they change. */

import type { Micros } from "../model/time.ts";
import { type Deadline, rank } from "./deadlines.ts";
import type { Key } from "./key.ts";
import { keyText, type Machine, ownerOf, type TriggerNode } from "./node.ts";

interface Kept<S> {
  readonly key: Key;
  readonly state: S;
}

export class KeyedStates<S extends object> {
  readonly #node: TriggerNode;
  readonly #machine: Machine;
  readonly #kept = new Map<string, Kept<S>>();
  // The earliest deadline of each key. It outlives the state, so that a window that opens and closes a thousand times a
  // second leaves one deadline behind, not a thousand.
  readonly #awaitedEnds = new Map<string, Micros>();
  readonly #awaitedForgettings = new Map<string, Micros>();

  constructor(node: TriggerNode, machine: Machine) {
    this.#node = node;
    this.#machine = machine;
  }

  get(key: Key): S | undefined {
    return this.#kept.get(keyText(key))?.state;
  }

  /** Writes the state of a key, new or changed in place. */
  put(key: Key, state: S): void {
    const text = keyText(key);
    if (this.#kept.get(text)?.state !== state) this.#kept.set(text, { key, state });
    this.#machine.cells.write(this.#field(text), state);
  }

  delete(key: Key): void {
    const text = keyText(key);
    if (this.#kept.delete(text)) this.#machine.cells.write(this.#field(text), null);
  }

  restore(text: string, state: S): Key {
    const key = JSON.parse(text) as Key;
    this.#kept.set(text, { key, state });
    return key;
  }

  *entries(): Iterable<[Key, S]> {
    for (const { key, state } of this.#kept.values()) yield [key, state];
  }

  clear(): void {
    for (const text of this.#kept.keys()) this.#machine.cells.write(this.#field(text), null);
    this.#kept.clear();
  }

  /**
   * Calls `meet` when log time has passed `end` by the lateness, with the key's state at that time, if it has one. `meet`
   * may also be called for an earlier, obsolete end. It must check, and call `awaitEnd` again.
   */
  awaitEnd(key: Key, end: Micros, lateness: Micros, meet: (key: Key, state: S, due: Micros) => void): void {
    // If two windows are judged at the same instant, the one that ended first comes first.
    this.#await(this.#awaitedEnds, key, { due: end + lateness, rank: rank.windowEnd, order: end }, meet);
  }

  /**
   * Forgets the state of a key when log time reaches `forgetAt`, which may move to a later time in the meantime.
   *
   * @param forgetAt returns null to keep the state forever
   */
  awaitForgetting(
    key: Key,
    forgetAt: (state: S) => Micros | null,
    forget: (key: Key, state: S) => void,
  ): void {
    const state = this.get(key);
    const awaited = state === undefined ? null : forgetAt(state);
    if (awaited === null) return;
    this.#await(
      this.#awaitedForgettings,
      key,
      { due: awaited, rank: rank.forget, order: 0 },
      (_key, current, due) => {
        const now = forgetAt(current);
        if (now !== null && now <= due) forget(key, current);
        else this.awaitForgetting(key, forgetAt, forget);
      },
    );
  }

  #await(
    awaited: Map<string, Micros>,
    key: Key,
    deadline: Pick<Deadline, "due" | "rank" | "order">,
    meet: (key: Key, state: S, due: Micros) => void,
  ): void {
    const text = keyText(key);
    const { due } = deadline;
    if ((awaited.get(text) ?? Number.POSITIVE_INFINITY) <= due) return;
    awaited.set(text, due);
    this.#machine.await({
      ...deadline,
      owner: ownerOf(this.#node, text),
      meet: () => {
        if (awaited.get(text) !== due) return;
        awaited.delete(text);
        const kept = this.#kept.get(text);
        if (kept !== undefined) meet(kept.key, kept.state, due);
      },
    });
  }

  #field(text: string): string {
    return `k:${this.#node.automationId}:${this.#node.path}:${text}`;
  }
}
