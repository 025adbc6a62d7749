/**
 * A client for Tripline's API.
 *
 * It only needs `fetch` and `WebSocket`, so it runs in Node 20 and newer, and in browsers.
 */

import { Automations, Deliveries, Destinations } from "./automations.ts";
import { DisabledEndpoints } from "./endpoints.ts";
import type { WebSocketMaker } from "./event-stream.ts";
import { type CallOptions, Events } from "./events.ts";
import { Http, type HttpOptions } from "./http.ts";
import { WorkspaceApiKeys } from "./keys.ts";
import { Server } from "./server.ts";
import { Sessions } from "./session.ts";
import { WorkspaceShards } from "./shards.ts";
import type { AutomationMap, Lookup, Overview, Trace } from "./types.ts";

export { ExactNumber } from "../core/json/exact-number.ts";
export { NotAllowed, NotFound, Refused, type RefusedInput, TriplineError, Unreachable } from "./errors.ts";
export type { StreamOptions, WebSocketLike, WebSocketMaker } from "./event-stream.ts";
export { batchesOf, type CallOptions, type CountOptions, type EmitOptions } from "./events.ts";
export type { HttpOptions } from "./http.ts";
export type * from "./types.ts";

export interface TriplineOptions extends HttpOptions {
  /** For Node 20, which has no WebSocket: pass the one of the package `ws`. */
  readonly WebSocket?: WebSocketMaker;
}

/**
 * Tripline's API.
 *
 * Requests are retried while the server is unavailable or busy, unless repeating one could do something twice.
 *
 * @example
 * import { Tripline } from "@triplinehq/tripline/client";
 *
 * const tripline = new Tripline({ url: "http://127.0.0.1:4200/api", key: process.env.TRIPLINE_API_KEY });
 *
 * await tripline.events.emit({ event: "job.failed", resource: { "prefect.resource.id": "job.nightly" } });
 *
 * for await (const event of tripline.events.stream({ event: { prefix: ["job."] } })) {
 *   console.log(event.occurred, event.event);
 * }
 */
export class Tripline {
  readonly events: Events;
  readonly automations: Automations;
  /** The deliveries of actions, and their states. */
  readonly deliveries: Deliveries;
  readonly destinations: Destinations;
  /** Endpoints that responded 410 Gone. */
  readonly endpoints: DisabledEndpoints;
  /** The parts of the automations, and the engines that own them. */
  readonly shards: WorkspaceShards;
  /** Who the requests come from; and signing in, for pages. */
  readonly session: Sessions;
  readonly keys: WorkspaceApiKeys;
  readonly server: Server;
  readonly #http: Http;

  constructor(options: TriplineOptions = {}) {
    const http = new Http(options);
    this.#http = http;
    this.events = new Events(http, options.WebSocket);
    this.automations = new Automations(http);
    this.deliveries = new Deliveries(http);
    this.destinations = new Destinations(http);
    this.endpoints = new DisabledEndpoints(http);
    this.shards = new WorkspaceShards(http);
    this.keys = new WorkspaceApiKeys(http);
    this.server = new Server(http);
    this.session = new Sessions(http);
  }

  /** Reads how the workspace is, at a glance: how much comes in and fires, what is open, and whether anything is behind. */
  overview(options: CallOptions = {}): Promise<Overview> {
    return this.#http.request("GET", "/overview", { repeatable: true, ...options }) as Promise<Overview>;
  }

  /**
   * Finds out what an id belongs to: an automation, an event, a firing or a delivery.
   *
   * @param id a whole id, the first four characters or more of one, or the name of an automation
   * @returns no match if nothing is known about the id
   */
  lookUp(id: string, options: CallOptions = {}): Promise<Lookup> {
    const path = `/lookup?${new URLSearchParams({ id })}`;
    return this.#http.request("GET", path, { repeatable: true, ...options }) as Promise<Lookup>;
  }

  /**
   * Maps which events set off which automations, and those which others.
   *
   * @param options.automation only what is linked with the automation with this id, in at most two steps
   * @throws NotFound if there is no such automation
   */
  map(options: CallOptions & { readonly automation?: string } = {}): Promise<AutomationMap> {
    const { automation, ...call } = options;
    return this.#http.request("GET", "/map", {
      query: { automation },
      repeatable: true,
      ...call,
    }) as Promise<AutomationMap>;
  }

  /**
   * Traces firings: the events that led to each, its window, and every delivery with its attempts.
   *
   * @param id of a firing, of the event about it, of a delivery (its webhook-id), or of an event that caused firings; the
   *   first four characters or more are enough
   * @throws NotFound
   */
  trace(id: string, options: CallOptions = {}): Promise<Trace> {
    const path = `/trace?${new URLSearchParams({ id })}`;
    return this.#http.request("GET", path, { repeatable: true, ...options }) as Promise<Trace>;
  }
}
