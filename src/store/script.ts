/** A Lua script. It is called by its hash, and sent only to a server that does not know it yet. */

import { createHash } from "node:crypto";
import type { RedisConnection } from "./connection.ts";

export type ScriptArgument = string | number | Buffer;

export class Script {
  readonly #lua: string;
  readonly #hash: string;

  constructor(lua: string) {
    this.#lua = lua;
    this.#hash = createHash("sha1").update(lua).digest("hex");
  }

  async run(
    redis: RedisConnection,
    keys: readonly string[],
    parameters: readonly ScriptArgument[] = [],
  ): Promise<unknown> {
    // Passed as one list, which ioredis flattens, although its types do not say so: a large commit has more parameters
    // than a JavaScript call may have arguments.
    const rest = [...keys, ...parameters] as unknown as string;
    try {
      return await redis.evalsha(this.#hash, keys.length, rest);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await redis.eval(this.#lua, keys.length, rest);
    }
  }
}
