/**
 * A webhook receiver in a process of its own, which answers at once. Prints its port, and tells its parent what it has seen.
 *
 * The parent may send `{ failing: boolean }`, so that it answers 503; `{ report: true }`, to be told how many requests it
 * has answered; and `{ times: true }`, to be told when each request arrived that has a number in `x-sent`.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ReceiverOrder } from "./support/receiver.ts";

let failing = false;
let acceptedCount = 0;
let failedCount = 0;
let firstAccepted = 0;
let lastAccepted = 0;
let latencies: [sent: number, ms: number][] = [];
const answerMs = Number(process.argv[2] ?? 0);

const server = createServer((request, response) => {
  const arrived = performance.timeOrigin + performance.now();
  const chunks: Buffer[] = [];
  request
    .on("data", (chunk: Buffer) => chunks.push(chunk))
    .on("end", () => {
      response.statusCode = failing ? 503 : 200;
      if (failing) failedCount += 1;
      else {
        acceptedCount += 1;
        firstAccepted ||= Date.now();
        lastAccepted = Date.now();
        const sent = sentPattern.exec(Buffer.concat(chunks).toString())?.[1];
        if (sent !== undefined) latencies.push([Number(sent), arrived - Number(sent)]);
      }
      if (answerMs === 0 || failing) response.end();
      else setTimeout(() => response.end(), answerMs);
    });
});
const sentPattern = /"sent":\s*"?([\d.]+)/;
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on("message", (order: ReceiverOrder) => {
  if (order.failing !== undefined) failing = order.failing;
  if (order.reset === true) {
    acceptedCount = failedCount = firstAccepted = lastAccepted = 0;
    latencies = [];
  }
  process.send?.({
    acceptedCount,
    failedCount,
    firstAccepted,
    lastAccepted,
    latencies: order.latencies ? latencies : [],
  });
});
process.on("disconnect", () => process.exit());
