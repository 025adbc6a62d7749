/**
 * Limits on requests, counted in Redis for all processes of a workspace.
 *
 * A rate is exact: in any period of its length, at most its count of requests is admitted. (An allowance of an API key,
 * which refills while it is used, would let twice as many through in the first period, and a receiver with a limit of
 * its own would refuse them.)
 */

import { parseRate, periodOf } from "../core/model/rate.ts";
import type { RequestLimits } from "../core/model/request-limits.ts";
import { type Micros, millisecond, second } from "../core/model/time.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { limitKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

/** A slot frees itself after this time unless its holder keeps it, so a process that died holds it no longer. */
const slotMsDefault = 30_000;

/** In case nobody wakes it up, a delivery that waits for a slot asks again after as long as it has waited, within bounds. */
const slotWaitMin: Micros = second / 2;
const slotWaitMax: Micros = 30 * second;

/** Who asks for a request to be admitted, and to what. */
export interface LimitedRequest {
  /** The id of what is limited, such as a destination. */
  readonly id: string;
  readonly limits: RequestLimits;
  /** Keeps its place in line under this id. */
  readonly delivery: string;
  /** A new one for each request. */
  readonly holder: string;
}

/** Which limit is reached, and how long to wait. */
export interface LimitReached {
  readonly limit: keyof RequestLimits;
  readonly waitMs: number;
}

const enterLimitScript = new Script(scripts.enterLimit);
const leaveLimitScript = new Script(scripts.leaveLimit);

/** Every method may throw RedisUnreachable. */
export class RequestLimitStore {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  /** How long a slot is held unless it is given back or kept. */
  readonly slotMs: number;

  constructor(redis: RedisConnection, workspace: string, slotMs = slotMsDefault) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.slotMs = slotMs;
  }

  /** Admits a request unless a limit is reached. @returns null if it is admitted; then it has to `leave` */
  async enter({ id, limits, delivery, holder }: LimitedRequest): Promise<LimitReached | null> {
    const { concurrency = "", rate: text } = limits;
    const rate = text === undefined ? null : parseRate(text);
    const [count, period] = rate === null ? ["", ""] : [rate.count, periodOf(rate)];
    const { slots, times, waiting } = limitKeys(this.#workspace, id);
    const parameters = [
      ...[holder, delivery, concurrency, this.slotMs * millisecond],
      ...[count, period, slotWaitMin, slotWaitMax],
    ];
    const [limit, wait] = (await callRedis(() =>
      enterLimitScript.run(this.#redis, [slots, times, waiting], parameters),
    )) as [0 | 1 | 2, Micros];
    if (limit === 0) return null;
    return { limit: limit === 1 ? "concurrency" : "rate", waitMs: Math.ceil(wait / millisecond) };
  }

  /** Keeps the slot of a request in flight. */
  async keep({ limits: { concurrency }, ...request }: LimitedRequest): Promise<void> {
    if (concurrency !== undefined) await this.enter({ ...request, delivery: "", limits: { concurrency } });
  }

  /** Takes a delivery out of both lines, because it will not come back. */
  async withdraw(id: string, delivery: string): Promise<void> {
    const { times, waiting } = limitKeys(this.#workspace, id);
    await callRedis(() =>
      Promise.all([this.#redis.zrem(times, delivery), this.#redis.zrem(waiting, delivery)]),
    );
  }

  /**
   * Gives back the slot of a request that has ended, or was not admitted after all.
   *
   * @returns the delivery to wake up, which has waited longest for a slot; null if none waits
   */
  async leave({ id, limits, holder }: LimitedRequest): Promise<string | null> {
    if (limits.concurrency === undefined) return null;
    const { slots, waiting } = limitKeys(this.#workspace, id);
    return (await callRedis(() => leaveLimitScript.run(this.#redis, [slots, waiting], [holder]))) as
      | string
      | null;
  }
}
