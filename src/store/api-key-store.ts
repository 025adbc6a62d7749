/** API keys in Redis. All workspaces share one hash, because a request may name its key but no workspace. */

import { type ApiKey, ApiKeySchema } from "./api-key.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { apiKeysKey } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

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
    return (await callRedis(() => this.#redis.hdel(apiKeysKey, id))) === 1;
  }

  /** Whether there are any keys, including revoked and expired ones. */
  async hasKeys(): Promise<boolean> {
    return (await callRedis(() => this.#redis.hlen(apiKeysKey))) > 0;
  }
}

function read(text: string): ApiKey {
  return ApiKeySchema.parse(JSON.parse(text));
}
