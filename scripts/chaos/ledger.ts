/** Every event that a chaos run may have brought into the log, and what is known about it. */

export interface LoadEvent {
  readonly id: string;
  readonly event: string;
  readonly resource: string;
  /** Milliseconds since the epoch. */
  readonly occurred: number;
}

export interface LedgerEntry extends LoadEvent {
  /** When a server acknowledged it, in milliseconds since the epoch; null as long as none has. */
  acknowledged: number | null;
}

export class Ledger {
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #byResource = new Map<string, LedgerEntry[]>();
  repeatedCount = 0;
  failedCount = 0;

  /** Call this before an event is sent for the first time. */
  add(event: LoadEvent): void {
    const entry = { ...event, acknowledged: null };
    this.#entries.set(event.id, entry);
    const known = this.#byResource.get(event.resource);
    if (known === undefined) this.#byResource.set(event.resource, [entry]);
    else known.push(entry);
  }

  acknowledge(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.acknowledged ??= Date.now();
  }

  get(id: string): LedgerEntry | undefined {
    return this.#entries.get(id);
  }

  /** In the order in which they were added. */
  about(resource: string): readonly LedgerEntry[] {
    return this.#byResource.get(resource) ?? [];
  }

  all(): Iterable<LedgerEntry> {
    return this.#entries.values();
  }

  get count(): number {
    return this.#entries.size;
  }
}
