/** What the latency of an alarm cannot fall below: HTTP, XADD, a blocking XREAD, HTTP. `bench/latency.ts` starts it. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { Agent } from "undici";

const [redisUrl = "", receiverUrl = ""] = process.argv.slice(2);
const redis = new Redis(redisUrl);
const reader = new Redis(redisUrl);
const agent = new Agent({ connections: 10 });
const receiver = new URL(receiverUrl);

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request
    .on("data", (chunk: Buffer) => chunks.push(chunk))
    .on("end", async () => {
      await redis.xadd("floor", "*", "body", Buffer.concat(chunks));
      response.writeHead(204).end();
    });
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));

async function call(body: string): Promise<void> {
  const response = await agent.request({
    origin: receiver.origin,
    path: receiver.pathname,
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.body.dump();
}

for (let position = "$"; ; ) {
  const found = await reader.xread("COUNT", 100, "BLOCK", 0, "STREAMS", "floor", position);
  for (const [id, fields] of found?.[0]?.[1] ?? []) {
    position = id;
    const [event] = JSON.parse(fields[1] ?? "") as [{ event: string; payload: object }];
    if (event.event === "latency.fires") void call(JSON.stringify(event.payload));
  }
}
