/**
 * Everything that a shard remembers, as fields of one hash, and the changes to it.
 *
 *   meta                            version, watermark, evaluations so far
 *   a:<automation>                  the automation as of the cursor
 *   k:<automation>:<path>:<key>     for one key (a JSON list): a window, or the firings that a composite remembers
 *   s:<automation>:<path>           the windows of a schedule that all keys share
 *   p:<automation>:<path>:<order>   an event that waits for its time to settle
 *   f:<position>                    a follower that waits for its leader
 *   l:<root>                        how often automations fired for the consequences of one event from outside
 *   e:<position>                    an event that one of the above refers to
 */

/**
 * A core reads the fields of this version and of all earlier ones, told apart by their shape: a field is written in the
 * present form only when it changes next. An older program refuses what a newer one has written.
 *
 * 2: a composite remembers several firings of a child.
 */
export const stateVersion = 2;

/** A change of one field of the shard's state; null deletes the field. */
export interface StateChange {
  readonly field: string;
  readonly value: string | null;
}

/**
 * The fields that changed since the last call of `take`.
 *
 * A value is encoded when it is taken, not when it changes, so a window that counts a thousand events between two commits
 * is encoded once.
 */
export class Cells {
  readonly #stored: boolean;
  #changed = new Map<string, unknown>();

  /** @param stored false for a core that is never stored: then no changes are kept */
  constructor(stored: boolean) {
    this.#stored = stored;
  }

  /** @param value any JSON value, encoded later; null deletes the field */
  write(field: string, value: unknown): void {
    if (this.#stored) this.#changed.set(field, value);
  }

  take(): StateChange[] {
    const changes: StateChange[] = [];
    for (const [field, value] of this.#changed) {
      changes.push({ field, value: value === null ? null : JSON.stringify(value) });
    }
    this.#changed = new Map();
    return changes;
  }
}
