/** API keys in Redis. All workspaces share one hash, because a request may name its key but no workspace. */

import { type ApiKey, ApiKeySchema } from "./api-key.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { apiKeysKey, apiKeyUsesKey } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const createApiKeyScript = new Script(scripts.createApiKey);
const replaceApiKeyScript = new Script(scripts.replaceApiKey);

/** Every method may throw RedisUnreachable. */
export class ApiKeyStore {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Creates or replaces a key. */
  async put(key: ApiKey): Promise<void> {
    await callRedis(() => this.#redis.hset(apiKeysKey, key.id, encodeJson(key)));
  }

  /**
   * Changes a key without losing a change by another process: a key that was revoked in the meantime stays revoked.
   *
   * @param change takes the stored key (null if there is none) and returns its replacement, or null to change nothing.
   *   Called again if the key has changed in the meantime
   * @returns the replacement; null if nothing changed
   */
  async update(id: string, change: (key: ApiKey | null) => ApiKey | null): Promise<ApiKey | null> {
    for (;;) {
      const text = await callRedis(() => this.#redis.hget(apiKeysKey, id));
      const next = change(text === null ? null : read(text));
      if (next === null) return null;
      const parameters = [id, text ?? "", encodeJson(next)];
      const replaced = await callRedis(() => replaceApiKeyScript.run(this.#redis, [apiKeysKey], parameters));
      if (replaced === 1) return next;
    }
  }

  /**
   * Creates a key, unless there are too many.
   *
   * @param countMax how many keys there may be before, including revoked ones; 0: only as the first
   * @returns how many there were before; null if there were more, and then nothing changed
   */
  async create(key: ApiKey, countMax: number): Promise<number | null> {
    const parameters = [key.id, encodeJson(key), String(countMax)];
    const count = await callRedis(() => createApiKeyScript.run(this.#redis, [apiKeysKey], parameters));
    return count === -1 ? null : Number(count);
  }

  /**
   * Changes a key in a way that relies on another key: if that one changes at the same time, `change` is asked again.
   *
   * @param change takes all keys; returns the replacement of one of them and the key that this relies on, or null to
   *   change nothing
   * @returns the replacement; null if nothing changed
   */
  async updateRelyingOnAnother(
    change: (keys: readonly ApiKey[]) => { readonly next: ApiKey; readonly reliesOn: ApiKey | null } | null,
  ): Promise<ApiKey | null> {
    for (;;) {
      const texts = new Map(Object.entries(await callRedis(() => this.#redis.hgetall(apiKeysKey))));
      const changed = change([...texts.values()].map(read));
      if (changed === null) return null;
      const { next, reliesOn } = changed;
      const textOf = ({ id }: ApiKey): string => texts.get(id) ?? "";
      const parameters = [next.id, textOf(next), encodeJson(next)];
      if (reliesOn !== null) parameters.push(reliesOn.id, textOf(reliesOn));
      const replaced = await callRedis(() => replaceApiKeyScript.run(this.#redis, [apiKeysKey], parameters));
      if (replaced === 1) return next;
    }
  }

  async find(id: string): Promise<ApiKey | null> {
    const text = await callRedis(() => this.#redis.hget(apiKeysKey, id));
    return text === null ? null : read(text);
  }

  /** All keys, oldest first, including revoked and expired ones. */
  async all(): Promise<ApiKey[]> {
    const texts = await callRedis(() => this.#redis.hvals(apiKeysKey));
    return texts.map(read).sort((a, b) => (a.created < b.created ? -1 : 1));
  }

  /** Deletes a key. @returns false if it does not exist */
  async remove(id: string): Promise<boolean> {
    await callRedis(() => this.#redis.hdel(apiKeyUsesKey, id));
    return (await callRedis(() => this.#redis.hdel(apiKeysKey, id))) === 1;
  }

  /** Remembers when a key was last used. @param at milliseconds since the epoch */
  async recordUse(id: string, at: number): Promise<void> {
    await callRedis(() => this.#redis.hset(apiKeyUsesKey, id, String(at)));
  }

  /** When each of these keys was last used, in milliseconds since the epoch; null for one that never was. */
  async lastUses(ids: readonly string[]): Promise<(number | null)[]> {
    if (ids.length === 0) return [];
    const texts = await callRedis(() => this.#redis.hmget(apiKeyUsesKey, ...ids));
    return texts.map((text) => (text === null ? null : Number(text)));
  }

  /** Whether there are any keys, including revoked and expired ones. */
  async hasKeys(): Promise<boolean> {
    return (await callRedis(() => this.#redis.hlen(apiKeysKey))) > 0;
  }
}

function read(text: string): ApiKey {
  return ApiKeySchema.parse(JSON.parse(text));
}
