/** What is known of the canary of a workspace, by every process: when it was sent, and when it came back. */

import { millisecond } from "../core/model/time.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { type WorkspaceKeys, workspaceKeys } from "./keys.ts";
import { microsOf, type RedisTime } from "./redis-time.ts";
import { transact } from "./transaction.ts";

/** All times are the clock of Redis, in milliseconds since the epoch. */
export interface CanaryStatus {
  readonly now: number;
  /** When the latest one was sent; null if none ever was. */
  readonly sent: number | null;
  /** Since when one has been on its way without any coming back; null if the latest one is back. */
  readonly waitingSince: number | null;
  /** When the latest one to come back did so; null if none ever did. */
  readonly returned: number | null;
  /** How long that one took; null if none ever came back. */
  readonly latencyMs: number | null;
}

export class CanaryStore {
  readonly #redis: RedisConnection;
  readonly #keys: WorkspaceKeys;

  constructor(redis: RedisConnection, workspace: string) {
    this.#redis = redis;
    this.#keys = workspaceKeys(workspace);
  }

  /**
   * Lets one process of all do something, once in a while.
   *
   * @param forMs how long no other one may
   * @throws RedisUnreachable
   */
  async claimTurn(what: "canary" | "heartbeat", forMs: number): Promise<boolean> {
    const key = what === "canary" ? this.#keys.canaryTurn : this.#keys.heartbeatTurn;
    return (await callRedis(() => this.#redis.set(key, "taken", "PX", Math.ceil(forMs), "NX"))) === "OK";
  }

  /** Call this right before a canary is sent. @throws RedisUnreachable */
  async sent(id: string): Promise<void> {
    const { now } = await this.status();
    await transact(this.#redis, (step) =>
      step.hset(this.#keys.canary, { id, sent: now }).hsetnx(this.#keys.canary, "waiting-since", now),
    );
  }

  /** Call this when a canary has come back. @returns false if it is not the latest one @throws RedisUnreachable */
  async returned(id: string): Promise<boolean> {
    const [fields, time] = await this.#read();
    if (fields["id"] !== id || fields["sent"] === undefined) return false;
    const now = microsOf(time) / millisecond;
    const changes = { returned: now, latency: Math.max(0, now - Number(fields["sent"])) };
    await transact(this.#redis, (step) =>
      step.hset(this.#keys.canary, changes).hdel(this.#keys.canary, "waiting-since"),
    );
    return true;
  }

  /** @throws RedisUnreachable */
  async status(): Promise<CanaryStatus> {
    const [fields, time] = await this.#read();
    const number = (name: string) => (fields[name] === undefined ? null : Number(fields[name]));
    return {
      now: microsOf(time) / millisecond,
      sent: number("sent"),
      waitingSince: number("waiting-since"),
      returned: number("returned"),
      latencyMs: number("latency"),
    };
  }

  #read(): Promise<[fields: Record<string, string>, time: RedisTime]> {
    return transact(this.#redis, (step) => step.hgetall(this.#keys.canary).time());
  }
}
