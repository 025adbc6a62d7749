/** A receiver of webhooks, in a process of its own, that fails in the way its parent says and reports every request. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ReceiverMode, ReceiverNews } from "./receivers.ts";

let mode: ReceiverMode = "ok";
const port = { number: 0 };

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("error", () => {}).on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(request, response, Buffer.concat(chunks).toString()));
});
server.keepAliveTimeout = 30_000;

function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
  const accept = () =>
    tell({ kind: "accepted", webhookId: String(request.headers["webhook-id"]), body, at: Date.now() });
  const refuse = (status: number, headers: Record<string, string> = {}) => {
    tell({ kind: "refused", mode });
    response.writeHead(status, headers).end();
  };
  switch (mode) {
    case "503":
      refuse(503);
      return;
    case "500":
      refuse(500);
      return;
    case "429":
      refuse(429, { "Retry-After": "2" });
      return;
    case "hang":
      tell({ kind: "refused", mode }); // and no answer, until the sender gives up
      return;
    case "reset":
      tell({ kind: "refused", mode });
      request.socket.resetAndDestroy();
      return;
    case "lost-answer":
      accept();
      request.socket.resetAndDestroy();
      return;
    case "slow":
      setTimeout(() => {
        accept();
        response.writeHead(200).end();
      }, 2_000);
      return;
    default:
      accept();
      response.writeHead(200).end();
  }
}

function tell(news: ReceiverNews): void {
  process.send?.(news);
}

function listen(): void {
  server.listen(port.number, "127.0.0.1", () => {
    port.number = (server.address() as AddressInfo).port;
    tell({ kind: "listening", port: port.number });
  });
}

process.on("message", (next: ReceiverMode) => {
  const wasDown = mode === "outage";
  mode = next;
  if (next === "outage") {
    server.close();
    server.closeAllConnections();
  } else if (wasDown) listen();
  else if (next === "ok") server.closeAllConnections(); // ends the requests that got no answer
});
process.on("disconnect", () => process.exit());
process.on("SIGINT", () => {}); // the parent ends it
listen();
