/** A Lua script. It is called by its hash, and sent only to a server that does not know it yet. */

import { createHash } from "node:crypto";
import type { RedisConnection } from "./connection.ts";
import { withReplicas } from "./replicas.ts";

export type ScriptArgument = string | number | Buffer;

export class Script {
  readonly #lua: string;
  readonly #hash: string;

  constructor(lua: string) {
    this.#lua = lua;
    this.#hash = createHash("sha1").update(lua).digest("hex");
  }

  /** @param replicaCount how many replicas must have what it wrote; 0 does not wait for any */
  async run(
    redis: RedisConnection,
    keys: readonly string[],
    parameters: readonly ScriptArgument[] = [],
    replicaCount = 0,
  ): Promise<unknown> {
    // Passed as one list, which ioredis flattens, although its types do not say so: a large commit has more parameters
    // than a JavaScript call may have arguments.
    const rest = [...keys, ...parameters] as unknown as string;
    const call = (command: "evalsha" | "eval", script: string) =>
      replicaCount === 0
        ? redis[command](script, keys.length, rest)
        : withReplicas(redis, replicaCount, (commands) => commands[command](script, keys.length, rest));
    try {
      return await call("evalsha", this.#hash);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await call("eval", this.#lua);
    }
  }
}
