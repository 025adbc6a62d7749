/**
 * A model of a log in partitions, which docs/scale.md describes: each partition is a stream on a Redis node of its own, with
 * a clock of its own, and readers merge them into one order that does not depend on how they read.
 *
 * An event is in one partition. A change of an automation is in all of them, as a barrier: it takes effect when every
 * partition has reached it, and a partition that has reached it waits for the others. So an event that was accepted after a
 * change was acknowledged is behind the change, however far the clocks are apart.
 */

export interface PartitionEntry {
  /** When the partition received it, by its own clock. */
  readonly ms: number;
  readonly sequence: number;
  /** An event's id, or the number of a change; changes are numbered by the first partition. */
  readonly item: { readonly event: string } | { readonly change: number };
}

export interface MergedEntry {
  /** Never decreases: an entry that comes after a later one counts as received at the same time. */
  readonly ms: number;
  readonly item: PartitionEntry["item"];
}

/** What a reader gets from a partition: the next entries, and the time before which nothing more will come. */
export interface PartitionRead {
  readonly entries: readonly PartitionEntry[];
  readonly knownMs: number;
}

export class PartitionedLog {
  readonly #partitions: { readonly entries: PartitionEntry[]; readonly offsetMs: number; lastMs: number }[];
  #changeCount = 0;

  /** @param offsetsMs by how much each node's clock is ahead */
  constructor(offsetsMs: readonly number[]) {
    this.#partitions = offsetsMs.map((offsetMs) => ({ entries: [], offsetMs, lastMs: 0 }));
  }

  get partitionCount(): number {
    return this.#partitions.length;
  }

  /** Appends an event to the partition that its id belongs to, so that a repeat is in the same one. */
  appendEvent(event: string, nowMs: number): number {
    const partition = partitionOf(event, this.partitionCount);
    this.#append(partition, { event }, nowMs);
    return partition;
  }

  /** Begins a change. It is acknowledged once it was spread to every other partition. @returns its number */
  beginChange(nowMs: number): number {
    this.#changeCount += 1;
    this.#append(0, { change: this.#changeCount }, nowMs);
    return this.#changeCount;
  }

  /** Anyone may do this, more than once: the writer of the change may have died. */
  spreadChange(change: number, partition: number, nowMs: number): void {
    this.#append(partition, { change }, nowMs);
  }

  read(partition: number, from: number, countMax: number, nowMs: number): PartitionRead {
    const stream = this.#partition(partition);
    const entries = stream.entries.slice(from, from + countMax);
    const isAtEnd = from + entries.length === stream.entries.length;
    // Redis answers TIME in the same transaction as an empty read.
    const knownMs = isAtEnd ? this.#clock(partition, nowMs) : (entries.at(-1)?.ms ?? 0);
    return { entries, knownMs };
  }

  #append(partition: number, item: PartitionEntry["item"], nowMs: number): void {
    const { entries } = this.#partition(partition);
    entries.push({ ms: this.#clock(partition, nowMs), sequence: entries.length, item });
  }

  #clock(partition: number, nowMs: number): number {
    const stream = this.#partition(partition);
    stream.lastMs = Math.max(stream.lastMs, nowMs + stream.offsetMs);
    return stream.lastMs;
  }

  #partition(index: number) {
    const partition = this.#partitions[index];
    if (partition === undefined) throw new RangeError(`There is no partition ${index}`);
    return partition;
  }
}

/** Merges partitions as far as their order is certain. */
export class PartitionMerger {
  readonly #queues: { readonly entries: PartitionEntry[]; next: number; knownMs: number }[];
  #nextChange: number;
  #watermarkMs: number;

  /** @param start where an earlier reader had committed */
  constructor(partitionCount: number, start: { nextChange: number; watermarkMs: number } = firstStart) {
    this.#queues = Array.from({ length: partitionCount }, () => ({ entries: [], next: 0, knownMs: 0 }));
    this.#nextChange = start.nextChange;
    this.#watermarkMs = start.watermarkMs;
  }

  /** How far the merged order is known: what comes later will not be before this. */
  get watermarkMs(): number {
    return this.#watermarkMs;
  }

  get nextChange(): number {
    return this.#nextChange;
  }

  offer(partition: number, { entries, knownMs }: PartitionRead): void {
    const queue = this.#queues[partition];
    if (queue === undefined) throw new RangeError(`There is no partition ${partition}`);
    queue.entries.push(...entries);
    queue.knownMs = Math.max(queue.knownMs, knownMs);
  }

  /** The next entry whose place is certain, and the partitions that it was in; null if there is none yet. */
  take(): { entry: MergedEntry; partitions: readonly number[] } | null {
    let best: number | null = null;
    let certainMs = Number.POSITIVE_INFINITY;
    let areAllAtChange = true;
    for (const [partition, queue] of this.#queues.entries()) {
      this.#skipOldChanges(partition);
      const head = queue.entries[queue.next];
      // What follows a change that waits for the other partitions is later than the change, and not than they are: so
      // time stands still meanwhile.
      certainMs = Math.min(certainMs, head?.ms ?? queue.knownMs);
      if (head !== undefined && "change" in head.item) continue;
      areAllAtChange = false;
      if (head === undefined) continue;
      const bestMs = best === null ? Number.POSITIVE_INFINITY : (this.#head(best)?.ms ?? 0);
      if (head.ms < bestMs) best = partition; // of equal times, the first partition is first
    }
    if (areAllAtChange) return this.#takeChange();
    const head = best === null ? undefined : this.#head(best);
    if (best === null || head === undefined || !this.#isCertain(best, head.ms)) {
      this.#watermarkMs = Math.max(this.#watermarkMs, certainMs);
      return null;
    }
    this.#advance(best);
    return { entry: this.#merged(head), partitions: [best] };
  }

  /** Whether no partition can bring an entry that belongs before this one. */
  #isCertain(partition: number, ms: number): boolean {
    return this.#queues.every(({ knownMs }, other) => {
      if (other === partition || this.#head(other) !== undefined) return true;
      return knownMs > ms || (knownMs === ms && other > partition);
    });
  }

  #takeChange(): { entry: MergedEntry; partitions: readonly number[] } | null {
    const head = this.#head(0);
    if (head === undefined) return null;
    const partitions = [...this.#queues.keys()];
    this.#nextChange += 1;
    // A partition may be at a later change, if another server spread both; it then stays there.
    for (const partition of partitions) this.#skipOldChanges(partition);
    return { entry: this.#merged(head), partitions };
  }

  /** Repeats of a change, and those that came after a later one, mean nothing. */
  #skipOldChanges(partition: number): void {
    for (;;) {
      const item = this.#head(partition)?.item;
      if (item === undefined || !("change" in item) || item.change >= this.#nextChange) return;
      this.#advance(partition);
    }
  }

  #merged({ ms, item }: PartitionEntry): MergedEntry {
    this.#watermarkMs = Math.max(this.#watermarkMs, ms);
    return { ms: this.#watermarkMs, item };
  }

  #head(partition: number): PartitionEntry | undefined {
    const queue = this.#queues[partition];
    return queue?.entries[queue.next];
  }

  #advance(partition: number): void {
    const queue = this.#queues[partition];
    if (queue === undefined) return;
    queue.next += 1;
    if (queue.next < 10_000) return;
    queue.entries.splice(0, queue.next);
    queue.next = 0;
  }
}

const firstStart = { nextChange: 1, watermarkMs: 0 };

/** FNV-1a over the id. */
function partitionOf(id: string, partitionCount: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1)
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % partitionCount;
}
