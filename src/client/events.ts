/** Events: emitted, found, counted and followed. */

import { TriplineError } from "./errors.ts";
import { type StreamOptions, streamEvents, type WebSocketMaker } from "./event-stream.ts";
import type { Http } from "./http.ts";
import type { EmittedEvent, EventCount, EventFilter, EventPage, NewEvent, ReceivedEvent } from "./types.ts";
import type { EventCountRequest } from "./wire-types.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface CountOptions extends CallOptions {
  readonly unit?: EventCountRequest["time_unit"];
  /** How many units a bucket lasts. */
  readonly interval?: number;
}

/** The server takes requests up to twice as large. */
const batchBytesMax = 8_000_000;
const batchLengthMax = 1_000;

export class Events {
  readonly #http: Http;
  readonly #webSocket: WebSocketMaker | undefined;

  constructor(http: Http, webSocket: WebSocketMaker | undefined) {
    this.#http = http;
    this.#webSocket = webSocket;
  }

  /**
   * Emits one event, or several. Each gets an id before it is first sent, so that it counts once however often it has
   * to be sent. Up to a thousand events are stored all or none; more are sent as several batches, in order.
   *
   * @returns the events as they were sent
   * @throws Refused, Unreachable: then what was sent may be emitted again, and counts once
   */
  async emit(events: NewEvent | readonly NewEvent[], options: CallOptions = {}): Promise<EmittedEvent[]> {
    const sent = ("event" in events ? [events] : events).map(withIdentity);
    for (const body of batchesOf(sent)) {
      await this.#http.request("POST", "/events", { body, repeatable: true, ...options });
    }
    return sent;
  }

  /** All events that match, read page by page as they are asked for. */
  async *filter(
    filter: EventFilter = {},
    { pageSize = 50, signal }: CallOptions & { readonly pageSize?: number } = {},
  ): AsyncGenerator<ReceivedEvent, void> {
    const options = signal === undefined ? {} : { signal };
    for (
      let page: EventPage | null = await this.page(filter, { limit: pageSize, ...options });
      page !== null;
      page = await this.nextPage(page, options)
    ) {
      yield* page.events;
    }
  }

  /** The first page of the events that match, and how many there are. @param options.limit 0 to 100 */
  page(
    filter: EventFilter = {},
    options: CallOptions & { readonly limit?: number } = {},
  ): Promise<EventPage> {
    const { limit = 50, ...call } = options;
    return this.#http.request("POST", "/events/filter", {
      body: { filter, limit },
      repeatable: true,
      ...call,
    }) as Promise<EventPage>;
  }

  /** The page after this one; null after the last. */
  async nextPage(page: EventPage, options: CallOptions = {}): Promise<EventPage | null> {
    if (page.next_page === null) return null;
    // From where we found the first page: the server may know itself by another name, and the key is for it alone.
    const token = new URL(page.next_page).searchParams.get("page-token") ?? "";
    const query = { "page-token": token };
    return (await this.#http.request("GET", "/events/filter/next", {
      query,
      repeatable: true,
      ...options,
    })) as EventPage;
  }

  /** How many events match, in groups. */
  count(
    by: "day" | "time" | "event" | "resource",
    filter: EventFilter = {},
    options: CountOptions = {},
  ): Promise<EventCount[]> {
    const { unit = "day", interval = 1, ...call } = options;
    return this.#http.request("POST", `/events/count-by/${by}`, {
      body: { filter, time_unit: unit, time_interval: interval },
      repeatable: true,
      ...call,
    }) as Promise<EventCount[]>;
  }

  /**
   * The events that match, as they come; by default after those of the last quarter of an hour. A broken connection is
   * opened again, and what came meanwhile is asked for.
   *
   * @throws NotAllowed, Unreachable, and the signal's reason
   */
  stream(filter: EventFilter = {}, options: StreamOptions = {}): AsyncGenerator<ReceivedEvent, void> {
    const WebSocket = this.#webSocket ?? (globalThis.WebSocket as unknown as WebSocketMaker | undefined);
    if (WebSocket === undefined) {
      throw new TriplineError(
        "This runtime has no WebSocket: use Node 22 or newer, or pass that of the package ws: new Tripline({ WebSocket })",
      );
    }
    return streamEvents({ url: this.#http.url, key: this.#http.key, WebSocket }, filter, options);
  }
}

function withIdentity(event: NewEvent): EmittedEvent {
  const { occurred } = event;
  return {
    ...event,
    id: event.id ?? crypto.randomUUID(),
    occurred: occurred instanceof Date ? occurred.toISOString() : (occurred ?? new Date().toISOString()),
  };
}

/** In order, each small enough for one request. */
export function* batchesOf<T>(events: readonly T[]): Generator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const event of events) {
    const length = JSON.stringify(event).length;
    if (batch.length > 0 && (batch.length === batchLengthMax || bytes + length > batchBytesMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(event);
    bytes += length;
  }
  if (batch.length > 0) yield batch;
}
