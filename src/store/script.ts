/** A Lua script. It is called by its hash, and sent only to a server that does not know it yet. */

import { createHash } from "node:crypto";
import { type ChainableCommander, Command } from "ioredis";
import type { RedisConnection } from "./connection.ts";
import { withReplicas } from "./replicas.ts";

export type ScriptArgument = string | number | Buffer;

/** What ioredis's pipelines have, although their types do not say so. */
interface CommandTaker {
  sendCommand(command: Command): ChainableCommander;
}

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
    const call = async (name: "evalsha" | "eval", script: string) => {
      // A large commit has more arguments than a JavaScript call may have.
      const args = [script, keys.length, ...keys, ...parameters];
      const command = new Command(name, args, { replyEncoding: "utf8" });
      const reply = await (replicaCount === 0
        ? redis.sendCommand(command)
        : withReplicas(redis, replicaCount, (commands) =>
            (commands as unknown as CommandTaker).sendCommand(command),
          ));
      // Commands of ioredis live on until the next full collection of garbage. If they keep the texts of events, a busy
      // server collects several times a second, and stops for ten milliseconds and more. One that failed may be sent again.
      command.args.length = 0;
      return reply;
    };
    try {
      return await call("evalsha", this.#hash);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await call("eval", this.#lua);
    }
  }
}
