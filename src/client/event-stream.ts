/** Events as they come, over a WebSocket that is opened again when it breaks: nothing is missed, nothing repeated. */

import { NotAllowed, TriplineError, Unreachable } from "./errors.ts";
import { backoffMs, pause } from "./http.ts";
import type { EventFilter, ReceivedEvent } from "./types.ts";

/** What this needs of a WebSocket: that of browsers and Node has it, and that of the package ws. */
export interface WebSocketLike {
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  send(text: string): void;
  close(code?: number): void;
}

export type WebSocketMaker = new (url: string, protocol: string) => WebSocketLike;

export interface StreamOptions {
  /** Begins with the events of the last quarter of an hour; true by default. */
  readonly backfill?: boolean;
  readonly signal?: AbortSignal;
  /** For how long to try to connect (again), in milliseconds; 5 minutes by default. */
  readonly patienceMs?: number;
}

export interface StreamPlace {
  /** The address of the API. */
  readonly url: string;
  readonly key: string | null;
  readonly WebSocket: WebSocketMaker;
}

const patienceMsDefault = 300_000;

/** What a reader that is so far behind has not taken yet is asked for again later. */
const waitingMax = 10_000;

/** After a break, events are asked for that occurred from so long before it: some are on their way for a while. */
const overlapMs = 60_000;

const seenMax = 20_000;

/** An `until` is needed, or the server takes the present; far enough for a subscription. */
const untilMs = 10 * 365 * 86_400_000;

/**
 * Yields the events that match, until the signal is aborted, the reader stops, or the server says it is done.
 *
 * @throws NotAllowed, TriplineError when the filter is refused, Unreachable, and the signal's reason
 */
export async function* streamEvents(
  place: StreamPlace,
  filter: EventFilter,
  options: StreamOptions,
): AsyncGenerator<ReceivedEvent, void> {
  const { backfill = true, signal, patienceMs = patienceMsDefault } = options;
  const seen = new RecentIds();
  const begin = backfill ? timeOf(filter.occurred?.since) : Date.now();
  let since = begin;
  let isFirst = true;
  let lost = Date.now();
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const until = filter.occurred?.until ?? new Date(Date.now() + untilMs).toISOString();
    const from = since === null ? {} : { since: new Date(since).toISOString() };
    const asked = { ...filter, occurred: { ...from, until } };
    const socket = new Subscription(place, asked, isFirst ? backfill : true, signal);
    try {
      for await (const event of socket.events()) {
        if (seen.add(event.id)) yield event;
        since = Math.max(begin ?? 0, Date.parse(event.received) - overlapMs);
      }
    } finally {
      socket.close();
    }
    signal?.throwIfAborted();
    const { code, reason } = socket.closed;
    if (code === closeCodes.done) return;
    if (code === closeCodes.policy) throw new NotAllowed(401, reason || "The server refused the key");
    if (code === closeCodes.protocol)
      throw new TriplineError(reason || "The server refused the subscription");
    if (socket.subscribed !== null) {
      isFirst = false;
      attempt = 1;
      lost = Date.now();
      since ??= socket.subscribed - overlapMs;
    }
    const waitMs = backoffMs(attempt);
    if (Date.now() + waitMs - lost > patienceMs) {
      throw new Unreachable(`${place.url} cannot be reached (the WebSocket closed with ${code} ${reason})`);
    }
    await pause(waitMs, signal);
  }
}

const closeCodes = { done: 1000, protocol: 1002, policy: 1008 } as const;

/** One connection. */
class Subscription {
  closed = { code: 1006, reason: "" };
  /** When the filter was sent; null when it never came to that. */
  subscribed: number | null = null;
  readonly #socket: WebSocketLike;
  readonly #waiting: ReceivedEvent[] = [];
  #isClosed = false;
  #wake: () => void = () => {};
  readonly #signal: AbortSignal | undefined;
  readonly #stop = (): void => this.close();

  constructor(place: StreamPlace, filter: EventFilter, backfill: boolean, signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#stop, { once: true });
    const socket = new place.WebSocket(`${place.url.replace(/^http/, "ws")}/events/out`, "prefect");
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "auth", token: place.key })));
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as { type: string; event?: ReceivedEvent };
      if (message.type === "auth_success") {
        this.subscribed = Date.now();
        socket.send(JSON.stringify({ type: "filter", filter, backfill }));
      } else if (message.type === "event" && message.event !== undefined && !this.#isClosed) {
        this.#waiting.push(message.event);
        if (this.#waiting.length >= waitingMax) this.#end(1006, "the reader is too slow");
        this.#wake();
      }
    });
    socket.addEventListener("error", () => {}); // a close follows
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
  }

  /** What comes, and what came before the end. */
  async *events(): AsyncGenerator<ReceivedEvent, void> {
    for (;;) {
      if (this.#signal?.aborted === true) return;
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#isClosed) return;
      else {
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    }
  }

  close(): void {
    this.#end(1006, "");
  }

  #end(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.closed = { code, reason };
    this.#signal?.removeEventListener("abort", this.#stop);
    this.#socket.close();
    this.#wake();
  }
}

/** The latest ids: an event that comes again after a break is told by them. */
class RecentIds {
  readonly #ids = new Set<string>();

  /** @returns false when it was there before */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > seenMax) {
      const [oldest] = this.#ids;
      if (oldest !== undefined) this.#ids.delete(oldest);
    }
    return true;
  }
}

function timeOf(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Date.parse(text);
}
