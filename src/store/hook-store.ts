/**
 * The hooks of a workspace: a hash in Redis, so that every API process and the Worker at the edge can serve them.
 * They are no part of the log, because none can change an outcome: what they make are events.
 */

import type { Redis } from "ioredis";
import { canonicalJson } from "../core/model/automation.ts";
import type { Hook } from "../core/model/hook.ts";
import { reaching } from "./connection.ts";
import { workspaceKeys } from "./keys.ts";
import { Script } from "./script.ts";

// KEYS: hooks. ARGV: a name and a hook by turns; these and no others are there afterwards.
const replaceScript = new Script(`
  redis.call('DEL', KEYS[1])
  for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end`);

/** Every method may throw RedisUnreachable. */
export class HookStore {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, workspace: string) {
    this.#redis = redis;
    this.#key = workspaceKeys(workspace).hooks;
  }

  async get(name: string): Promise<Hook | null> {
    const body = await reaching(() => this.#redis.hget(this.#key, name));
    return body === null ? null : (JSON.parse(body) as Hook);
  }

  /** In order of their names. */
  async list(): Promise<Hook[]> {
    const bodies = await reaching(() => this.#redis.hvals(this.#key));
    const hooks = bodies.map((body) => JSON.parse(body) as Hook);
    return hooks.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Makes these the workspace's hooks, in one step.
   *
   * @returns false when they were so already
   */
  async replaceAll(hooks: readonly Hook[]): Promise<boolean> {
    const stored = new Map((await this.list()).map((hook) => [hook.name, canonicalJson(hook)]));
    const isSame = (hook: Hook) => stored.get(hook.name) === canonicalJson(hook);
    if (stored.size === hooks.length && hooks.every(isSame)) return false;
    const parameters = hooks.flatMap((hook) => [hook.name, JSON.stringify(hook)]);
    await reaching(() => replaceScript.run(this.#redis, [this.#key], parameters));
    return true;
  }
}
