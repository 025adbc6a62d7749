/** Servers that misbehave, and a proxy whose connections to a good server can be cut. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";

export interface MisbehavingServer {
  readonly url: string;
  /** The requests received, in order. */
  readonly requests: {
    readonly method: string;
    readonly path: string;
    readonly body: string;
    readonly receivedAt: number; // milliseconds, of a monotonic clock
  }[];
  stop(): Promise<void>;
}

/** Starts a server that gives each request the next of `answers`, and the last one to all requests after that. */
export async function misbehavingServer(
  ...answers: ((response: ServerResponse, request: IncomingMessage) => void)[]
): Promise<MisbehavingServer> {
  const requests: MisbehavingServer["requests"] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push({
        method: request.method ?? "",
        path: request.url ?? "",
        body,
        receivedAt: performance.now(),
      });
      answer?.(response, request);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    requests,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}

export const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(status === 204 ? undefined : JSON.stringify(body));
  };

/** Closes the connection without an answer. */
export const hangUp = (response: ServerResponse): void => {
  response.socket?.destroy();
};

export interface TcpProxy {
  readonly url: string;
  /** Closes every open connection. New ones work again. */
  cut(): void;
  /** Closes every connection, and refuses new ones until `open`. */
  block(): void;
  open(): void;
  stop(): Promise<void>;
}

/** Starts a proxy to the server at `url`. Its own URL has the same path. */
export async function proxyTo(url: string): Promise<TcpProxy> {
  const { port, pathname } = new URL(url);
  const sockets = new Set<Socket>();
  let blocked = false;
  const server = createTcpServer((client) => {
    if (blocked) {
      client.destroy();
      return;
    }
    const upstream = connect(Number(port), "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    cut,
    block: () => {
      blocked = true;
      cut();
    },
    open: () => {
      blocked = false;
    },
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        cut();
      }),
  };
}
