/**
 * Everything that a shard remembers, as fields of one hash, and the changes to it.
 *
 *   meta                            version, watermark, evaluations so far, the pages of seen ids, the last beat and gaps
 *   a:<automation>                  the automation as of the cursor
 *   k:<automation>:<path>:<key>     for one key (a JSON list): a window, or the firings that a composite remembers
 *   s:<automation>:<path>           the windows of a schedule that all keys share
 *   p:<automation>:<path>:<order>   an event that waits for its time to settle
 *   f:<position>                    a follower that waits for its leader
 *   l:<root>                        how often automations fired for the consequences of one event from outside
 *   e:<position>                    an event that one of the above refers to, if its text is long
 *   i:<number>                      a page of the ids of recent events
 *
 * A state that refers to events has a line of JSON, and one for each of these events that is not stored apart.
 */

import type { Micros } from "../model/time.ts";
import type { StoredReachability } from "./gaps.ts";
import type { StoredPages } from "./seen.ts";

/**
 * A core reads the fields of this version and of all earlier ones, told apart by their shape: a field is written in the
 * present form only when it changes next. An older program refuses what a newer one has written.
 *
 * 2: a composite remembers several firings of a child.
 * 3: windows are lists without names, and hold the events that they refer to; the ids of recent events are part of the state.
 */
export const stateVersion = 3;

/** The fields of a state. */
export type StateFields = ReadonlyMap<string, string>;

/** The field `meta`. */
export interface StateMeta {
  readonly version: number;
  readonly watermark: Micros;
  readonly evaluationCount: number;
  /** Missing before version 3, and until a page is full. */
  readonly seen?: StoredPages;
  /** Missing while the log has held no beat. An older program drops it. */
  readonly reachable?: StoredReachability;
}

/** A change of one field of the shard's state; null deletes the field. */
export interface StateChange {
  readonly field: string;
  readonly value: string | null;
}

/** The id of the automation that a field of the state belongs to; null if it belongs to the shard as a whole. */
export function automationOfField(field: string): string | null {
  if (!/^[aksp]:/.test(field)) return null;
  const end = field.indexOf(":", 2);
  return end === -1 ? field.slice(2) : field.slice(2, end);
}

/** A reference to an event that is stored apart. No text of a user can look like it: its quotes would be escaped. */
const referencePattern = /\["(\d+-\d+)"\]/g;
/** Before version 3: of a window, of a composite's memory, or of an event that waits. */
const oldReferencePattern = /"(?:last|arrival)":"(\d+-\d+)"|^\["(\d+-\d+)"/g;

/** The positions of the events that a state refers to and does not hold itself. */
export function referencesIn(value: string): string[] {
  const end = value.indexOf("\n");
  const header = end === -1 ? value : value.slice(0, end);
  const found = [...header.matchAll(referencePattern)];
  const old = end === -1 ? [...header.matchAll(oldReferencePattern)] : [];
  return [...found, ...old].map(([, position, other]) => position ?? other ?? "");
}

/** A part of the machine that knows by itself which of its fields have changed. */
export interface ChangingPart {
  takeChanges(add: (field: string, value: string | null) => void): void;
}

/**
 * The fields that changed since the last call of `take`.
 *
 * A value is encoded when it is taken, not when it changes, so a window that counts a thousand events between two commits
 * is encoded once.
 */
export class Cells {
  /** False for a core that is never stored: then no changes are kept. */
  readonly isStored: boolean;
  #changed = new Map<string, (() => string) | null>();
  #parts = new Set<ChangingPart>();

  /** @param stored false for a core that is never stored: then no changes are kept */
  constructor(stored: boolean) {
    this.isStored = stored;
  }

  /** @param encode called later; null deletes the field */
  write(field: string, encode: (() => string) | null): void {
    if (this.isStored) this.#changed.set(field, encode);
  }

  /** Notes that fields of a part have changed. */
  touch(part: ChangingPart): void {
    if (this.isStored) this.#parts.add(part);
  }

  take(): StateChange[] {
    // A new trigger may have the fields of the one that it replaces, which was touched before it.
    const values = new Map<string, string | null>();
    for (const [field, encode] of this.#changed) values.set(field, encode === null ? null : encode());
    for (const part of this.#parts) part.takeChanges((field, value) => values.set(field, value));
    this.#changed = new Map();
    this.#parts = new Set();
    return Array.from(values, ([field, value]) => ({ field, value }));
  }
}
