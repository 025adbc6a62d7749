/**
 * Rate limits of keys, counted in Redis.
 *
 * A bucket in each process would let through as many times the rate as there are processes, and none at all where they
 * come and go, as Workers do. One more round trip is paid only by keys that have a limit.
 */

import type { Redis } from "ioredis";
import type { ApiKey, Rate } from "./api-key.ts";
import { reaching } from "./connection.ts";
import { rateKey } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

/** How much a key may still do just now; shared by all processes. */
export interface Allowance {
  /**
   * Takes one request.
   *
   * @returns 0, or for how many seconds nothing is left
   */
  admit(): Promise<number>;
  /** Takes `count` more, whether they are left or not: what is missing is owed, and waited for by later requests. */
  charge(count: number): Promise<void>;
}

const takeAllowanceScript = new Script(scripts.takeAllowance);

export class RedisAllowance implements Allowance {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #rate: Rate;

  constructor(redis: Redis, { workspace, id }: Pick<ApiKey, "workspace" | "id">, rate: Rate) {
    this.#redis = redis;
    this.#key = rateKey(workspace, id);
    this.#rate = rate;
  }

  /** @throws RedisUnreachable */
  async admit(): Promise<number> {
    return (await this.#take(1, false)) / 1_000_000;
  }

  /** @throws RedisUnreachable */
  async charge(count: number): Promise<void> {
    await this.#take(count, true);
  }

  async #take(taken: number, owing: boolean): Promise<number> {
    const { count, seconds } = this.#rate;
    const each = (seconds * 1_000_000) / count;
    const parameters = [each, count, taken, owing ? 1 : 0];
    return (await reaching(() => takeAllowanceScript.run(this.#redis, [this.#key], parameters))) as number;
  }
}
