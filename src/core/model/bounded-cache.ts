/** What a value costs beyond the length of its key. */
const lengthPerValue = 100;

/**
 * A cache of values that take memory in proportion to the text they are made from: statements, patterns. It holds as many
 * as have a limited length together, and drops the oldest when it is full.
 */
export class BoundedCache<Value> {
  readonly #values = new Map<string, Value>();
  readonly #lengthMax: number;
  readonly #release: (value: Value) => void;
  #length = 0;

  /**
   * @param lengthMax of all texts together, in characters. Only the latest text may exceed it, alone
   * @param release called with each value that is dropped
   */
  constructor(lengthMax: number, release: (value: Value) => void = () => {}) {
    this.#lengthMax = lengthMax;
    this.#release = release;
  }

  get size(): number {
    return this.#values.size;
  }

  /** The value for a text if there is one. */
  find(text: string): Value | undefined {
    return this.#values.get(text);
  }

  /** The value for a text. A missing one is made and added. */
  get(text: string, make: (text: string) => Value): Value {
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    const made = make(text);
    this.#length += text.length + lengthPerValue;
    for (const [oldest, value] of this.#values) {
      if (this.#length <= this.#lengthMax) break;
      this.#values.delete(oldest);
      this.#length -= oldest.length + lengthPerValue;
      this.#release(value);
    }
    this.#values.set(text, made);
    return made;
  }
}
