/**
 * Tripline's API, from programs: `import { Tripline } from "@triplinehq/tripline/client"`.
 *
 * Needs nothing but `fetch` and `WebSocket`, so it runs in Node 20 and newer and in browsers.
 */

import { Automations, Deliveries, Destinations } from "./automations.ts";
import type { WebSocketMaker } from "./event-stream.ts";
import { Events } from "./events.ts";
import { Http, type HttpOptions } from "./http.ts";

export { type Mistake, NotAllowed, NotFound, Refused, TriplineError, Unreachable } from "./errors.ts";
export type { StreamOptions, WebSocketLike, WebSocketMaker } from "./event-stream.ts";
export { batchesOf, type CallOptions, type CountOptions } from "./events.ts";
export type { HttpOptions } from "./http.ts";
export type * from "./types.ts";

export interface TriplineOptions extends HttpOptions {
  /** Node 20 has none of its own: pass that of the package ws. */
  readonly WebSocket?: WebSocketMaker;
}

export class Tripline {
  readonly events: Events;
  readonly automations: Automations;
  /** Where each action of each firing stands. */
  readonly deliveries: Deliveries;
  readonly destinations: Destinations;

  constructor(options: TriplineOptions = {}) {
    const http = new Http(options);
    this.events = new Events(http, options.WebSocket);
    this.automations = new Automations(http);
    this.deliveries = new Deliveries(http);
    this.destinations = new Destinations(http);
  }
}
