/**
 * Numbers for keys, from 0: a number of which the key is gone is used again.
 *
 * So what is known about a million keys can stand in lists of numbers, which take a tenth of the space of as many objects.
 */

/** Up to so many keys are in one map. More are divided, because growing a map with a million entries takes too long. */
const wholeMax = 20_000;
const partCount = 256;

export class KeySlots {
  #parts: Map<string, number>[] = [new Map()];
  readonly #keys: (string | null)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#keys.length - this.#free.length;
  }

  /** The number of a key; undefined if it has none. */
  get(key: string): number | undefined {
    return this.#partOf(key).get(key);
  }

  /** The key with a number; null if it is free. */
  keyAt(slot: number): string | null {
    return this.#keys[slot] ?? null;
  }

  /** One above the highest number in use. */
  get end(): number {
    return this.#keys.length;
  }

  add(key: string): number {
    const slot = this.#free.pop() ?? this.#keys.length;
    this.#keys[slot] = key;
    this.#partOf(key).set(key, slot);
    if (this.#parts.length === 1 && this.size > wholeMax) this.#divide();
    return slot;
  }

  remove(slot: number): void {
    const key = this.#keys[slot] ?? null;
    if (key === null) return;
    this.#partOf(key).delete(key);
    this.#keys[slot] = null;
    this.#free.push(slot);
  }

  #partOf(key: string): Map<string, number> {
    const index = this.#parts.length === 1 ? 0 : partIndex(key);
    return this.#parts[index] as Map<string, number>;
  }

  #divide(): void {
    const [whole] = this.#parts;
    this.#parts = Array.from({ length: partCount }, () => new Map<string, number>());
    for (const [key, slot] of whole ?? []) this.#partOf(key).set(key, slot);
  }
}

/** Which part a key belongs to. Only the ends of keys differ as a rule. */
function partIndex(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = Math.max(0, key.length - 32); at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) & (partCount - 1);
}
