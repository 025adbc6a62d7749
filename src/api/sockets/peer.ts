/**
 * One WebSocket's other end, as the handlers of this API see it.
 *
 * What comes in is handled in order: a ping is answered when everything before it has been handled, and so is the
 * peer's closing. Prefect's client takes a pong as the receipt for the events that it sent before the ping.
 */

import { WebSocket } from "ws";

/** Ends the connection with a code and a reason, from wherever a handler is. */
export class Closing extends Error {
  override readonly name = "Closing";
  readonly code: number;

  /** @param reason cut to what fits into a closing frame */
  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Closing codes. 1000 and 1001 would end a Python client's iteration as if all was said, so the server sends neither. */
export const closeCodes = {
  protocol: 1002,
  unsupported: 1003,
  policy: 1008,
  failed: 1011,
  restarting: 1012,
  tryAgain: 1013,
} as const;

const queuedFramesMax = 2_000;
const queuedLengthMax = 4 * 1024 * 1024;
/** More than this unsent and the next message waits. */
const unsentBytesMax = 1024 * 1024;
const reasonBytesMax = 123;

/** A WebSocket that leaves the answer to a closing frame to its peer's handler, which may have frames left to handle. */
export class DeferringSocket extends WebSocket {
  onClosing: ((code?: number, reason?: string | Buffer) => void) | null = null;

  /** Called by `ws` when the peer closes or breaks the protocol. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.onClosing === null) this.closeNow(code, reason);
    else this.onClosing(code, reason);
  }

  closeNow(code?: number, reason?: string | Buffer): void {
    super.close(code, reason);
  }
}

type Frame = { readonly text: string } | { readonly ping: Buffer };

export class Peer {
  readonly #socket: DeferringSocket;
  readonly #frames: Frame[] = [];
  readonly #gone = new AbortController();
  #queuedLength = 0;
  #wake: () => void = () => {};
  #ended = false;
  #alive = true;
  #stopping: Closing | null = null;
  #closing: readonly [code?: number, reason?: string | Buffer | undefined] = [];

  constructor(socket: DeferringSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) this.#end(closeCodes.unsupported, "Send text frames, one JSON document each");
      else this.#queue({ text: data.toString() });
    });
    socket.on("ping", (ping: Buffer) => this.#queue({ ping: Buffer.from(ping) }));
    socket.on("pong", () => {
      this.#alive = true;
    });
    socket.on("error", () => {}); // the closing that follows says all
    socket.on("close", () => {
      this.#end();
      this.#gone.abort(new Error("The peer is gone"));
    });
    socket.onClosing = (code, reason) => this.#end(code, reason);
  }

  /** Aborted when the connection is gone or is to end. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * The messages that have come, once there is one; at most `countMax`, and none that follows a ping.
   *
   * To call it again says that these are handled.
   *
   * @returns null when the peer closes and no more is to come
   * @throws Closing when the server wants to end
   */
  async take(countMax: number): Promise<string[] | null> {
    for (;;) {
      if (this.#stopping !== null) throw this.#stopping;
      this.#answerPings();
      if (this.#frames.length > 0) break;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const until = this.#frames.findIndex((frame, index) => "ping" in frame || index === countMax);
    const taken = this.#frames.splice(0, until === -1 ? this.#frames.length : until);
    const texts = taken.flatMap((frame) => ("text" in frame ? [frame.text] : []));
    this.#queuedLength -= texts.reduce((sum, { length }) => sum + length, 0);
    this.#alive = true;
    if (this.#socket.isPaused && !this.#isFull()) this.#socket.resume();
    return texts;
  }

  /** The next message, or null when the peer closes before, or when it takes too long. */
  async next(patienceMs: number): Promise<string | null> {
    const impatience = setTimeout(() => this.#end(), patienceMs);
    try {
      return (await this.take(1))?.[0] ?? null;
    } finally {
      clearTimeout(impatience);
    }
  }

  /**
   * Sends a message; waits while the peer is slow to take what was sent before.
   *
   * @throws the signal's reason when the connection is gone or is to end
   */
  async send(message: string): Promise<void> {
    this.#gone.signal.throwIfAborted();
    const flushed = () => {
      this.#alive = true;
    };
    if (this.#socket.bufferedAmount < unsentBytesMax) {
      this.#socket.send(message, flushed);
      return;
    }
    // Also called, with an error, when the connection breaks meanwhile.
    await new Promise<void>((resolve) => {
      this.#socket.send(message, () => {
        flushed();
        resolve();
      });
    });
  }

  /** Ends the connection in order. */
  close({ code, message }: Closing): void {
    this.#socket.onClosing = null;
    this.#socket.closeNow(code, fitting(message));
  }

  /** Answers the peer's own closing, or closes as `ws` saw fit when the peer broke the protocol. */
  answerClosing(): void {
    this.#socket.onClosing = null;
    this.#socket.closeNow(...this.#closing);
  }

  /** Asks the handler to end. */
  stop(closing: Closing): void {
    this.#stopping ??= closing;
    this.#gone.abort(this.#stopping);
    this.#wake();
  }

  /** Cuts a peer off of which nothing was heard, and which took nothing, since the last call. */
  heartbeat(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #queue(frame: Frame): void {
    if (this.#ended) return;
    this.#frames.push(frame);
    if ("text" in frame) this.#queuedLength += frame.text.length;
    this.#alive = true;
    if (this.#isFull()) this.#socket.pause();
    this.#wake();
  }

  #isFull(): boolean {
    return this.#frames.length >= queuedFramesMax || this.#queuedLength >= queuedLengthMax;
  }

  #answerPings(): void {
    for (let frame = this.#frames[0]; frame !== undefined && "ping" in frame; frame = this.#frames[0]) {
      this.#frames.shift();
      // Whoever sends pings and reads no pongs gets no more of them.
      if (this.#socket.bufferedAmount < unsentBytesMax) this.#socket.pong(frame.ping);
    }
  }

  #end(code?: number, reason?: string | Buffer): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closing = code === undefined ? [] : [code, reason];
    this.#wake();
  }
}

/** As much of a text as fits into a closing frame. */
function fitting(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= reasonBytesMax) return reason;
  const shown = bytes.subarray(0, reasonBytesMax - 3).toString();
  return `${shown.replace(/\uFFFD+$/, "")}…`;
}
