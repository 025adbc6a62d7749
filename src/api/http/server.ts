/** Serves the application on a port. */

import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import type { WebSockets } from "../sockets/websockets.ts";

export interface RunningServer {
  /** The URL of the server, such as `http://127.0.0.1:4200`. */
  readonly url: string;
  readonly port: number;
  /** Stops accepting requests, and waits for those under way. */
  stop(): Promise<void>;
}

/** Page tokens are part of URLs and hold whole filters. */
const headBytesMax = 64 * 1024;

/** When the server stops, requests that take longer than this are cut off. */
const stopPatienceMs = 5_000;

/**
 * Starts the server.
 *
 * @param port 0 for any free port
 * @param options.webSockets handles WebSocket handshakes
 * @param options.reusePort whether other threads listen on the same port; the system then divides the connections
 * @throws the system's error if the port cannot be used (`EADDRINUSE`, `EACCES`)
 */
export async function startServer(
  app: Pick<Hono, "fetch">,
  host: string,
  port: number,
  options: { readonly webSockets?: WebSockets | undefined; readonly reusePort?: boolean } = {},
): Promise<RunningServer> {
  const { webSockets, reusePort = false } = options;
  const serverOptions = {
    maxHeaderSize: headBytesMax,
    // Some clients offer HTTP/2 with every request. They are answered in HTTP/1.1.
    shouldUpgradeCallback: ({ method, headers }: IncomingMessage) =>
      webSockets !== undefined && method === "GET" && headers.upgrade?.toLowerCase() === "websocket",
  };
  const server = createAdaptorServer({ fetch: app.fetch, serverOptions }) as Server;
  if (webSockets !== undefined) server.on("upgrade", webSockets.upgrade);
  const endConnections = connectionEnder(server);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, reusePort }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  const shownHost = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return {
    url: `http://${shownHost}:${address.port}`,
    port: address.port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      endConnections();
      const cut = setTimeout(() => server.closeAllConnections(), stopPatienceMs);
      await Promise.all([closed, webSockets?.stop()]);
      clearTimeout(cut);
    },
  };
}

/**
 * Prepares to close each connection as soon as its current request is answered. A connection that stays open would keep
 * accepting requests for as long as its client sends them.
 *
 * @returns a function that starts closing connections
 */
function connectionEnder(server: Server): () => void {
  let isStopping = false;
  server.prependListener("request", (_request, response) => {
    if (isStopping) response.shouldKeepAlive = false; // also sends `Connection: close`
    response.once("close", () => {
      if (isStopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  return () => {
    isStopping = true;
    server.closeIdleConnections();
  };
}
