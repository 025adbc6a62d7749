/** A cache with a maximum number of values. When it is full, it drops the oldest one. */
export class BoundedCache<Value> {
  readonly #values = new Map<string, Value>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get size(): number {
    return this.#values.size;
  }

  /** The value for a key. A missing one is made and added. */
  get(key: string, make: (key: string) => Value): Value {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined && this.#values.size >= this.#countMax) this.#values.delete(oldest);
    const made = make(key);
    this.#values.set(key, made);
    return made;
  }
}
