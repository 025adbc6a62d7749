/** Servers that misbehave, and a way to a good one that can be cut. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";

export interface Misbehaving {
  readonly url: string;
  /** What came, in order. */
  readonly requests: {
    readonly method: string;
    readonly path: string;
    readonly body: string;
    readonly at: number;
  }[];
  stop(): Promise<void>;
}

/** A server that answers each request as told; the last one is for all that follow. */
export async function misbehave(
  ...answers: ((response: ServerResponse, request: IncomingMessage) => void)[]
): Promise<Misbehaving> {
  const requests: Misbehaving["requests"] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push({ method: request.method ?? "", path: request.url ?? "", body, at: performance.now() });
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

/** Drops the connection without a word. */
export const hangUp = (response: ServerResponse): void => {
  response.socket?.destroy();
};

export interface Line {
  readonly url: string;
  /** Breaks every connection there is; later ones are let through again. */
  cut(): void;
  /** Lets nothing through until `open`. */
  block(): void;
  open(): void;
  stop(): Promise<void>;
}

/** A line to the server at `url`, of which the path is kept. */
export async function lineTo(url: string): Promise<Line> {
  const { port, pathname } = new URL(url);
  const sockets = new Set<Socket>();
  let blocked = false;
  const server = createTcpServer((near) => {
    if (blocked) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
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
