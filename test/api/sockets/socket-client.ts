/** A WebSocket client that speaks Prefect's protocol and collects the messages that it receives. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { type ClientOptions, WebSocket } from "ws";

export interface SocketClientOptions extends ClientOptions {
  /** Offered unless it is null. */
  readonly subprotocol?: string | null;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class SocketClient {
  readonly socket: WebSocket;
  readonly messages: Record<string, unknown>[] = [];
  readonly closed: Promise<Closed>;
  readonly #watchers = new Set<() => void>();
  #isClosed = false;

  private constructor(url: string, { subprotocol = "prefect", ...options }: SocketClientOptions) {
    this.socket = new WebSocket(
      url.replace(/^http/, "ws"),
      subprotocol === null ? [] : [subprotocol],
      options,
    );
    this.socket.on("message", (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()));
      for (const watch of this.#watchers) watch();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => {
        this.#isClosed = true;
        for (const watch of this.#watchers) watch();
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** Opens a connection without sending a message. @throws Error with the status if the handshake is refused */
  static async open(url: string, options: SocketClientOptions = {}): Promise<SocketClient> {
    const client = new SocketClient(url, options);
    await once(client.socket, "open");
    client.socket.on("error", () => {});
    return client;
  }

  /** Opens a connection and authenticates. */
  static async prefect(url: string, token: string | null = null): Promise<SocketClient> {
    const client = await SocketClient.open(url);
    client.send({ type: "auth", token });
    await client.until((messages) => messages[0]?.["type"] === "auth_success");
    client.messages.length = 0;
    return client;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Sends bytes that need not be a frame. */
  sendRaw(bytes: readonly number[]): void {
    (this.socket as unknown as { readonly _socket: Socket })._socket.write(Buffer.from(bytes));
  }

  /** Sends a ping and waits for its pong. */
  async ping(data = "ping"): Promise<void> {
    const pong = new Promise<void>((resolve) => {
      const look = (answer: Buffer) => {
        if (answer.toString() !== data) return;
        this.socket.off("pong", look);
        resolve();
      };
      this.socket.on("pong", look);
    });
    this.socket.ping(data);
    await pong;
  }

  /** Waits until `enough` is true of the received messages. @throws Error if the connection ends first */
  until(enough: (messages: readonly Record<string, unknown>[]) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = () => {
        if (enough(this.messages)) resolve();
        else if (this.#isClosed) reject(new Error(`It was closed with ${this.messages.length} messages`));
        else return;
        this.#watchers.delete(watch);
      };
      this.#watchers.add(watch);
      watch();
    });
  }

  /** The ids of the received events, in order. */
  get ids(): string[] {
    return this.messages.map(({ event }) => (event as { id: string }).id);
  }

  async close(): Promise<Closed> {
    this.socket.close(1000);
    return this.closed;
  }
}
