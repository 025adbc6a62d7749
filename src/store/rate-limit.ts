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

// A full bucket holds `count`, and fills evenly. All there is to know is the instant at which it is full again.
// KEYS: that instant, in µs. ARGV: µs in which one is filled in, how many it holds, how many to take, '1' to take what
// is not there. Returns for how many µs there is nothing to take, or 0 when it was taken.
const takeScript = new Script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local each = tonumber(ARGV[1])
  local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
  local wait = full - now - each * (ARGV[2] - 1)
  if wait > 0 and ARGV[4] ~= '1' then return math.ceil(wait) end
  full = full + each * ARGV[3]
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  return 0`);

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
    return (await reaching(() => takeScript.run(this.#redis, [this.#key], parameters))) as number;
  }
}
