/** The same question to any server that speaks Prefect's API: how fast do events become firings that can be read back? */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Agent, request } from "undici";

export interface EndToEndTarget {
  /** Such as `http://127.0.0.1:4200/api`. */
  readonly api: string;
  /** What the server's events about firings are called. */
  readonly firingName: string;
}

export interface EndToEndResult {
  /** Events per second until all were acknowledged. */
  readonly accepted: number;
  /** Events per second until every firing could be read back from the history. */
  readonly fired: number;
}

const automationCount = 1_000;
/** How many events a batch has. */
export const batchLength = 100;
/** One event in a hundred fires. */
const firingEvery = 100;
const connectionCount = 4;
const pollMs = 50;

/** Creates the automations: each reacts to one failing job. */
export async function createAutomations({ api }: EndToEndTarget): Promise<void> {
  const agent = new Agent({ connections: connectionCount });
  await Promise.all(
    Array.from({ length: connectionCount }, async (_, first) => {
      for (let index = first; index < automationCount; index += connectionCount) {
        const body = JSON.stringify({
          name: `rule ${index}`,
          trigger: {
            type: "event",
            posture: "Reactive",
            expect: ["job.failed"],
            match: { "prefect.resource.id": `job.${index}` },
            threshold: 1,
            within: 0,
          },
          actions: [{ type: "do-nothing" }],
        });
        await call(agent, `${api}/automations/`, body);
      }
    }),
  );
  await agent.close();
}

/** The bodies of requests, made before the measurement. */
export function batchesOf(eventCount: number): { bodies: string[]; firingCount: number } {
  let firingCount = 0;
  const occurred = new Date().toISOString();
  const bodies = Array.from({ length: eventCount / batchLength }, (_, batch) =>
    JSON.stringify(
      Array.from({ length: batchLength }, (_event, offset) => {
        const index = batch * batchLength + offset;
        const fires = index % firingEvery === 0;
        if (fires) firingCount += 1;
        const job = fires ? firingCount % automationCount : index % 10_000;
        return {
          occurred,
          event: fires ? "job.failed" : `job.${["started", "ended", "retried"][index % 3]}`,
          resource: {
            "prefect.resource.id": `job.${job}`,
            "prefect.resource.name": `nightly job ${job}`,
            team: `team ${job % 20}`,
            zone: "north",
          },
          related: [{ "prefect.resource.id": `flow.${job % 100}`, "prefect.resource.role": "flow" }],
          payload: { attempt: index % 5, message: "the quick brown fox jumps over the lazy dog ".repeat(4) },
          id: randomUUID(),
        };
      }),
    ),
  );
  return { bodies, firingCount };
}

/** Posts all events, and waits until every firing can be read. */
export async function measureEndToEnd(target: EndToEndTarget, eventCount: number): Promise<EndToEndResult> {
  const { api } = target;
  const agent = new Agent({ connections: connectionCount });
  const { bodies, firingCount } = batchesOf(eventCount);
  const before = await firingsIn(agent, target);
  const began = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: connectionCount }, async () => {
      for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
        await call(agent, `${api}/events`, body);
      }
    }),
  );
  const accepted = performance.now() - began;
  while ((await firingsIn(agent, target)) - before < firingCount) await pause(pollMs);
  const fired = performance.now() - began;
  await agent.close();
  return { accepted: (eventCount / accepted) * 1_000, fired: (eventCount / fired) * 1_000 };
}

async function firingsIn(agent: Agent, { api, firingName }: EndToEndTarget): Promise<number> {
  const filter = { filter: { event: { name: [firingName] } }, limit: 1 };
  const { total } = JSON.parse(await call(agent, `${api}/events/filter`, JSON.stringify(filter))) as {
    total: number;
  };
  return total;
}

async function call(dispatcher: Agent, url: string, body: string): Promise<string> {
  for (;;) {
    const { statusCode, body: answer } = await request(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      dispatcher,
    });
    const text = await answer.text();
    if (statusCode < 300) return text;
    if (statusCode !== 503) throw new Error(`${url} answered ${statusCode}: ${text.slice(0, 300)}`);
    await pause(pollMs);
  }
}
