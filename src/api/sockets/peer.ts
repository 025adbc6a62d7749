/**
 * The other end of a WebSocket, as the handlers of this API see it.
 *
 * Incoming frames are handled in order. A ping is answered once everything before it has been handled, and so is a
 * close. Prefect's client treats a pong as the receipt for all events that it sent before the ping.
 */

import { WebSocket } from "ws";
import type { MessageCutter } from "./message-cutter.ts";

/** Thrown by a handler to close the connection with a code and a reason. */
export class Closing extends Error {
  override readonly name = "Closing";
  readonly code: number;

  /** @param reason cut to fit into a close frame */
  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Close codes. The server never sends 1000 or 1001: they end a Python client's iteration as if there were no more events. */
export const closeCodes = {
  protocol: 1002,
  policy: 1008,
  tooLarge: 1009,
  failed: 1011,
  restarting: 1012,
  tryAgain: 1013,
} as const;

/** The largest event, if each of its characters were a Chinese one, written as an escape, or twice that for others. */
export const frameBytesMax = 4_500_000;
/** Longer messages are cut to this length, so that one that was cut is seen to be too long. */
export const cutLength = frameBytesMax + 1;

/** What a peer may send before it is admitted: a ping and a key fit many times. */
const openingBytesMax = 64 * 1024;
const queuedFramesMax = 2_000;
const queuedLengthMax = 4 * 1024 * 1024;
/** With more than this unsent, the next message waits. */
const unsentBytesMax = 1024 * 1024;
const reasonBytesMax = 123;

/** A WebSocket whose handler answers the peer's close frame, because it may have frames left to handle first. */
export class DeferringSocket extends WebSocket {
  onClosing: ((code?: number, reason?: string | Buffer) => void) | null = null;

  /** Called by `ws` when the peer closes or violates the protocol. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.onClosing === null) this.closeNow(code, reason);
    else this.onClosing(code, reason);
  }

  closeNow(code?: number, reason?: string | Buffer): void {
    super.close(code, reason);
  }
}

/** A message from the peer, in a text frame or a binary one. */
export interface Frame {
  readonly bytes: Buffer;
  /** The number of bytes that the peer has sent; more than there are if the message was cut. */
  readonly length: number;
}

type Incoming = Frame | { readonly ping: Buffer };

export class Peer {
  readonly #socket: DeferringSocket;
  readonly #frames: Incoming[] = [];
  readonly #gone = new AbortController();
  readonly #cutter: MessageCutter;
  #queuedLength = 0;
  #isAdmitted: boolean;
  #hasOpened = false;
  /** Called once, when the peer is admitted. */
  onAdmitted: () => void = () => {};
  #wake: () => void = () => {};
  #ended = false;
  #alive = true;
  #stopping: Closing | null = null;
  #closing: readonly [code?: number, reason?: string | Buffer | undefined] = [];

  /**
   * @param isAdmitted false if the peer still has to say who it is: until then, only its first message is read
   * @param cutter cuts its messages to `cutLength`
   */
  constructor(socket: DeferringSocket, isAdmitted: boolean, cutter: MessageCutter) {
    this.#socket = socket;
    this.#cutter = cutter;
    this.#isAdmitted = isAdmitted;
    socket.on("message", (bytes: Buffer) => {
      const length = bytes.length < cutLength ? bytes.length : this.#cutter.nextLength();
      this.#queue({ bytes, length });
    });
    socket.on("ping", (ping: Buffer) => this.#queue({ ping: Buffer.from(ping) }));
    socket.on("pong", () => {
      this.#alive = true;
    });
    socket.on("error", () => {}); // a close event follows
    socket.on("close", () => {
      this.#end();
      this.#gone.abort(new Error("The peer is gone"));
    });
    socket.onClosing = (code, reason) => this.#end(code, reason);
  }

  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }

  /** Aborted when the connection is lost or about to close. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Waits for messages, and returns at most `countMax` of them. It stops at a ping.
   *
   * Calling it again confirms that the previous messages have been handled.
   *
   * @returns null if the peer has closed and there are no more messages
   * @throws Closing if the server is closing the connection
   */
  async take(countMax: number): Promise<Frame[] | null> {
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
    const messages = taken.flatMap((frame) => ("bytes" in frame ? [frame] : []));
    this.#queuedLength -= messages.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#alive = true;
    this.#resume();
    return messages;
  }

  /** Call this for everything that arrives: also a part of a long frame on a slow line is a sign of life. */
  hear(): void {
    if (this.#isAdmitted) this.#alive = true;
  }

  /** Call this once it is known who the peer is, and that it may be here. */
  admit(): void {
    if (this.#isAdmitted) return;
    this.#isAdmitted = true;
    this.onAdmitted();
    this.#resume();
  }

  /** Call this for each part of what the peer sends before it is admitted. Too much of it is not an opening message. */
  limitOpening(byteCount: number): void {
    const isWaiting = this.#hasOpened && !this.#ended; // for its admission; nothing more is read until then
    if (this.#isAdmitted || isWaiting || byteCount <= openingBytesMax) return;
    this.close(new Closing(closeCodes.tooLarge, "Authenticate first; the opening message is too large"));
    this.terminate();
  }

  /** The next message; null if the peer closes first or takes too long. */
  async next(timeoutMs: number): Promise<string | null> {
    const timeout = setTimeout(() => this.#end(), timeoutMs);
    try {
      return (await this.take(1))?.[0]?.bytes.toString() ?? null;
    } finally {
      clearTimeout(timeout);
    }
  }

  /**
   * Sends a message. If the peer is slow, waits until it has taken the earlier ones.
   *
   * @throws the signal's reason if the connection is lost or about to close
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
    // If the connection breaks, the callback is called with an error.
    await new Promise<void>((resolve) => {
      this.#socket.send(message, () => {
        flushed();
        resolve();
      });
    });
  }

  /** Closes the connection with a close frame. */
  close({ code, message }: Closing): void {
    this.#socket.onClosing = null;
    this.#socket.closeNow(code, fitting(message));
    this.#end(); // drops what still comes before the answer
    if (this.#socket.isPaused) this.#socket.resume();
  }

  /** Answers the peer's close frame; after a protocol violation, closes with the code that `ws` chose. */
  answerClosing(): void {
    this.#socket.onClosing = null;
    this.#socket.closeNow(...this.#closing);
  }

  /** Makes the handler stop. */
  stop(closing: Closing): void {
    this.#stopping ??= closing;
    this.#gone.abort(this.#stopping);
    this.#wake();
  }

  /** Terminates the connection if the peer has sent and taken nothing since the last call. */
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

  #queue(frame: Incoming): void {
    if (this.#ended) return;
    this.#frames.push(frame);
    if ("bytes" in frame) {
      this.#queuedLength += frame.bytes.length;
      this.#hasOpened = true;
    }
    this.#alive = true;
    if (this.#isFull()) this.#socket.pause();
    this.#wake();
  }

  #resume(): void {
    if (this.#socket.isPaused && !this.#isFull()) this.#socket.resume();
  }

  #isFull(): boolean {
    if (!this.#isAdmitted && this.#hasOpened) return true;
    return this.#frames.length >= queuedFramesMax || this.#queuedLength >= queuedLengthMax;
  }

  #answerPings(): void {
    for (let frame = this.#frames[0]; frame !== undefined && "ping" in frame; frame = this.#frames[0]) {
      this.#frames.shift();
      // A peer that sends pings but does not read the pongs gets no more of them.
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

/** As much of a text as fits into a close frame. */
function fitting(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= reasonBytesMax) return reason;
  const shown = bytes.subarray(0, reasonBytesMax - 3).toString();
  return `${shown.replace(/\uFFFD{1,3}$/, "")}…`;
}
