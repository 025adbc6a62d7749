/** A cache with a maximum number of values. When it is full, it drops the oldest one. */
export class BoundedCache<Value> {
  readonly #values = new Map<string, Value>();
  readonly #countMax: number;
  readonly #release: (value: Value) => void;

  /** @param release called with each value that is dropped */
  constructor(countMax: number, release: (value: Value) => void = () => {}) {
    this.#countMax = countMax;
    this.#release = release;
  }

  get size(): number {
    return this.#values.size;
  }

  /** The value for a key. A missing one is made and added. */
  get(key: string, make: (key: string) => Value): Value {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#values;
    if (oldest !== undefined && this.#values.size >= this.#countMax) {
      const [oldestKey, value] = oldest;
      this.#values.delete(oldestKey);
      this.#release(value);
    }
    const made = make(key);
    this.#values.set(key, made);
    return made;
  }
}
