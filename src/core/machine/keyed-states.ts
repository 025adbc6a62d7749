/**
 * The state of a trigger for each key, in memory and as fields that are written when they change.
 *
 * A state at rest is the text that is stored. It is read when it is needed, and written again when changes are taken. So a
 * window takes little more than its text, and to restore it is to put it in its place.
 */

import type { Micros } from "../model/time.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import type { Key } from "./key.ts";
import { KeySlots } from "./key-slots.ts";
import { keyText, type Machine, type NodePlace, ownerOf } from "./node.ts";
import { notOpen, type OpenCount, openUnresolved, type UnresolvedPart } from "./open-count.ts";
import type { ChangingPart } from "./state.ts";

/** What the states of a kind of trigger are, and what happens to them when time passes. */
export interface StateKind<S> {
  encode(state: S): string;
  /** Reads a state that this or any earlier version has written. */
  decode(text: string): S;
  /** Until when the state is an open window: a time, `openForever`, `openUnresolved` or `notOpen`. */
  openUntil(state: S): Micros;
  /** Log time has passed an end that was awaited, or an earlier one: check, and call `awaitEnd` again. */
  meetEnd(key: Key, state: S, due: Micros): void;
  /** When to forget the state; null to keep it forever. */
  forgetAt(state: S): Micros | null;
  forget(key: Key, state: S): void;
}

const never = Number.POSITIVE_INFINITY;

export class KeyedStates<S extends object> implements Waiter, ChangingPart, UnresolvedPart {
  readonly place: string;
  readonly #machine: Machine;
  readonly #kind: StateKind<S>;
  readonly #automationId: string;
  readonly #slots = new KeySlots();
  // By slot. The earliest deadline of a key outlives its state, so that a window that opens and closes a thousand times a
  // second leaves one deadline behind, not a thousand.
  readonly #states: (string | S | null)[] = [];
  readonly #ends: Micros[] = [];
  readonly #forgettings: Micros[] = [];
  readonly #openUntil: Micros[] = [];
  #openCount: OpenCount | null = null;
  /** The texts of the keys whose states have changed since changes were last taken. */
  #changed = new Set<string>();
  /** The texts of the keys that have become unresolved, or no longer are, since these were last taken. */
  readonly #unresolvedChanged = new Set<string>();

  constructor(node: NodePlace, machine: Machine, kind: StateKind<S>) {
    this.#machine = machine;
    this.#kind = kind;
    this.place = ownerOf(node);
    this.#automationId = node.automationId;
  }

  /** The state of a key. Whoever changes it must `put` it. */
  get(key: Key): S | undefined {
    const slot = this.#slots.get(keyText(key));
    return slot === undefined ? undefined : (this.#stateAt(slot) ?? undefined);
  }

  /** Writes the state of a key, new or changed in place. */
  put(key: Key, state: S): void {
    const text = keyText(key);
    this.#set(this.#slots.get(text) ?? this.#newSlot(text), state, this.#kind.openUntil(state));
    this.#note(text);
  }

  delete(key: Key): void {
    const text = keyText(key);
    const slot = this.#slots.get(text);
    if (slot !== undefined) this.#delete(slot, text);
  }

  /** Restores a state. @returns it and its key; null if the key has one already */
  restore(text: string, stored: string): { key: Key; state: S } | null {
    if (this.#slots.get(text) !== undefined) return null;
    const key = JSON.parse(text) as Key;
    const state = this.#kind.decode(stored);
    // A copy of the key's text, which otherwise would keep alive the name of the field that it was cut from.
    this.#set(this.#newSlot(keyText(key)), stored, this.#kind.openUntil(state));
    return { key, state };
  }

  *entries(): Iterable<[Key, S]> {
    for (let slot = 0; slot < this.#slots.end; slot++) {
      const key = this.#slots.keyAt(slot);
      const state = key === null ? null : this.#stateAt(slot);
      if (key !== null && state !== null) yield [JSON.parse(key) as Key, state];
    }
  }

  clear(): void {
    for (let slot = 0; slot < this.#slots.end; slot++) {
      const key = this.#slots.keyAt(slot);
      if (key !== null) this.#delete(slot, key);
    }
  }

  /** Lets `meetEnd` be called when log time has passed `end` by the lateness, if the key has a state then. */
  awaitEnd(key: Key, end: Micros, lateness: Micros): void {
    // If two windows are judged at the same instant, the one that ended first comes first.
    this.#await(this.#ends, keyText(key), end + lateness, rank.windowEnd, end);
  }

  /** Lets `meetEnd` be called again, with the same deadline, once it is known whether people could post. */
  postponeEnd(key: Key, end: Micros, due: Micros): void {
    const text = keyText(key);
    const slot = this.#slots.get(text);
    if (slot === undefined) return;
    this.#ends[slot] = due;
    const known = this.#slots.keyAt(slot) ?? text;
    this.#machine.postpone(this, { due, rank: rank.windowEnd, order: end, key: known });
  }

  /** Lets `forget` be called when log time reaches `forgetAt`, which may move to a later time in the meantime. */
  awaitForgetting(key: Key, state: S | undefined = this.get(key)): void {
    const due = state === undefined ? null : this.#kind.forgetAt(state);
    if (due !== null) this.#await(this.#forgettings, keyText(key), due, rank.forget, 0);
  }

  meet({ due, rank: metRank, key: text }: Deadline): void {
    const slot = this.#slots.get(text);
    const awaited = metRank === rank.forget ? this.#forgettings : this.#ends;
    if (slot === undefined || awaited[slot] !== due) return;
    awaited[slot] = never;
    const state = this.#stateAt(slot);
    if (state === null) {
      this.#freeIfUnused(slot);
      return;
    }
    const key = JSON.parse(text) as Key;
    if (metRank !== rank.forget) {
      this.#kind.meetEnd(key, state, due);
      return;
    }
    const forgetAt = this.#kind.forgetAt(state);
    if (forgetAt !== null && forgetAt <= due) this.#kind.forget(key, state);
    else this.awaitForgetting(key, state);
  }

  takeChanges(add: (field: string, value: string | null) => void): void {
    const prefix = `k:${this.place}`;
    for (const text of this.#changed) {
      const slot = this.#slots.get(text);
      let state = slot === undefined ? null : (this.#states[slot] ?? null);
      if (slot !== undefined && typeof state === "object" && state !== null) {
        state = this.#kind.encode(state);
        this.#states[slot] = state;
      }
      add(prefix + text, state as string | null);
    }
    this.#changed = new Set();
  }

  #await(awaited: Micros[], key: string, due: Micros, deadlineRank: number, order: number): void {
    const slot = this.#slots.get(key) ?? this.#newSlot(key);
    if ((awaited[slot] ?? never) <= due) return;
    awaited[slot] = due;
    // Not a copy of the key's text, of which there may be a million.
    const known = this.#slots.keyAt(slot) ?? key;
    this.#machine.await(this, { due, rank: deadlineRank, order, key: known });
  }

  #stateAt(slot: number): S | null {
    const state = this.#states[slot] ?? null;
    return typeof state === "string" ? this.#kind.decode(state) : state;
  }

  #newSlot(key: string): number {
    const slot = this.#slots.add(key);
    this.#states[slot] = null;
    this.#ends[slot] = never;
    this.#forgettings[slot] = never;
    this.#openUntil[slot] = notOpen;
    return slot;
  }

  #set(slot: number, state: string | S | null, openUntil: Micros): void {
    this.#states[slot] = state;
    // Not before there is a state: nodes that only explain have no machine.
    this.#openCount ??= this.#machine.openCounts.of(this.#automationId, this.#machine.watermark);
    const before = this.#openUntil[slot] ?? notOpen;
    this.#openCount.change(before, openUntil);
    this.#openUntil[slot] = openUntil;
    if ((before === openUnresolved) !== (openUntil === openUnresolved)) this.#noteUnresolved(slot);
  }

  #delete(slot: number, text: string): void {
    if (this.#states[slot] === null) return;
    this.#set(slot, null, notOpen);
    this.#freeIfUnused(slot);
    this.#note(text);
  }

  #freeIfUnused(slot: number): void {
    if (this.#states[slot] === null && this.#ends[slot] === never && this.#forgettings[slot] === never) {
      this.#slots.remove(slot);
    }
  }

  takeUnresolved(taken: Map<string, boolean>, countMax: number): boolean {
    for (const text of this.#unresolvedChanged) {
      if (taken.size >= countMax) return false;
      this.#unresolvedChanged.delete(text);
      const slot = this.#slots.get(text);
      taken.set(`k:${this.place}${text}`, slot !== undefined && this.#openUntil[slot] === openUnresolved);
    }
    return true;
  }

  #noteUnresolved(slot: number): void {
    const text = this.#slots.keyAt(slot);
    if (text === null || !this.#machine.cells.isStored) return;
    this.#unresolvedChanged.add(text);
    this.#machine.openCounts.touch(this);
  }

  #note(text: string): void {
    if (!this.#machine.cells.isStored) return;
    this.#changed.add(text);
    this.#machine.cells.touch(this);
  }
}
