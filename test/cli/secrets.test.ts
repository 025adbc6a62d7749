import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type Listener, logLines, Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let connection: Redis;
let listener: Listener;
/** Everything that was sent to Redis. */
const commands: string[] = [];

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
  connection = new Redis(redis.url);
  (await connection.monitor()).on("monitor", (_: string, words: string[]) => commands.push(words.join(" ")));
  listener = await sandbox.listen();
});

afterAll(async () => {
  await sandbox.close();
  connection.disconnect();
  await redis.stop();
});

const secrets = {
  TOKEN: "token-of-the-greenhouse",
  SIGNING: "signing-secret-of-the-greenhouse",
  HEADER: "header-of-the-destination",
  HOOK: "secret-of-the-hook",
};
const overApi = "signing-secret-sent-over-the-api";

const rulesText = (url: string) => `
destinations:
  - name: chat
    type: webhook
    url: ${url}/path-of-the-destination
    headers: { x-token: "\${env.HEADER}" }
    secret: "\${env.SIGNING}"
hooks:
  - name: repository
    signature: { type: github, secret: "\${env.HOOK}" }
    template: { event: repository.push, resource: { prefect.resource.id: repository.1 } }
automations:
  - name: direct
    trigger: { expect: [pump.stopped] }
    actions:
      - { type: call-webhook, url: ${url}/direct, secret: "\${env.SIGNING}", payload: { by: direct, token: "\${env.TOKEN}" } }
  - name: named
    trigger: { expect: [pump.stopped, repository.push] }
    actions:
      - { type: call-webhook, destination: chat, payload: { by: named } }
  - name: waits
    trigger: { expect: [pump.stopped] }
    actions:
      - { type: call-webhook, url: "http://127.0.0.1:1/", payload: { token: "\${env.TOKEN}" } }
  - name: dies
    trigger: { expect: [pump.stopped] }
    actions:
      - { type: call-webhook, url: "http://127.0.0.1:1/", payload: { token: "\${env.TOKEN}" }, retry: { attempts: 1 } }
`;
const hidden = [...Object.values(secrets), overApi, "path-of-the-destination"];

async function post(server: Server, path: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return fetch(`${server.api}/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: text,
  });
}

async function stopPump(server: Server): Promise<void> {
  const event = {
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: "pump.stopped",
    resource: { "prefect.resource.id": "pump.1" },
  };
  expect((await post(server, "events", [event])).status).toBe(204);
}

async function deliveries(server: Server, state: string): Promise<{ id: string; reason: string | null }[]> {
  const answer = await fetch(`${server.api}/deliveries?state=${state}`);
  return ((await answer.json()) as { deliveries: { id: string; reason: string | null }[] }).deliveries;
}

const payloadsBy = (name: string) => listener.deliveries().filter(({ body }) => body["by"] === name);

/** The content of every key. */
async function everything(): Promise<string> {
  const parts: unknown[] = [];
  for (const key of await connection.keys("*")) {
    const read: Record<string, () => Promise<unknown>> = {
      string: () => connection.get(key),
      hash: () => connection.hgetall(key),
      stream: () => connection.xrange(key, "-", "+"),
      zset: () => connection.zrange(key, "0", "-1"),
      list: () => connection.lrange(key, 0, -1),
      set: () => connection.smembers(key),
    };
    parts.push(key, await read[await connection.type(key)]?.());
  }
  return JSON.stringify(parts);
}

const quickRetries = ["--retry", "200ms", "--retry-max", "400ms"];
const serve = (key: string, words: readonly string[] = []) =>
  sandbox.serve(redis.url, [...quickRetries, ...words], {
    ...secrets,
    ...(key === "" ? {} : { TRIPLINE_SECRET_KEY_FILE: sandbox.write(`key-${randomUUID()}`, `${key}\n`) }),
  });
const sealing = (key: string) => ({ TRIPLINE_SECRET_KEY: key });
const messages = ({ process }: Server) => logLines(process).map(({ msg }) => msg);
const countsOf = (stdout: string) =>
  Object.fromEntries(
    (JSON.parse(stdout) as { owner: string }[]).map(({ owner, ...counts }) => [owner, counts]),
  ) as Record<string, Record<string, number>>;

test("a key that is not one stops the start, and says how to make one", async () => {
  const words = ["serve", "--redis", redis.url, "--port", "0"];
  const { code, stderr } = await sandbox.output(words, sealing("hunter2"));
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      "TRIPLINE_SECRET_KEY should be 32 bytes in base64, or 64 hexadecimal digits; make one with: openssl rand -base64 32.\n",
  });
});

test("nothing secret reaches Redis, and keys can be rotated, missed and put back", async () => {
  const rules = sandbox.write("rules.yaml", rulesText(listener.url));
  const [first, second] = [randomBytes(32).toString("base64"), randomBytes(32).toString("hex")];
  let server = await serve(first, ["--rules", rules]);
  const ofApi = {
    name: "over the API",
    trigger: { type: "event", posture: "Reactive", expect: ["pump.stopped"], threshold: 1, within: 0 },
    actions: [{ type: "call-webhook", url: `${listener.url}/api`, secret: overApi, payload: { by: "api" } }],
  };
  expect((await post(server, "automations", ofApi)).status).toBe(201);
  await stopPump(server);
  const push = JSON.stringify({ repository: { name: "pumps" } });
  const digest = createHmac("sha256", secrets.HOOK).update(push).digest("hex");
  const signed = { "X-Hub-Signature-256": `sha256=${digest}`, "X-GitHub-Event": "push" };
  expect((await post(server, "hooks/repository", push, signed)).ok).toBe(true);
  await listener.until(() => payloadsBy("direct").length === 1 && payloadsBy("named").length === 2);
  await listener.until(() => payloadsBy("api").length === 1);
  expect(payloadsBy("direct")[0]?.body["token"]).toBe(secrets.TOKEN);
  await expect.poll(async () => (await deliveries(server, "dead")).length).toBe(1);
  await expect.poll(async () => (await deliveries(server, "retrying")).length).toBeGreaterThan(0);
  await post(server, "events/filter", { limit: 1 }); // its page token needs a secret of the workspace
  // The job of what was delivered has no secrets any more; they come from the automation, still sealed.
  const [delivered] = await deliveries(server, "delivered&automation=direct");
  expect((await post(server, `deliveries/${delivered?.id}/redeliver?as_sent=true`, "")).status).toBe(202);
  await listener.until(() => payloadsBy("direct").length === 2);
  const [dead] = await deliveries(server, "dead");
  expect((await post(server, `deliveries/${dead?.id}/redeliver`, "")).status).toBe(202);
  await expect.poll(async () => (await deliveries(server, "dead")).length).toBe(1);

  // The same rules again change nothing, although each sealing differs.
  await server.process.end();
  server = await serve(first, ["--rules", rules]);
  for (const applied of ["Rules applied", "Destinations applied", "Hooks applied"]) {
    expect(messages(server)).not.toContain(applied);
  }
  const stored = await everything();
  for (const text of hidden) {
    expect(stored).not.toContain(text);
    expect(commands.filter((command) => command.includes(text))).toEqual([]);
  }
  expect(stored).toContain("enc:1:");

  // Without the key, or with another, the server runs on and says what is missing.
  for (const key of ["", second]) {
    await server.process.end();
    server = await serve(key);
    const missing = "Stored secrets cannot be read; deliveries that need them are retried";
    expect(messages(server)).toContain(missing);
    await stopPump(server);
    const reason = /encrypted with the key [0-9a-f]{8}, but TRIPLINE_SECRET_KEY (is not set|has only)/;
    await expect
      .poll(async () => (await deliveries(server, "retrying")).filter((one) => reason.test(one.reason ?? "")))
      .not.toHaveLength(0);
    expect((await post(server, "hooks/repository", push, signed)).status).toBe(503);
    expect((await fetch(`${server.api}/destinations`)).status).toBe(200);
  }
  expect(payloadsBy("direct")).toHaveLength(2);

  // With it again, what waited is delivered. The new key is in front.
  await server.process.end();
  server = await serve(`${second}, ${first}`);
  await listener.until(() => payloadsBy("direct").length === 4 && payloadsBy("named").length === 4);
  expect(payloadsBy("direct").every(({ body }) => body["token"] === secrets.TOKEN)).toBe(true);

  const reseal = ["secrets", "reseal", "--redis", redis.url, "--json"];
  // A delivery that is being attempted is written back under the old key; then it takes another try.
  const resealed = async () => {
    await sandbox.output(reseal, sealing(`${second} ${first}`));
    return countsOf(
      (await sandbox.output(["secrets", "ls", "--redis", redis.url, "--json"], sealing(second))).stdout,
    );
  };
  const onlyCurrent = expect.objectContaining({ plain: 0, older: 0, unreadable: 0 });
  await expect.poll(resealed, { timeout: 30_000 }).toEqual({
    automations: onlyCurrent,
    destinations: onlyCurrent,
    hooks: onlyCurrent,
    workspace: onlyCurrent,
    deliveries: onlyCurrent,
  });
  expect((await resealed())["automations"]?.["current"]).toBeGreaterThanOrEqual(4);

  // The old key can go.
  await server.process.end();
  server = await serve(second, ["--rules", rules]);
  expect(messages(server)).not.toContain("Rules applied");
  await stopPump(server);
  await listener.until(() => payloadsBy("direct").length === 5 && payloadsBy("api").length === 4);
  const afterwards = await everything();
  for (const text of hidden) {
    expect(afterwards).not.toContain(text);
    expect(commands.filter((command) => command.includes(text))).toEqual([]);
  }
}, 120_000);

test("a workspace that had no key is encrypted once it gets one", async () => {
  const workspace = ["--workspace", "plain"];
  const rules = sandbox.write("plain.yaml", rulesText(listener.url).replaceAll("by: direct", "by: plain"));
  let server = await serve("", ["--rules", rules, ...workspace]);
  await stopPump(server);
  await listener.until(() => payloadsBy("plain").length === 1);
  await server.process.end();
  const key = randomBytes(32).toString("base64");
  const words = ["--redis", redis.url, "--json", ...workspace];
  const before = await sandbox.output(["secrets", "ls", ...words], sealing(key));
  expect(countsOf(before.stdout)["automations"]).toMatchObject({ plain: 4, current: 0 });
  expect((await sandbox.output(["secrets", "reseal", ...words])).code).toBe(2);
  expect((await sandbox.output(["secrets", "reseal", ...words], sealing(key))).code).toBe(0);
  server = await serve(key, ["--rules", rules, ...workspace]);
  expect(messages(server)).not.toContain("Rules applied");
  await stopPump(server);
  await listener.until(() => payloadsBy("plain").length === 2);
}, 60_000);
