/** Sends what was planned when its time comes, and heartbeats until it is stopped. */

import { Random } from "../../test/support/random.ts";
import type { Clients } from "./clients.ts";
import { type HeartbeatPlan, heartbeatEveryMs, type Plan } from "./plans.ts";

const turnMs = 50;

export class Load {
  readonly #plan: Plan;
  readonly #clients: Clients;
  readonly #ids: Random;
  readonly #timer: NodeJS.Timeout;
  readonly #began = Date.now();
  readonly #next = new Map<HeartbeatPlan, number>();
  #sentCount = 0;

  constructor(plan: Plan, clients: Clients, seed: number) {
    this.#plan = plan;
    this.#clients = clients;
    // Other ids in each run: the history and the queue of a run are its own, but logs of several may be compared.
    this.#ids = new Random(seed ^ Date.now());
    for (const heartbeat of plan.heartbeats) this.#next.set(heartbeat, heartbeat.firstMs);
    this.#timer = setInterval(() => this.#turn(), turnMs);
  }

  /** Whether everything but heartbeats was handed to the clients. */
  get isOver(): boolean {
    return this.#sentCount === this.#plan.events.length;
  }

  /** A service whose silence was reported is back, and stays. */
  returned(resource: string): void {
    const heartbeat = this.#plan.heartbeats.find((found) => found.resource === resource && found.returns);
    if (heartbeat !== undefined && !this.#next.has(heartbeat)) {
      this.#next.set(
        { ...heartbeat, lastMs: Number.POSITIVE_INFINITY, returns: false },
        Date.now() - this.#began,
      );
      this.#next.set(heartbeat, Number.POSITIVE_INFINITY); // once
    }
  }

  uuid(): string {
    return this.#ids.uuid();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #turn(): void {
    const nowMs = Date.now() - this.#began;
    for (let planned = this.#plan.events[this.#sentCount]; planned !== undefined && planned.atMs <= nowMs; ) {
      const { event, resource, occurredMs = planned.atMs } = planned;
      this.#clients.post({ id: this.uuid(), event, resource, occurred: this.#began + occurredMs });
      this.#sentCount += 1;
      planned = this.#plan.events[this.#sentCount];
    }
    for (const [heartbeat, dueMs] of this.#next) {
      if (dueMs > nowMs) continue;
      const { resource, lastMs } = heartbeat;
      this.#clients.post({
        id: this.uuid(),
        event: "chaos.heartbeat",
        resource,
        occurred: this.#began + dueMs,
      });
      const next = dueMs + heartbeatEveryMs;
      if (next <= lastMs) this.#next.set(heartbeat, next);
      else this.#next.delete(heartbeat);
    }
  }
}
