/** Receivers of the simulation: HTTP endpoints that fail in every way, and remember what they have accepted. */

import type { EndpointLimits } from "../../src/delivery/http/endpoints.ts";
import { Endpoints } from "../../src/delivery/http/endpoints.ts";
import type { WebhookRequest, WebhookResponse } from "../../src/delivery/http/webhook-client.ts";
import type { HttpSender } from "../../src/delivery/ports.ts";
import { countFault, type SimulatedProcess, type Stage } from "./process.ts";

/** How a receiver responds to most requests. */
const moods = [
  "works",
  "refuses",
  "is down",
  "is silent",
  "loses answers",
  "asks for a wait",
  "rejects",
] as const;

type Mood = (typeof moods)[number] | "is gone";

export interface ReceivedRequest {
  readonly webhookId: string;
  readonly path: string;
  /** The lane of the delivery at that time: what it is about, and which target; null if its order makes no difference. */
  readonly lane: string | null;
  /** In virtual milliseconds. */
  readonly at: number;
  readonly mood: Mood;
  /** Whether the receiver took it as delivered, even if the sender could not learn of that. */
  readonly isAccepted: boolean;
}

interface Response {
  readonly afterMs: number;
  readonly answer: () => WebhookResponse;
}

export class Receivers {
  /** Everything that arrived, in order, by origin. */
  readonly received = new Map<string, ReceivedRequest[]>();
  readonly #stage: Stage;
  readonly #laneOf: (deliveryId: string) => string | null;
  readonly #moods = new Map<string, { mood: Mood; share: number }>();

  /** @param laneOf says in which lane a delivery is now */
  constructor(stage: Stage, count: number, laneOf: (deliveryId: string) => string | null) {
    this.#stage = stage;
    this.#laneOf = laneOf;
    for (let number = 1; number <= count; number += 1) {
      const origin = `http://receiver-${number}.test`;
      this.received.set(origin, []);
      this.#moods.set(origin, { mood: "works", share: 1 });
    }
  }

  get origins(): readonly string[] {
    return [...this.received.keys()];
  }

  /** One of them changes how it responds. */
  changeMood(): void {
    const { random } = this.#stage;
    const mood = random.chance(0.02) ? "is gone" : random.pick(moods);
    if (mood !== "works") countFault(this.#stage, `receiver ${mood}`);
    this.#moods.set(random.pick(this.origins), { mood, share: random.pick([1, 0.5, 0.1]) });
  }

  /** All of them accept everything from now on. */
  recover(): void {
    for (const origin of this.origins) this.#moods.set(origin, { mood: "works", share: 1 });
  }

  /** The network of one process. */
  seenBy(process: SimulatedProcess, limits: EndpointLimits): HttpSender {
    const { clock } = process;
    return {
      endpoints: new Endpoints(limits, clock.now, (ms, ring) => {
        const stopped = new AbortController();
        void clock.sleep(ms, stopped.signal).then(() => {
          if (!stopped.signal.aborted) ring();
        });
        return () => stopped.abort();
      }),
      checkHost: () => {},
      lookup: () => {},
      send: (request) => process.request(() => this.#receive(request)),
    };
  }

  #receive({ url, headers, timeoutMs }: WebhookRequest): Response {
    const { random, clock } = this.#stage;
    const { mood: usual, share } = this.#moods.get(url.origin)!;
    const mood = random.chance(share) ? usual : "works";
    const isAccepted = mood === "works" || mood === "loses answers";
    const path = url.pathname;
    const webhookId = headers["webhook-id"]!;
    const request = { webhookId, path, lane: this.#laneOf(webhookId), at: clock.now(), mood, isAccepted };
    this.received.get(url.origin)!.push(request);
    const soon = random.chance(0.1)
      ? random.integer(0, Math.min(timeoutMs - 1, 5_000))
      : random.integer(0, 50);
    const respond = (status: number, more: Readonly<Record<string, string>> = {}): Response => ({
      afterMs: soon,
      answer: () => ({ status, headers: more, excerpt: "" }),
    });
    switch (mood) {
      case "works":
        return respond(200);
      case "refuses":
        return respond(503);
      case "asks for a wait":
        return respond(429, { "retry-after": String(random.integer(1, 20)) });
      case "rejects":
        return respond(400);
      case "is gone":
        return respond(410);
      case "is down":
        return { afterMs: soon, answer: () => fail(new Error("connect ECONNREFUSED")) };
      case "is silent":
        return { afterMs: timeoutMs, answer: () => fail(new DOMException("It timed out", "TimeoutError")) };
      case "loses answers":
        return { afterMs: soon, answer: () => fail(new Error("read ECONNRESET")) };
    }
  }
}

function fail(error: Error): never {
  throw error;
}
