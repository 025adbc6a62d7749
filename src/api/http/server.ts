/** The application behind a port of this machine. */

import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import type { WebSockets } from "../sockets/websockets.ts";

export interface RunningServer {
  /** Where it can be reached, such as `http://127.0.0.1:4200`. */
  readonly url: string;
  readonly port: number;
  /** Takes no more requests, and waits until those under way are answered. */
  stop(): Promise<void>;
}

/** Page tokens carry whole filters, in a URL. */
const headBytesMax = 64 * 1024;

/** Requests under way longer than this when the server stops are cut off. */
const stopPatienceMs = 5_000;

/**
 * Listens, and answers.
 *
 * @param port 0 takes a free one
 * @param webSockets takes the requests for a WebSocket
 * @throws the system's error when it cannot listen there (`EADDRINUSE`, `EACCES`)
 */
export async function startServer(
  app: Pick<Hono, "fetch">,
  host: string,
  port: number,
  webSockets?: WebSockets,
): Promise<RunningServer> {
  const serverOptions = {
    maxHeaderSize: headBytesMax,
    // A client that offers HTTP/2, as some do with every request, is answered in what it speaks now.
    shouldUpgradeCallback: ({ method, headers }: IncomingMessage) =>
      webSockets !== undefined && method === "GET" && headers.upgrade?.toLowerCase() === "websocket",
  };
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions,
  }) as Server;
  if (webSockets !== undefined) server.on("upgrade", webSockets.upgrade);
  const sendHome = sendingHome(server);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
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
      sendHome();
      const cut = setTimeout(() => server.closeAllConnections(), stopPatienceMs);
      await Promise.all([closed, webSockets?.stop()]);
      clearTimeout(cut);
    },
  };
}

/**
 * Ends each connection once what is under way on it is answered: one that is kept for the next request would go on
 * taking requests for as long as its client has some.
 *
 * @returns what begins to do so
 */
function sendingHome(server: Server): () => void {
  let isStopping = false;
  server.prependListener("request", (_request, response) => {
    if (isStopping) response.shouldKeepAlive = false; // and says so, with `Connection: close`
    response.once("close", () => {
      if (isStopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  return () => {
    isStopping = true;
    server.closeIdleConnections();
  };
}
