/** Clients that post events and retry until they are acknowledged, as senders should. */

import { setTimeout as pause } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Random } from "../../test/support/random.ts";
import type { Ledger, LoadEvent } from "./ledger.ts";

const clientCount = 12;
const timeoutMs = 4_000;
const batchLengthMax = 20;

export class Clients {
  readonly #apis: readonly string[];
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #agent = new Agent({
    connections: clientCount,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  readonly #waiting: LoadEvent[] = [];
  readonly #onAcknowledged: (event: LoadEvent) => void;
  #activeCount = 0;
  #isStopped = false;

  /** @param apis such as `http://127.0.0.1:4200/api`; each request goes to one of them */
  constructor(
    apis: readonly string[],
    ledger: Ledger,
    random: Random,
    onAcknowledged: (event: LoadEvent) => void,
  ) {
    this.#apis = apis;
    this.#ledger = ledger;
    this.#random = random;
    this.#onAcknowledged = onAcknowledged;
  }

  /** Sends an event as soon as a client is free, alone or with others. */
  post(event: LoadEvent): void {
    this.#ledger.add(event);
    this.#waiting.push(event);
    if (this.#activeCount < clientCount) void this.#work();
  }

  /** Sends an event at once, and until it is acknowledged. */
  async postNow(event: LoadEvent): Promise<void> {
    this.#ledger.add(event);
    await this.#deliver([event], { mayGiveUp: false });
  }

  /** Whether everything was acknowledged, or given up after a lost answer. */
  get isIdle(): boolean {
    return this.#activeCount === 0 && this.#waiting.length === 0;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#agent.destroy();
  }

  async #work(): Promise<void> {
    this.#activeCount += 1;
    await pause(20); // for company
    while (this.#waiting.length > 0 && !this.#isStopped) {
      const batch = this.#waiting.splice(0, this.#random.integer(1, batchLengthMax));
      // Only where a firing depends on one event alone is an answer that never came no trouble for the oracle.
      const mayGiveUp =
        this.#random.chance(0.1) && batch.every(({ event }) => event.startsWith("chaos.presence."));
      await this.#deliver(batch, { mayGiveUp });
    }
    this.#activeCount -= 1;
  }

  async #deliver(batch: readonly LoadEvent[], { mayGiveUp }: { readonly mayGiveUp: boolean }): Promise<void> {
    const body = JSON.stringify(
      batch.map(({ id, event, resource, occurred }) => ({
        id,
        event,
        occurred: new Date(occurred).toISOString(),
        resource: { "prefect.resource.id": resource },
      })),
    );
    // Some senders do not wait for the answer before they send again, to another server.
    if (this.#random.chance(0.05)) {
      this.#ledger.repeatedCount += batch.length;
      void this.#attempt(body);
    }
    while (!this.#isStopped) {
      if (await this.#attempt(body)) {
        for (const event of batch) {
          this.#ledger.acknowledge(event.id);
          this.#onAcknowledged(event);
        }
        if (!this.#random.chance(0.05)) return;
        this.#ledger.repeatedCount += batch.length; // the answer got lost on its way to the sender's memory
        mayGiveUp = true;
        continue;
      }
      this.#ledger.failedCount += 1;
      if (mayGiveUp) return;
      await pause(this.#random.integer(100, 1_000));
    }
  }

  /** @returns whether the server says that it has the events */
  async #attempt(body: string): Promise<boolean> {
    const url = `${this.#random.pick(this.#apis)}/events`;
    try {
      const { statusCode, body: answer } = await request(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        dispatcher: this.#agent,
      });
      const text = await answer.text();
      if (statusCode >= 400 && statusCode < 500) throw new Refused(`${url} answered ${statusCode}: ${text}`);
      return statusCode < 300;
    } catch (error) {
      if (error instanceof Refused) throw error;
      return false;
    }
  }
}

/** A mistake of this program, which no retry mends. */
class Refused extends Error {}
