/** Kills real processes and checks the promise: no event lost or counted twice, no firing repeated. */

import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type Delivery, logLines, Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
const servers: TestRedis[] = [];

async function durableRedis(): Promise<TestRedis> {
  const redis = await startRedis({ appendOnly: "always" });
  servers.push(redis);
  return redis;
}

afterAll(async () => {
  await sandbox.close();
  for (const redis of servers) await redis.stop();
});

const pumpEvent = (name: string) => ({
  id: randomUUID(),
  occurred: new Date().toISOString(),
  event: name,
  resource: { "prefect.resource.id": "pump.1" },
});

/** Posts as a careful client does: it retries until the events are acknowledged. */
async function post(api: () => string, events: readonly object[]): Promise<void> {
  for (;;) {
    const response = await fetch(`${api()}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(events),
    }).catch(() => null);
    if (response?.status === 204) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent("through failures", () => {
  test("an absence is reported once, after its time and not before, and so is its end", async () => {
    const redis = await durableRedis();
    const { url, until, deliveries } = await sandbox.listen();
    const rules = sandbox.write(
      "absence.yaml",
      `name: pump-silent
trigger: {posture: Proactive, expect: [pump.beat], for_each: [prefect.resource.id], within: 10s, refire: once}
actions: [{type: call-webhook, url: "${url}", payload: {state: silent}}]
actions_on_resolve: [{type: call-webhook, url: "${url}", payload: {state: back}}]
`,
    );
    const server = await sandbox.serve(redis.url, ["--rules", rules]);
    const started = Date.now();
    await post(() => server.api, [pumpEvent("pump.beat")]);
    await pause(500);
    await redis.kill9();
    await until503(server);
    await redis.restart();
    // A heartbeat in time, after the restart: the window counts from it.
    // It may have to be posted several times.
    const lastBeat = pumpEvent("pump.beat");
    await post(() => server.api, [lastBeat]);

    await until(({ length }) => length === 1);
    expect(Date.now() - Date.parse(lastBeat.occurred)).toBeGreaterThanOrEqual(10_000);
    expect(Date.now() - started).toBeLessThan(25_000);
    await post(() => server.api, [pumpEvent("pump.beat")]);
    await until(({ length }) => length === 2);
    await settled(server);
    expect(deliveries().map(({ body }) => body["state"])).toEqual(["silent", "back"]);
    await server.process.end();
  });

  test("each event is counted once and each firing is delivered, whenever the server dies", async () => {
    const redis = await durableRedis();
    const { url, deliveries, until } = await sandbox.listen();
    const hook = (payload: string) => `[{type: call-webhook, url: "${url}", payload: ${payload}}]`;
    const rules = sandbox.write(
      "counts.yaml",
      `automations:
  - {name: each, trigger: {expect: [pump.stopped]}, actions: ${hook('{event: "{{ event.id }}"}')}}
  - {name: tenth, trigger: {expect: [pump.stopped], threshold: 10}, actions: ${hook("{tenth: true}")}}
`,
    );
    const serve = () => sandbox.serve(redis.url, ["--rules", rules, "--retry", "50ms"]);
    let server = await serve();
    const posted: string[] = [];
    const client = async () => {
      for (let count = 0; count < 50; count += 1) {
        const events = [pumpEvent("pump.stopped"), pumpEvent("pump.stopped")];
        await post(() => server.api, events);
        posted.push(...events.map(({ id }) => id));
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    for (const afterDeliveries of [20, 120, 200]) {
      await until(({ length }) => length >= afterDeliveries);
      await server.process.end("SIGKILL");
      server = await serve();
    }
    await clients;

    const idsOf = (found: readonly Delivery[], key: string) =>
      new Set(found.filter(({ body }) => key in body).map((delivery) => delivery.webhook_id));
    await until((found) => idsOf(found, "event").size >= 300 && idsOf(found, "tenth").size >= 30);
    await settled(server);
    // A delivery may be repeated, but it keeps its id.
    expect(idsOf(deliveries(), "event").size).toBe(300);
    expect(idsOf(deliveries(), "tenth").size).toBe(30);
    expect(
      new Set(
        deliveries()
          .map(({ body }) => body["event"])
          .filter(Boolean),
      ),
    ).toEqual(new Set(posted));
    await server.process.end();
  });

  test("a full Redis is reported in a few lines, and work resumes once it has room", async () => {
    const redis = await durableRedis();
    const connection = new Redis(redis.url);
    const { url, until, deliveries } = await sandbox.listen();
    const rules = sandbox.write(
      "full.yaml",
      `name: pump-stopped
trigger: {expect: [pump.stopped]}
actions: [{type: call-webhook, url: "${url}", payload: {stopped: true}}]
`,
    );
    const server = await sandbox.serve(redis.url, ["--rules", rules]);
    await post(() => server.api, [pumpEvent("pump.stopped")]);
    await until(({ length }) => length === 1);
    await settled(server);

    await connection.config("SET", "maxmemory", "1");
    const refused = await fetch(`${server.api}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify([pumpEvent("pump.stopped")]),
    });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    await until503(server);
    const ready = (await (await fetch(`${server.api}/ready`)).json()) as { message: string };
    expect(ready.message).toMatch(/Redis is unavailable: OOM/);
    await pause(3_000);
    const lost = logLines(server.process).filter(({ msg }) => String(msg).startsWith("Redis unavailable"));
    expect(lost.length).toBeLessThan(8);

    await connection.config("SET", "maxmemory", "0");
    await post(() => server.api, [pumpEvent("pump.stopped")]);
    await until(({ length }) => length === 2);
    await settled(server);
    expect(deliveries().length).toBe(2);
    connection.disconnect();
    await server.process.end();
  });

  test("npm start resumes where it was killed, and leaves no Redis behind", async () => {
    const { url, until } = await sandbox.listen();
    const rules = sandbox.write(
      "start.yaml",
      `name: third
trigger: {expect: [pump.stopped], threshold: 3}
actions: [{type: call-webhook, url: "${url}", payload: {events: "third"}}]
`,
    );
    const env = { TRIPLINE_DATA: sandbox.folder, TRIPLINE_LEASE: "500ms", TRIPLINE_LATENESS: "0" };
    const start = async () => {
      const words = ["scripts/start.ts", "--port", "0", "--rules", rules, "--log-format", "json"];
      const process_ = sandbox.run(process.execPath, words, env);
      const line = await process_.until(() =>
        logLines(process_).find(({ msg }) => msg === "Tripline is running"),
      );
      return { process: process_, api: `${line["url"]}/api`, redis: String(line["redis"]) };
    };
    const first = await start();
    await post(() => first.api, [pumpEvent("pump.stopped"), pumpEvent("pump.stopped")]);
    // Two on the same data would corrupt it.
    const twin = sandbox.run(process.execPath, ["scripts/start.ts", "--port", "0"], env);
    expect((await twin.ended).code).toBe(1);
    expect(twin.stderr).toContain(`already running in this folder (process ${first.process.pid})`);
    expect(twin.stderr).not.toContain("    at ");

    await first.process.end("SIGKILL");
    while (await isListening(first.redis)) await pause(20);
    const second = await start();
    await post(() => second.api, [pumpEvent("pump.stopped")]);
    await until(({ length }) => length === 1);
    expect(await second.process.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await isListening(second.redis)).toBe(false);
  });
});

// A supervisor signals only npm, and npm forwards the signal to its child, so the child must not be a shell.
test("npm start stops everything it started when npm is stopped", async () => {
  const words = ["start", "--", "--port", "0", "--log-format", "json"];
  const npm = sandbox.run("npm", words, { TRIPLINE_DATA: `${sandbox.folder}/npm` });
  const line = await npm.until(() => logLines(npm).find(({ msg }) => msg === "Tripline is running"));
  await npm.end("SIGTERM");
  await expect.poll(() => isListening(String(line["redis"])), { timeout: 10_000 }).toBe(false);
  await expect(fetch(`${line["url"]}/api/health`)).rejects.toThrow();
});

async function until503({ api }: Server): Promise<void> {
  while ((await fetch(`${api}/ready`)).status !== 503) await pause(20);
}

/** Waits until every entry of the log is consumed and every action is done: anything that has not fired by now never will. */
async function settled({ url }: { url: string }): Promise<void> {
  for (let quiet = 0; quiet < 3; await pause(100)) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const numbers = [...text.matchAll(/^tripline_(?:log_lag_entries|action_queue)\{[^}]*\} (\d+)$/gm)];
    const busy = numbers.length < 5 || numbers.some(([, count]) => count !== "0");
    quiet = busy ? 0 : quiet + 1;
  }
}

async function isListening(redisUrl: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(redisUrl).port), "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
