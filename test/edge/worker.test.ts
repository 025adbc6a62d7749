import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventEntry } from "../../src/core/machine/log-entry.ts";
import type { Scope } from "../../src/core/model/scope.ts";
import { makeKey } from "../../src/store/api-key.ts";
import { ApiKeyStore } from "../../src/store/api-key-store.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { type Listener, Sandbox } from "../cli/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type RunningWorker, startWorker } from "./workerd.ts";

const secret = "the greenhouse's secret";
/** Stored secrets are encrypted, and the Worker opens them as the servers do. */
const secretKey = randomBytes(32).toString("base64");
const sandbox = new Sandbox();
let redis: TestRedis;
let connection: RedisConnection;
let log: Log;
let listener: Listener;
let worker: RunningWorker;

const rulesText = (url: string) => `
hooks:
  - name: repository
    signature: { type: github, secret: "\${env.REPOSITORY_SECRET}" }
    template:
      event: repository.{{ headers["x-github-event"] }}
      resource: { prefect.resource.id: "repository.{{ body.repository.name }}" }
  - name: plain
    template: { event: plain.sent, resource: { prefect.resource.id: "plain.{{ body.pump }}" } }
automations:
  - name: pushed
    trigger: { expect: [repository.push] }
    actions:
      - type: call-webhook
        url: ${url}/
        payload: { pushed: '{{ event.resource["prefect.resource.id"] }}' }
`;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
  connection = connect(redis.url);
  log = new Log(connection, "default");
  listener = await sandbox.listen();
  const rules = sandbox.write("rules.yaml", rulesText(listener.url));
  await sandbox.serve(redis.url, ["--rules", rules], {
    REPOSITORY_SECRET: secret,
    TRIPLINE_SECRET_KEY: secretKey,
  });
  worker = await startWorker({ TRIPLINE_REDIS: redis.url, TRIPLINE_SECRET_KEY: secretKey });
});

afterAll(async () => {
  await worker?.stop();
  await sandbox.close();
  connection?.disconnect();
  await redis?.stop();
});

async function keyWith(...scopes: Scope[]): Promise<string> {
  const wanted = { name: "edge", workspace: "default", scopes, expires: null, rate: null };
  const { key, token } = makeKey(wanted, new Date());
  await new ApiKeyStore(connection).put(key);
  return token;
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const sent = { "Content-Type": "application/json", ...headers };
  return fetch(`${worker.url}/api/${path}`, { method: "POST", body: text, headers: sent });
}

function pumpEvent(): { id: string } {
  const fields = { occurred: "2026-03-01T09:30:00Z", event: "pump.stopped" };
  return { id: randomUUID(), ...fields, resource: { "prefect.resource.id": "pump.1" } } as { id: string };
}

async function storedIds(): Promise<Set<string>> {
  const entries = await log.read("0-0", { count: 100_000 });
  return new Set(
    entries.filter((entry): entry is EventEntry => entry.kind === "event").map(({ event }) => event.id),
  );
}

/** The Worker's connections to Redis. */
async function connectionCount(): Promise<number> {
  const clients = String(await connection.client("LIST"));
  return clients.split("\n").filter((line) => line.includes("name=tripline-edge")).length;
}

describe("the Worker", () => {
  test("receives a signed webhook, which makes an automation fire", async () => {
    const body = JSON.stringify({ repository: { name: "pumps" } });
    const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const headers = {
      "X-Hub-Signature-256": signature,
      "X-GitHub-Event": "push",
      "X-GitHub-Delivery": randomUUID(),
    };

    const response = await post("hooks/repository", body, headers);

    expect(response.status).toBe(200);
    const { events } = (await response.json()) as { events: string[] };
    const deliveries = await listener.until((all) => all.length > 0);
    expect(deliveries.map((delivery) => delivery.body)).toEqual([{ pushed: "repository.pumps" }]);
    expect(await storedIds()).toContain(events[0]);
  });

  test("accepts only signed requests and keys that may write events", async () => {
    const writer = { Authorization: `Bearer ${await keyWith("events:write")}` };
    const reader = { Authorization: `Bearer ${await keyWith("events:read")}` };
    const wrong = { Authorization: `Bearer ${(await keyWith("events:write")).slice(0, -4)}AAAA` };
    const before = (await storedIds()).size;
    const forged = { "X-Hub-Signature-256": `sha256=${"0".repeat(64)}`, ...writer };

    expect((await post("events", [pumpEvent()])).status).toBe(401);
    expect((await post("events", [pumpEvent()], wrong)).status).toBe(401);
    expect((await post("events", [pumpEvent()], reader)).status).toBe(403);
    expect((await post("cloudevents", {}, {})).status).toBe(401);
    expect((await post("hooks/plain", { pump: 1 })).status).toBe(401);
    expect((await post("hooks/plain", { pump: 1 }, reader)).status).toBe(403);
    expect((await post("hooks/repository", {}, forged)).status).toBe(401);
    expect((await post("hooks/unknown", {}, writer)).status).toBe(404);
    expect((await storedIds()).size).toBe(before);

    expect((await post("events", [pumpEvent()], writer)).status).toBe(204);
    expect((await post("hooks/plain", { pump: 1 }, writer)).status).toBe(200);
    expect((await storedIds()).size).toBe(before + 2);
  });

  test("accepts every request if it is dangerously open", async () => {
    const open = await startWorker({ TRIPLINE_REDIS: redis.url, TRIPLINE_DANGEROUSLY_OPEN: "true" });
    try {
      const event = pumpEvent();
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify([event]);
      expect((await fetch(`${open.url}/api/events`, { method: "POST", body, headers })).status).toBe(204);
      expect(await storedIds()).toContain(event.id);
    } finally {
      await open.stop();
    }
  });

  test("accepts a CloudEvent", async () => {
    const event = { specversion: "1.0", id: randomUUID(), source: "/pumps", type: "pump.stopped" };
    const headers = {
      Authorization: `Bearer ${await keyWith("events:write")}`,
      "Content-Type": "application/cloudevents+json",
    };
    expect((await post("cloudevents", event, headers)).status).toBe(204);
    expect(await storedIds()).toContain(event.id);
  });

  test("keeps every digit of a number", async () => {
    const headers = { Authorization: `Bearer ${await keyWith("events:write")}` };
    const event = JSON.stringify({ ...pumpEvent(), payload: { order: 1 } }).replace(
      "1}",
      "9400053101578681001}",
    );
    expect((await post("events", `[${event}]`, headers)).status).toBe(204);
    expect((await post("hooks/plain", '{"pump": 9400053101578681002}', headers)).status).toBe(200);
    const entries = JSON.stringify(await connection.xrevrange("tl:{default}:log", "+", "-", "COUNT", 2));
    expect(entries).toContain('\\"payload\\":{\\"order\\":9400053101578681001}');
    expect(entries).toContain("plain.9400053101578681002");
  });

  // A connection that one request opened cannot serve the next: the second request would hang.
  test("gives each request its own connection to Redis, and leaves none open", async () => {
    const headers = { Authorization: `Bearer ${await keyWith("events:write")}` };
    const events = Array.from({ length: 40 }, pumpEvent);
    const [sequential, concurrent] = [events.slice(0, 3), events.slice(3)];
    for (const event of sequential) expect((await post("events", [event], headers)).status).toBe(204);
    const answers = await Promise.all(concurrent.map((event) => post("events", [event], headers)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));

    const stored = await storedIds();
    expect(events.filter(({ id }) => !stored.has(id))).toEqual([]);
    await expect.poll(connectionCount).toBe(0);
  });

  test("reports that Redis is unavailable, and accepts events as soon as it is back", async () => {
    const headers = { Authorization: `Bearer ${await keyWith("events:write")}` };
    const event = pumpEvent();
    await redis.kill9();
    const refused = await post("events", [event], headers);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await fetch(`${worker.url}/api/ready`)).status).toBe(503);
    expect((await fetch(`${worker.url}/api/health`)).status).toBe(200);

    await redis.restart();
    expect((await fetch(`${worker.url}/api/ready`)).status).toBe(200);
    expect((await post("events", [event], headers)).status).toBe(204);
    expect(await storedIds()).toContain(event.id);
  });

  // Its clients would otherwise wait for as long as Redis is silent.
  test("waits five seconds for Redis, and then reports that it is unavailable", async () => {
    const headers = { Authorization: `Bearer ${await keyWith("events:write")}` };
    await connection.client("PAUSE", 30_000, "WRITE");
    const started = performance.now();
    expect((await post("events", [pumpEvent()], headers)).status).toBe(503);
    expect(performance.now() - started).toBeGreaterThan(4_900);
    expect(performance.now() - started).toBeLessThan(20_000);
    await connection.client("UNPAUSE");
  });

  test("says that it lacks the key of a hook's secret, or that its key is not one", async () => {
    const body = JSON.stringify({ repository: { name: "pumps" } });
    const digest = createHmac("sha256", secret).update(body).digest("hex");
    for (const key of ["", "not a key"]) {
      const keyless = await startWorker({ TRIPLINE_REDIS: redis.url, TRIPLINE_SECRET_KEY: key });
      const answer = await fetch(`${keyless.url}/api/hooks/repository`, {
        method: "POST",
        body,
        headers: { "X-Hub-Signature-256": `sha256=${digest}`, "X-GitHub-Event": "push" },
      });
      expect(answer.status).toBe(503);
      expect(await answer.text()).toContain("TRIPLINE_SECRET_KEY");
      await keyless.stop();
    }
  });

  test("says how to set the URL of Redis if it is missing", async () => {
    const unset = await startWorker({});
    try {
      expect((await fetch(`${unset.url}/api/health`)).status).toBe(200);
      const answer = await fetch(`${unset.url}/api/events`, { method: "POST", body: "[]" });
      expect(answer.status).toBe(503);
      expect(await answer.text()).toContain("wrangler secret put TRIPLINE_REDIS");
    } finally {
      await unset.stop();
    }
  });
});
