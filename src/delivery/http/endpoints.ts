/**
 * The state of each endpoint, so that a slow or dead one does not delay the others. Each endpoint has a limit on
 * concurrent requests, and is paused for a while after several failures in a row (a circuit breaker).
 *
 * Each process has its own state, which it learns from its own requests. What one has learned reaches the others by the
 * deliveries that it wakes up: those are sent although the endpoint rests, one at a time.
 */

import { type Clock, systemClock } from "../../retry/clock.ts";

export interface EndpointLimits {
  /** Concurrent requests to one endpoint, per process. */
  readonly concurrencyMax: number;
  /** Failures in a row after which an endpoint rests. */
  readonly failuresMax: number;
  /** The shortest rest. The longer an endpoint has failed, the longer it rests: a fortieth of that time. */
  readonly restMs: number;
  readonly restMsMax: number;
}

export const endpointLimits: EndpointLimits = {
  concurrencyMax: 10,
  failuresMax: 5,
  restMs: 5_000,
  restMsMax: 60_000,
};

/** The request must wait this long before it asks again. */
export interface Deferral {
  readonly waitMs: number;
  /** Does not change while the cause lasts, so that it need not be stored again for every wait. */
  readonly reason: string;
  /** Whether the end of the wait is this request's own turn. Otherwise others may wait for the same moment. */
  readonly isTurn: boolean;
}

/** The right to send one request. Call either method exactly once. */
export interface EndpointAdmission {
  /**
   * @param alive whether the endpoint responded like a working one; null when the request did not find out
   * @param accepted whether it accepted the request; a working one may refuse everything, as during a deployment
   */
  leave(alive: boolean | null, accepted?: boolean): void;
  /** Gives the right back: nothing was sent. */
  giveBack(): void;
}

interface Endpoint {
  /** When each request in flight started, oldest first. */
  readonly inFlight: Map<symbol, number>;
  /** Requests about to get a slot: each is called with an admission, or with null if it must be deferred after all. */
  readonly waiting: ((admission: EndpointAdmission | null) => void)[];
  /** Failures in a row. */
  failureCount: number;
  /** When the first of them was seen. */
  failsSince: number;
  /** Whether the latest request was accepted. */
  accepts: boolean;
  restsUntil: number;
  /** It asked for a pause, until then. */
  pausesUntil: number;
  /** When the next deferred request may come back. */
  nextSlot: number;
  meanMs: number;
}

/** A request that gets a slot within this time waits here; others are deferred and hold up nothing meanwhile. */
const patienceMs = 200;
/** Idle endpoints are forgotten above this count: URLs may come from templates, so their number has no limit. */
export const endpointCountMax = 10_000;
const deferredMsMin = 50;
const deferredMsMax = 10_000;
/** How many rests a deferred request waits, unless it is woken up. If all came back after each, they would keep the queue busy. */
const restsWaited = 10;
/** An outage of ten minutes is followed by a rest of 15 seconds: what waits is late by no more than that. */
const restShare = 1 / 40;

/** How many of the deliveries that wait for an endpoint to wake up. */
export interface Wakeable {
  /** `probe`: one, to find out whether the endpoint works again. `drain`: the oldest, because it works. */
  readonly mode: "probe" | "drain";
  readonly count: number;
  /** How long no other process should send a probe. */
  readonly probeMs: number;
}

/** Calls `ring` after this time. @returns what stops it. A busy endpoint needs many, and `sleep` costs far more */
type StartTimer = (ms: number, ring: () => void) => () => void;

export class Endpoints {
  readonly #limits: EndpointLimits;
  readonly #now: () => number;
  readonly #startTimer: StartTimer;
  readonly #endpoints = new Map<string, Endpoint>();

  /** @param now milliseconds from an arbitrary start; not the time of day, because that may be set back by hours */
  constructor(
    limits: EndpointLimits = endpointLimits,
    now: Clock["now"] = systemClock.now,
    startTimer: StartTimer = startSystemTimer,
  ) {
    this.#limits = limits;
    this.#now = now;
    this.#startTimer = startTimer;
  }

  /** How many endpoints are remembered. */
  get size(): number {
    return this.#endpoints.size;
  }

  /**
   * Admits a request if there is a slot or will be one soon; otherwise says how long to wait.
   *
   * @param isWoken whether the delivery was woken up because the endpoint may work again. It is admitted during a rest, as
   *   the only request, but not during a pause that the endpoint asked for
   */
  async enter(origin: string, isWoken = false): Promise<EndpointAdmission | Deferral> {
    const endpoint = this.#endpoint(origin);
    const now = this.#now();
    if (endpoint.pausesUntil > now) return this.#defer(origin, endpoint);
    if (endpoint.restsUntil > now && !isWoken) return this.#defer(origin, endpoint);
    const slotCount = this.#slotCount(endpoint);
    if (endpoint.inFlight.size < slotCount) return this.#admit(origin, endpoint);
    const [oldest = now] = endpoint.inFlight.values();
    const requestMs = Math.max(endpoint.meanMs, now - oldest);
    if ((requestMs * (endpoint.waiting.length + 1)) / slotCount > patienceMs) {
      return this.#defer(origin, endpoint);
    }
    return (await this.#waitForSlot(endpoint.waiting)) ?? this.#defer(origin, endpoint);
  }

  /**
   * Sends nothing to an endpoint for a while, because it asked for that. It may have meant a single path or account, so
   * others wait no longer than after failures; who was told waits as long as that.
   */
  rest(origin: string, ms: number): void {
    const endpoint = this.#endpoint(origin);
    const restMs = Math.min(ms, this.#limits.restMsMax);
    endpoint.pausesUntil = Math.max(endpoint.pausesUntil, this.#now() + restMs);
  }

  /** How many of those that wait for an endpoint should come back now; null for none. */
  wakeable(origin: string): Wakeable | null {
    const endpoint = this.#endpoint(origin);
    const now = this.#now();
    if (Math.max(endpoint.pausesUntil, endpoint.restsUntil) > now) return null;
    const busyCount = endpoint.inFlight.size + endpoint.waiting.length;
    const probeMs = this.#restMs(endpoint);
    // One that nobody has asked since the start of this process may be down.
    if (!endpoint.accepts) return busyCount > 0 ? null : { mode: "probe", count: 1, probeMs };
    const count = 2 * this.#limits.concurrencyMax - busyCount;
    return count > 0 ? { mode: "drain", count, probeMs } : null;
  }

  #restMs({ failureCount, failsSince }: Endpoint): number {
    const { restMs, restMsMax } = this.#limits;
    const failedMs = failureCount === 0 ? 0 : this.#now() - failsSince;
    return Math.min(Math.max(restMs, failedMs * restShare), restMsMax);
  }

  #endpoint(origin: string): Endpoint {
    const known = this.#endpoints.get(origin);
    if (known !== undefined) return known;
    if (this.#endpoints.size >= endpointCountMax) this.#forgetIdle();
    const endpoint: Endpoint = {
      inFlight: new Map(),
      waiting: [],
      failureCount: 0,
      failsSince: 0,
      accepts: false,
      restsUntil: 0,
      pausesUntil: 0,
      nextSlot: 0,
      meanMs: 0,
    };
    this.#endpoints.set(origin, endpoint);
    return endpoint;
  }

  #forgetIdle(): void {
    for (const [origin, { inFlight, waiting, restsUntil, pausesUntil }] of this.#endpoints) {
      const isIdle = inFlight.size + waiting.length === 0;
      if (isIdle && Math.max(restsUntil, pausesUntil) <= this.#now()) this.#endpoints.delete(origin);
    }
  }

  /** After a rest, a single request finds out whether the endpoint works again. */
  #slotCount(endpoint: Endpoint): number {
    return endpoint.failureCount >= this.#limits.failuresMax ? 1 : this.#limits.concurrencyMax;
  }

  #defer(origin: string, endpoint: Endpoint): Deferral {
    const now = this.#now();
    const pauseMs = endpoint.pausesUntil - now;
    const restMs = endpoint.restsUntil - now;
    if (Math.max(pauseMs, restMs) > 0) {
      const waitMs = Math.max(pauseMs, restMs > 0 ? restMs + restsWaited * this.#restMs(endpoint) : 0);
      return { waitMs, reason: `${origin} is resting: nothing is sent to it for now`, isTurn: false };
    }
    // Each comes back when a slot should be free for it, rather than all at once.
    const [oldest = now] = endpoint.inFlight.values();
    const requestMs = Math.max(endpoint.meanMs, now - oldest);
    endpoint.nextSlot = Math.max(endpoint.nextSlot, now) + requestMs / this.#slotCount(endpoint);
    const waitMs = Math.min(Math.max(endpoint.nextSlot - now, deferredMsMin), deferredMsMax);
    const reason = `${origin} is busy: it has as many requests in flight as are allowed`;
    return { waitMs, reason, isTurn: false };
  }

  #admit(origin: string, endpoint: Endpoint): EndpointAdmission {
    const request = Symbol(origin);
    endpoint.inFlight.set(request, this.#now());
    return {
      leave: (alive, accepted = alive === true) => {
        const started = endpoint.inFlight.get(request) ?? this.#now();
        endpoint.meanMs += (this.#now() - started - endpoint.meanMs) / 8;
        this.#leave(origin, endpoint, request, alive, accepted);
      },
      giveBack: () => this.#leave(origin, endpoint, request, null, false),
    };
  }

  #leave(
    origin: string,
    endpoint: Endpoint,
    request: symbol,
    alive: boolean | null,
    accepted: boolean,
  ): void {
    const now = this.#now();
    endpoint.inFlight.delete(request);
    if (alive !== null) endpoint.accepts = accepted;
    if (alive === true) {
      endpoint.failureCount = 0;
      endpoint.restsUntil = 0;
    }
    if (alive === false) {
      if (endpoint.failureCount === 0) endpoint.failsSince = now;
      endpoint.failureCount += 1;
      if (endpoint.failureCount >= this.#limits.failuresMax)
        endpoint.restsUntil = Math.max(endpoint.restsUntil, now + this.#restMs(endpoint));
    }
    if (Math.max(endpoint.restsUntil, endpoint.pausesUntil) > now) {
      for (const resume of endpoint.waiting.splice(0)) resume(null);
      return;
    }
    while (endpoint.waiting.length > 0 && endpoint.inFlight.size < this.#slotCount(endpoint)) {
      endpoint.waiting.shift()?.(this.#admit(origin, endpoint));
    }
  }

  /** Waits in line for a slot. @returns null when none came free in time */
  #waitForSlot(waiting: Endpoint["waiting"]): Promise<EndpointAdmission | null> {
    return new Promise((resolve) => {
      const resume = (admission: EndpointAdmission | null) => {
        stopTimer();
        resolve(admission);
      };
      const stopTimer = this.#startTimer(2 * patienceMs, () => {
        waiting.splice(waiting.indexOf(resume), 1);
        resolve(null);
      });
      waiting.push(resume);
    });
  }
}

function startSystemTimer(ms: number, ring: () => void): () => void {
  const timer = setTimeout(ring, ms);
  return () => clearTimeout(timer);
}
