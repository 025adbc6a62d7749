/**
 * API keys as a server uses them: read from Redis, and cached for a moment.
 *
 * One second of caching saves Redis a query per request, and a revoked key still stops working almost at once. During
 * a Redis outage a cached key stays valid for a few minutes, so that the history and the metrics can be read when they
 * are needed most. After that, requests are refused until Redis is back.
 */

import { type ApiKey, readToken, unlocks } from "../../store/api-key.ts";
import { ApiKeyStore } from "../../store/api-key-store.ts";
import type { RedisConnection } from "../../store/connection.ts";
import { RedisAllowance } from "../../store/rate-limit.ts";
import { KeyUses } from "./key-uses.ts";
import type { KeyLookup, ValidKey } from "./tenant.ts";

const freshMs = 1_000;
const usableMs = 5 * 60_000;

/** A bound on memory: a client may try ids at random. */
const cachedCountMax = 10_000;

export class KeyRing implements KeyLookup {
  readonly #redis: RedisConnection;
  readonly #store: ApiKeyStore;
  readonly #uses: KeyUses;
  readonly #any: Cached<boolean>;
  readonly #byId = new Map<string, Cached<ApiKey | null>>();

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#store = new ApiKeyStore(redis);
    this.#uses = new KeyUses(this.#store);
    this.#any = new Cached(() => this.#store.hasKeys());
  }

  exist(): Promise<boolean> {
    return this.#any.get();
  }

  async find(token: string): Promise<ValidKey | null> {
    const presented = readToken(token);
    if (presented === null) return null;
    const key = await this.#lookUp(presented.id);
    if (key === null || !unlocks(presented.secret, key, Date.now())) return null;
    const { id, name, workspace, rate } = key;
    this.#uses.note(id);
    const allowance = rate === null ? null : new RedisAllowance(this.#redis, key, rate);
    return { id, name, workspace, scopes: new Set(key.scopes), allowance };
  }

  #lookUp(id: string): Promise<ApiKey | null> {
    let cached = this.#byId.get(id);
    if (cached === undefined) {
      const [oldest] = this.#byId.keys();
      if (oldest !== undefined && this.#byId.size >= cachedCountMax) this.#byId.delete(oldest);
      cached = new Cached(() => this.#store.find(id));
      this.#byId.set(id, cached);
    }
    return cached.get();
  }
}

/** A value that is read again once it is stale. While reading fails, the last value stays usable for some minutes. */
class Cached<T> {
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
      // The time of the request: the answer may lack a change made after it.
      this.#triedAt = now;
    }
    return this.#last.value;
  }
}
