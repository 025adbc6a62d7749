/** Posts single events to a server on a fixed schedule, whatever the answers: `bench/latency.ts` starts it. */

import { randomUUID } from "node:crypto";
import { Agent } from "undici";

const [url = "", rate = 0, seconds = 0, percent = 0] = process.argv
  .slice(2)
  .map((text, index) => (index === 0 ? text : Number(text))) as [string, number, number, number];
const agent = new Agent({ connections: 50, pipelining: 1 });
const count = rate * seconds;
const began = performance.timeOrigin + performance.now() + 200;
const answers: Promise<void>[] = [];
let sentCount = 0;

async function post(index: number, sent: number): Promise<void> {
  const fires = Math.floor(((index + 1) * percent) / 100) > Math.floor((index * percent) / 100);
  const event = {
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: fires ? "latency.fires" : "latency.idle",
    resource: { "prefect.resource.id": `job.${index}` },
    payload: { sent },
  };
  const response = await agent.request({
    origin: url,
    path: "/api/events",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([event]),
  });
  await response.body.dump();
  if (response.statusCode !== 204) console.error(`an event was answered ${response.statusCode}`);
}

while (sentCount < count) {
  const now = performance.timeOrigin + performance.now();
  for (; sentCount < count; sentCount++) {
    const due = began + (sentCount * 1_000) / rate;
    if (due > now) break;
    answers.push(post(sentCount, due));
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
await Promise.all(answers);
process.exit();
