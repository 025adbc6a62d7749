/** API keys as Redis holds them, for all workspaces together: a request without a workspace names only its key. */

import type { Redis } from "ioredis";
import { type ApiKey, ApiKeySchema } from "./api-key.ts";
import { reaching } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { apiKeysKey } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const replaceApiKeyScript = new Script(scripts.replaceApiKey);

/** Every method throws RedisUnreachable. */
export class KeyStore {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Creates or replaces a key. */
  async put(key: ApiKey): Promise<void> {
    await reaching(() => this.#redis.hset(apiKeysKey, key.id, encodeJson(key)));
  }

  /**
   * Changes a key in one step, so that no change of another process is lost: a key revoked meanwhile stays revoked.
   *
   * @param change what to store instead, given the stored key (null when there is none); null to leave it
   * @returns what was stored; null when `change` left it
   */
  async update(id: string, change: (key: ApiKey | null) => ApiKey | null): Promise<ApiKey | null> {
    for (;;) {
      const text = await reaching(() => this.#redis.hget(apiKeysKey, id));
      const next = change(text === null ? null : read(text));
      if (next === null) return null;
      const parameters = [id, text ?? "", encodeJson(next)];
      const replaced = await reaching(() => replaceApiKeyScript.run(this.#redis, [apiKeysKey], parameters));
      if (replaced === 1) return next;
    }
  }

  async find(id: string): Promise<ApiKey | null> {
    const text = await reaching(() => this.#redis.hget(apiKeysKey, id));
    return text === null ? null : read(text);
  }

  /** All keys, the oldest first; revoked and expired ones too. */
  async all(): Promise<ApiKey[]> {
    const texts = await reaching(() => this.#redis.hvals(apiKeysKey));
    return texts.map(read).sort((a, b) => (a.created < b.created ? -1 : 1));
  }

  /** Removes every trace of a key. @returns false when there was none */
  async remove(id: string): Promise<boolean> {
    return (await reaching(() => this.#redis.hdel(apiKeysKey, id))) === 1;
  }

  /** True when there is any, be it revoked or expired. */
  async any(): Promise<boolean> {
    return (await reaching(() => this.#redis.hlen(apiKeysKey))) > 0;
  }
}

function read(text: string): ApiKey {
  return ApiKeySchema.parse(JSON.parse(text));
}
