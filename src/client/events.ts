/** Emits, finds, counts and streams events. */

import { Refused, type RefusedInput, TriplineError } from "./errors.ts";
import { type StreamOptions, streamEvents, type WebSocketMaker } from "./event-stream.ts";
import type { Http } from "./http.ts";
import type {
  EmittedEvent,
  EventChain,
  EventCount,
  EventFilter,
  EventPage,
  NewEvent,
  ReceivedEvent,
} from "./types.ts";
import type { EventCountRequest } from "./wire-types.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface EmitOptions extends CallOptions {
  /**
   * Called for each event that the server refuses, with its mistakes. The others are stored. Left out, one refused event
   * makes `emit` throw, and nothing of its batch is stored.
   */
  readonly onRefused?: (event: EmittedEvent, mistakes: readonly RefusedInput[]) => void;
}

export interface CountOptions extends CallOptions {
  readonly unit?: EventCountRequest["time_unit"];
  /** The length of a group, in units. */
  readonly interval?: number;
}

/** Half of what the server accepts in one request. */
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
   * Emits one or more events.
   *
   * Each event gets an id before it is first sent, so it counts once even if it has to be sent again. Up to 1,000 events
   * are stored as one batch, all or none. More are sent as several batches, in order.
   *
   * @returns the events as they were sent, without those that were refused. It is safe to emit these again.
   * @throws Refused, Unreachable
   */
  async emit(events: NewEvent | readonly NewEvent[], options: EmitOptions = {}): Promise<EmittedEvent[]> {
    const stored: EmittedEvent[] = [];
    for (const batch of batchesOf(("event" in events ? [events] : events).map(withIdentity))) {
      stored.push(...(await this.#store(batch, options)));
    }
    return stored;
  }

  /** Stores a batch; or, if the caller wants to hear of refused events, all of it but those. */
  async #store(batch: readonly EmittedEvent[], options: EmitOptions): Promise<readonly EmittedEvent[]> {
    const { onRefused, ...call } = options;
    let left = batch;
    while (left.length > 0) {
      try {
        await this.#http.request("POST", "/events", { body: left, repeatable: true, ...call });
        return left;
      } catch (error) {
        if (onRefused === undefined || !(error instanceof Refused) || ![413, 422].includes(error.status))
          throw error;
        const refused = left.length === 1 ? new Map([[0, error.mistakes]]) : mistakesByEvent(error.mistakes);
        // It does not say which: the batch as a whole is too much, for the server or for a proxy before it.
        if (refused.size === 0) return await this.#storeHalves(left, options);
        for (const [index, mistakes] of refused) {
          const event = left[index];
          if (event !== undefined) onRefused(event, mistakes);
        }
        left = left.filter((_, index) => !refused.has(index));
      }
    }
    return left;
  }

  async #storeHalves(batch: readonly EmittedEvent[], options: EmitOptions): Promise<EmittedEvent[]> {
    const half = Math.ceil(batch.length / 2);
    const first = await this.#store(batch.slice(0, half), options);
    return [...first, ...(await this.#store(batch.slice(half), options))];
  }

  /** Yields all matching events. Pages are requested as they are needed. */
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

  /** Reads the first page of matching events, and how many there are in all. @param options.limit 0 to 100 */
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

  /** Reads the page after this one; null after the last. */
  async nextPage(page: EventPage, options: CallOptions = {}): Promise<EventPage | null> {
    if (page.next_page === null) return null;
    // Use our own URL: the server may know itself by another name, and the key must not go anywhere else.
    const token = new URL(page.next_page).searchParams.get("page-token") ?? "";
    const query = { "page-token": token };
    return (await this.#http.request("GET", "/events/filter/next", {
      query,
      repeatable: true,
      ...options,
    })) as EventPage;
  }

  /** Reads an event. @throws NotFound */
  get(id: string, options: CallOptions = {}): Promise<ReceivedEvent> {
    const path = `/events/${encodeURIComponent(id)}`;
    return this.#http.request("GET", path, { repeatable: true, ...options }) as Promise<ReceivedEvent>;
  }

  /**
   * Reads an event with what it follows, and what followed from it: later events, firings, deliveries and what they emitted.
   *
   * @throws NotFound
   */
  chain(id: string, options: CallOptions = {}): Promise<EventChain> {
    const path = `/events/${encodeURIComponent(id)}/chain`;
    return this.#http.request("GET", path, { repeatable: true, ...options }) as Promise<EventChain>;
  }

  /** Counts matching events in groups. */
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
   * Yields matching events as they arrive; by default, those of the last 15 minutes come first. If the connection
   * breaks, the client reconnects and asks for the events that it missed.
   *
   * @throws NotAllowed, Unreachable
   * @throws the signal's reason
   */
  stream(filter: EventFilter = {}, options: StreamOptions = {}): AsyncGenerator<ReceivedEvent, void> {
    const WebSocket = this.#webSocket ?? (globalThis.WebSocket as unknown as WebSocketMaker | undefined);
    if (WebSocket === undefined) {
      throw new TriplineError(
        "This runtime has no WebSocket. Use Node 22 or newer, or pass the one of the package ws: new Tripline({ WebSocket })",
      );
    }
    return streamEvents({ url: this.#http.url, key: this.#http.key, WebSocket }, filter, options);
  }
}

/** The mistakes in the events of a batch, by their index. */
function mistakesByEvent(mistakes: readonly RefusedInput[]): Map<number, RefusedInput[]> {
  const found = new Map<number, RefusedInput[]>();
  for (const mistake of mistakes) {
    const index = mistake.loc[1];
    if (typeof index === "number") found.set(index, [...(found.get(index) ?? []), mistake]);
  }
  return found;
}

function withIdentity(event: NewEvent): EmittedEvent {
  const { occurred } = event;
  return {
    ...event,
    id: event.id ?? crypto.randomUUID(),
    occurred: occurred instanceof Date ? occurred.toISOString() : (occurred ?? new Date().toISOString()),
  };
}

/** Splits events into batches that are small enough for one request, in order. */
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
