/**
 * The hooks of a workspace, in a Redis hash, so that every API process and the Worker at the edge can serve them.
 * They are not part of the log, because they do not affect what fires; the events that they make do.
 */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { Hook } from "../core/model/hook.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { workspaceKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import type { WorkspaceBox } from "./workspace-box.ts";

const replaceHooksScript = new Script(scripts.replaceHooks);

/** Every method may throw RedisUnreachable. */
export class HookStore {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #box: WorkspaceBox;

  constructor(redis: RedisConnection, workspace: string, box: WorkspaceBox) {
    this.#redis = redis;
    this.#key = workspaceKeys(workspace).hooks;
    this.#box = box;
  }

  /** @throws SecretUnreadable */
  async get(name: string): Promise<Hook | null> {
    const body = await callRedis(() => this.#redis.hget(this.#key, name));
    return body === null ? null : this.#box.requireHook(parseExactJson(body) as Hook);
  }

  /** Ordered by name. A secret that no key opens is read as it is stored. */
  async list(): Promise<Hook[]> {
    const bodies = await callRedis(() => this.#redis.hvals(this.#key));
    const hooks = bodies.map((body) => this.#box.openHook(parseExactJson(body) as Hook));
    return hooks.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Replaces all hooks of the workspace in one step. */
  async replaceAll(hooks: readonly Hook[]): Promise<void> {
    const parameters = hooks.flatMap((hook) => [hook.name, encodeJson(this.#box.sealHook(hook))]);
    await callRedis(() => replaceHooksScript.run(this.#redis, [this.#key], parameters));
  }
}
