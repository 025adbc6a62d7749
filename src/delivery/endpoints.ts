/**
 * How the endpoints are, so that one that is slow or dead delays no other: each has a limit of requests under way,
 * and is left alone for a while after failing several times in a row (a circuit breaker).
 *
 * Known to one process: another one learns it by itself.
 */

export interface EndpointLimits {
  /** Requests under way to one endpoint, per process. */
  readonly concurrencyMax: number;
  /** Failures in a row after which an endpoint is left alone. */
  readonly failuresMax: number;
  /** How long it is left alone the first time; doubles with each further failure. */
  readonly restMs: number;
  readonly restMsMax: number;
}

export const endpointLimits: EndpointLimits = {
  concurrencyMax: 10,
  failuresMax: 5,
  restMs: 5_000,
  restMsMax: 60_000,
};

/** What must wait, and for how long, before asking again. */
export interface Deferred {
  readonly waitMs: number;
  readonly reason: string;
}

/** The right to send one request; `leave` must be called once. */
export interface Entered {
  /** @param alive whether it answered as an endpoint that works does; null when that was not found out */
  leave(alive: boolean | null): void;
}

interface Endpoint {
  /** When each request under way was begun, oldest first. */
  readonly underway: Map<symbol, number>;
  /** Those that are about to get a place: each is given one, or told that there is none after all. */
  readonly waiting: ((entered: Entered | null) => void)[];
  /** In a row. */
  failureCount: number;
  restsUntil: number;
  /** When the next request that was put off may come back. */
  nextSlot: number;
  meanMs: number;
}

/** What gets a place within this time waits for it here; what does not is put off, and holds up nothing meanwhile. */
const patienceMs = 200;
/** So many are known before idle ones are forgotten: addresses may come from templates. */
const endpointsMax = 10_000;
const deferredMsMin = 50;
const deferredMsMax = 10_000;

export class Endpoints {
  readonly #limits: EndpointLimits;
  readonly #now: () => number;
  readonly #endpoints = new Map<string, Endpoint>();

  /** @param now milliseconds since the epoch */
  constructor(limits: EndpointLimits = endpointLimits, now: () => number = Date.now) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Enters, when there is or will soon be a place. */
  async enter(origin: string): Promise<Entered | Deferred> {
    const endpoint = this.#endpoint(origin);
    const now = this.#now();
    if (endpoint.restsUntil > now) return this.#deferred(origin, endpoint);
    const max = this.#placesOf(endpoint);
    if (endpoint.underway.size < max) return this.#begin(origin, endpoint);
    const [oldest = now] = endpoint.underway.values();
    const requestMs = Math.max(endpoint.meanMs, now - oldest);
    if ((requestMs * (endpoint.waiting.length + 1)) / max > patienceMs)
      return this.#deferred(origin, endpoint);
    return (await place(endpoint.waiting, 2 * patienceMs)) ?? this.#deferred(origin, endpoint);
  }

  /** Leaves an endpoint alone, because it asked for it. */
  rest(origin: string, ms: number): void {
    const endpoint = this.#endpoint(origin);
    endpoint.restsUntil = Math.max(endpoint.restsUntil, this.#now() + ms);
  }

  #endpoint(origin: string): Endpoint {
    const known = this.#endpoints.get(origin);
    if (known !== undefined) return known;
    if (this.#endpoints.size >= endpointsMax) this.#forgetIdle();
    const endpoint: Endpoint = {
      underway: new Map(),
      waiting: [],
      failureCount: 0,
      restsUntil: 0,
      nextSlot: 0,
      meanMs: 0,
    };
    this.#endpoints.set(origin, endpoint);
    return endpoint;
  }

  #forgetIdle(): void {
    for (const [origin, { underway, waiting, restsUntil }] of this.#endpoints) {
      if (underway.size + waiting.length === 0 && restsUntil <= this.#now()) this.#endpoints.delete(origin);
    }
  }

  /** After a rest a single request finds out whether it is over. */
  #placesOf(endpoint: Endpoint): number {
    return endpoint.failureCount >= this.#limits.failuresMax ? 1 : this.#limits.concurrencyMax;
  }

  #deferred(origin: string, endpoint: Endpoint): Deferred {
    const now = this.#now();
    const restMs = endpoint.restsUntil - now;
    if (restMs > 0) return { waitMs: restMs, reason: `${origin} is left alone for ${restMs} ms` };
    // Each comes back when a place should be free for it, rather than all at once.
    const [oldest = now] = endpoint.underway.values();
    const requestMs = Math.max(endpoint.meanMs, now - oldest);
    endpoint.nextSlot = Math.max(endpoint.nextSlot, now) + requestMs / this.#placesOf(endpoint);
    const waitMs = Math.min(Math.max(endpoint.nextSlot - now, deferredMsMin), deferredMsMax);
    return { waitMs, reason: `${origin} has ${endpoint.underway.size} requests under way` };
  }

  #begin(origin: string, endpoint: Endpoint): Entered {
    const request = Symbol(origin);
    endpoint.underway.set(request, this.#now());
    return { leave: (alive) => this.#leave(origin, endpoint, request, alive) };
  }

  #leave(origin: string, endpoint: Endpoint, request: symbol, alive: boolean | null): void {
    const { failuresMax, restMs, restMsMax } = this.#limits;
    const now = this.#now();
    endpoint.meanMs += (now - (endpoint.underway.get(request) ?? now) - endpoint.meanMs) / 8;
    endpoint.underway.delete(request);
    if (alive === true) endpoint.failureCount = 0;
    if (alive === false) {
      endpoint.failureCount += 1;
      const excess = endpoint.failureCount - failuresMax;
      const until = now + Math.min(restMs * 2 ** excess, restMsMax);
      if (excess >= 0) endpoint.restsUntil = Math.max(endpoint.restsUntil, until);
    }
    if (endpoint.restsUntil > now) {
      for (const tell of endpoint.waiting.splice(0)) tell(null);
    } else if (endpoint.underway.size < this.#placesOf(endpoint)) {
      endpoint.waiting.shift()?.(this.#begin(origin, endpoint));
    }
  }
}

/** Waits for a place among the others, for so long. */
function place(waiting: Endpoint["waiting"], ms: number): Promise<Entered | null> {
  return new Promise((resolve) => {
    const tell = (entered: Entered | null) => {
      clearTimeout(timer);
      resolve(entered);
    };
    const timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(tell), 1);
      resolve(null);
    }, ms);
    waiting.push(tell);
  });
}
