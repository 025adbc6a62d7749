/**
 * Rate limits of API keys, counted in Redis.
 *
 * A counter in each process would allow the rate once per process, and would limit nothing where processes come and go,
 * as Workers do. Only keys with a limit pay for the extra round trip.
 */

import type { Rate } from "../core/model/rate.ts";
import type { ApiKey } from "./api-key.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { rateKey } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

/** What a key may still do at the moment, shared by all processes. */
export interface Allowance {
  /**
   * Takes one request from the allowance.
   *
   * @returns 0 if the request is admitted; otherwise how many seconds until there is something left
   */
  admit(): Promise<number>;
  /** Takes `count` units even if fewer are left. Later requests wait until the debt is paid. */
  charge(count: number): Promise<void>;
}

const takeAllowanceScript = new Script(scripts.takeAllowance);

export class RedisAllowance implements Allowance {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #rate: Rate;

  constructor(redis: RedisConnection, { workspace, id }: Pick<ApiKey, "workspace" | "id">, rate: Rate) {
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

  async #take(units: number, mayOwe: boolean): Promise<number> {
    const { count, seconds } = this.#rate;
    const unitMicros = (seconds * 1_000_000) / count;
    const parameters = [unitMicros, count, units, mayOwe ? 1 : 0];
    return (await callRedis(() => takeAllowanceScript.run(this.#redis, [this.#key], parameters))) as number;
  }
}
