/** A server of several threads behaves as one. */

import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { logLines, Sandbox, type Server } from "../support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const greenhouseEvent = () => ({
  id: randomUUID(),
  occurred: new Date().toISOString(),
  event: "pump.stopped",
  resource: { "prefect.resource.id": "pump.1" },
});

/** Posts an event on a connection of its own, so that any of the threads may get it. */
function post({ api }: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", headers: { "Content-Type": "application/json" } };
    const agent = new Agent({ keepAlive: false });
    const sent = request(`${api}/events`, { ...options, agent }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject).end(JSON.stringify([greenhouseEvent()]));
  });
}

const metricsOf = async ({ url }: Server) => (await fetch(`${url}/metrics`)).text();
const sampleOf = (text: string, series: string) =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length),
  );

test("several threads share the requests, the shards and the work, and count as one", async () => {
  const receiver = await sandbox.listen();
  const rules = sandbox.write(
    "shared.yaml",
    `name: pump-stopped
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions: [{type: call-webhook, url: "${receiver.url}"}]
`,
  );
  const words = ["--api-threads", "3", "--engine-threads", "2", "--shards", "2", "--workspace", "shared"];
  const server = await sandbox.serve(redis.url, [...words, "--rules", rules]);
  const started = logLines(server.process).find(({ msg }) => msg === "Tripline is running");
  const threads = started?.["threads"];
  expect(threads).toEqual(["main", "recorder", "actions", "engine-1", "engine-2", "api-2", "api-3"]);

  const count = 60;
  const answers = await Promise.all(Array.from({ length: count }, () => post(server)));
  expect(new Set(answers)).toEqual(new Set([204]));
  await receiver.until((deliveries) => deliveries.length >= count);
  const text = await metricsOf(server);
  expect(sampleOf(text, "tripline_events_accepted_total")).toBe(count);
  expect(sampleOf(text, 'tripline_firings_total{state="Triggered"}')).toBe(count);
  expect(sampleOf(text, 'tripline_shard_owned{workspace="shared",shard="0"}')).toBe(1);
  expect(sampleOf(text, 'tripline_shard_owned{workspace="shared",shard="1"}')).toBe(1);
  for (const thread of threads as string[]) {
    expect(sampleOf(text, `tripline_thread_busy_seconds_total{thread="${thread}"}`)).toBeGreaterThan(0);
  }
  // The recorder and the API have connections of their own to the history.
  const filter = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
  const page = (await (await fetch(`${server.api}/events/filter`, filter)).json()) as { total: number };
  expect(page.total).toBeGreaterThanOrEqual(count);
  expect((await server.process.end()).code).toBe(0);
  expect(receiver.deliveries()).toHaveLength(count);
}, 60_000);

// The system would give each of them some of the requests, and nobody would see it.
test("a second server cannot share the port of one with several threads", async () => {
  const words = ["--api-threads", "2", "--workspace", "port"];
  const server = await sandbox.serve(redis.url, words);
  const port = new URL(server.url).port;
  const second = await sandbox.output(["serve", "--redis", redis.url, "--port", port, ...words]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("the address is already in use");
  await server.process.end();
}, 60_000);

test("every thread writes the log in the format of the process", async () => {
  const words = ["serve", "--redis", redis.url, "--port", "0", "--log-format", "text", "--workspace", "text"];
  const server = sandbox.tripline(words);
  await server.until(() => server.stdout.includes("Tripline is running"));
  await server.until(() => server.stdout.includes("Took over the shard")); // by the thread of the engine
  await server.end();
  expect(server.stdout).not.toContain('{"level"');
}, 60_000);
