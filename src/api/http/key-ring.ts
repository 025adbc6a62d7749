/**
 * The keys as a server uses them: looked up in Redis, and remembered for a moment.
 *
 * A second of memory spares Redis a question per request and still lets a revocation take effect almost at once. While
 * Redis is away what was known of a key holds for some minutes, so that the history and the metrics can be read when
 * they are needed most; then requests are refused until it is back.
 */

import type { Redis } from "ioredis";
import { type ApiKey, opens, readToken } from "../../store/api-key.ts";
import { KeyStore } from "../../store/api-key-store.ts";
import { RedisAllowance } from "../../store/rate-limit.ts";
import type { Key, Keys } from "./tenant.ts";

const freshMs = 1_000;
const usableMs = 5 * 60_000;

/** Whoever tries ids at random must not fill our memory. */
const rememberedCountMax = 10_000;

export class KeyRing implements Keys {
  readonly #redis: Redis;
  readonly #store: KeyStore;
  readonly #any: Remembered<boolean>;
  readonly #byId = new Map<string, Remembered<ApiKey | null>>();

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#store = new KeyStore(redis);
    this.#any = new Remembered(() => this.#store.any());
  }

  exist(): Promise<boolean> {
    return this.#any.get();
  }

  async find(token: string): Promise<Key | null> {
    const presented = readToken(token);
    if (presented === null) return null;
    const key = await this.#lookUp(presented.id);
    if (key === null || !opens(presented.secret, key, Date.now())) return null;
    const { id, workspace, rate } = key;
    const allowance = rate === null ? null : new RedisAllowance(this.#redis, key, rate);
    return { id, workspace, scopes: new Set(key.scopes), allowance };
  }

  #lookUp(id: string): Promise<ApiKey | null> {
    let remembered = this.#byId.get(id);
    if (remembered === undefined) {
      const [oldest] = this.#byId.keys();
      if (oldest !== undefined && this.#byId.size >= rememberedCountMax) this.#byId.delete(oldest);
      remembered = new Remembered(() => this.#store.find(id));
      this.#byId.set(id, remembered);
    }
    return remembered.get();
  }
}

/** A value that is read again when it is no longer fresh; while that fails, the last one holds for a time. */
class Remembered<T> {
  readonly #read: () => Promise<T>;
  #last: { readonly value: T; readonly readAt: number } | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<T> | null = null;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  get(): Promise<T> {
    const now = performance.now();
    if (this.#last !== null && now - this.#triedAt < freshMs && now - this.#last.readAt < usableMs) {
      return Promise.resolve(this.#last.value);
    }
    this.#reading ??= this.#readAgain(now).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readAgain(now: number): Promise<T> {
    try {
      this.#last = { value: await this.#read(), readAt: now };
    } catch (error) {
      if (this.#last === null || now - this.#last.readAt >= usableMs) throw error;
    } finally {
      // The time of asking: a change after that may not be in the answer.
      this.#triedAt = now;
    }
    return this.#last.value;
  }
}
