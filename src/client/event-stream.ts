/** Streams events over a WebSocket, and reconnects when the connection breaks, without missing or repeating an event. */

import { parseExactJson } from "../core/json/exact-json.ts";
import { NotAllowed, TriplineError, Unreachable } from "./errors.ts";
import { backoffMs, pause } from "./http.ts";
import type { EventFilter, ReceivedEvent } from "./types.ts";

/** The part of a WebSocket that the client uses. Browsers, Node and the package `ws` all have it. */
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
  /** Whether to start with the events of the last 15 minutes. Default true. */
  readonly backfill?: boolean;
  readonly signal?: AbortSignal;
  /** How long to keep trying to connect or reconnect, in milliseconds. Default 5 minutes. */
  readonly patienceMs?: number;
  /** Called whenever the client has subscribed: at the start, and after each reconnection. */
  readonly onSubscribed?: () => void;
}

export interface StreamServer {
  /** The URL of the API. */
  readonly url: string;
  readonly key: string | null;
  readonly WebSocket: WebSocketMaker;
}

const patienceMsDefault = 300_000;

/** If the reader falls this many events behind, the client disconnects and asks for them again later. */
const waitingMax = 10_000;

/** After a break, the client asks for events from this long before it, because some arrive late. */
const overlapMs = 60_000;

const seenMax = 20_000;

/** Without an `until`, the server would use the present. This is long enough for a subscription. */
const untilMs = 10 * 365 * 86_400_000;

/**
 * Yields matching events until the signal is aborted, the reader stops, or the server ends the stream.
 *
 * @throws NotAllowed
 * @throws TriplineError if the server refuses the filter
 * @throws Unreachable
 * @throws the signal's reason
 */
export async function* streamEvents(
  server: StreamServer,
  filter: EventFilter,
  options: StreamOptions,
): AsyncGenerator<ReceivedEvent, void> {
  const { backfill = true, signal, patienceMs = patienceMsDefault } = options;
  const seen = new RecentIds();
  const start = backfill ? timeOf(filter.occurred?.since) : Date.now();
  let since = start;
  let isFirst = true;
  let lost = Date.now();
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const until = filter.occurred?.until ?? new Date(Date.now() + untilMs).toISOString();
    const from = since === null ? {} : { since: new Date(since).toISOString() };
    const requested = { ...filter, occurred: { ...from, until } };
    const request = { filter: requested, backfill: isFirst ? backfill : true };
    const socket = new Subscription(server, request, options);
    try {
      for await (const event of socket.events()) {
        if (seen.add(event.id)) yield event;
        since = Math.max(start ?? 0, Date.parse(event.received) - overlapMs);
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
      throw new Unreachable(
        `${server.url} cannot be reached (the WebSocket closed with code ${code} ${reason})`,
      );
    }
    await pause(waitMs, signal);
  }
}

const closeCodes = { done: 1000, protocol: 1002, policy: 1008 } as const;

/** A message of the server; without a type if it cannot be read, which must not end the program. */
function readMessage(data: unknown): { type?: string; event?: ReceivedEvent } {
  try {
    return (parseExactJson(String(data)) as ReturnType<typeof readMessage> | null) ?? {};
  } catch {
    return {};
  }
}

/** One connection. */
class Subscription {
  closed = { code: 1006, reason: "" };
  /** When the filter was sent; null if it was not. */
  subscribed: number | null = null;
  readonly #socket: WebSocketLike;
  readonly #waiting: ReceivedEvent[] = [];
  #isClosed = false;
  #wake: () => void = () => {};
  readonly #signal: AbortSignal | undefined;
  readonly #stop = (): void => this.close();

  constructor(
    server: StreamServer,
    request: { readonly filter: EventFilter; readonly backfill: boolean },
    { signal, onSubscribed }: StreamOptions,
  ) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#stop, { once: true });
    const socket = new server.WebSocket(`${server.url.replace(/^http/, "ws")}/events/out`, "prefect");
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "auth", token: server.key })));
    socket.addEventListener("message", ({ data }) => {
      const message = readMessage(data);
      if (message.type === "auth_success") {
        this.subscribed = Date.now();
        socket.send(JSON.stringify({ type: "filter", ...request }));
        onSubscribed?.();
      } else if (message.type === "event" && message.event !== undefined && !this.#isClosed) {
        this.#waiting.push(message.event);
        if (this.#waiting.length >= waitingMax) this.#end(1006, "the reader is too slow");
        this.#wake();
      }
    });
    socket.addEventListener("error", () => {}); // a close follows
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
  }

  /** Yields the events that arrive, up to the end of the connection. */
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

/** The ids of the latest events, to recognize those that arrive again after a break. */
class RecentIds {
  readonly #ids = new Set<string>();

  /** @returns false if the id was there already */
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
