/** While no process with the role api is running, nobody can post. That must not look like the silence of a service. */

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { gapTolerance } from "../../src/core/model/limits.ts";
import { type Micros, millisecond, parseTime, second } from "../../src/core/model/time.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox } from "./support.ts";

let redis: TestRedis;
let sandbox: Sandbox;

beforeAll(async () => {
  redis = await startRedis();
  sandbox = new Sandbox();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

interface RecordedEvent {
  readonly event: string;
  readonly occurred: string;
  readonly resource: Record<string, string>;
  readonly payload: Record<string, unknown>;
}

async function post(api: string, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${api}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function heartbeat(api: string, pump: string): Promise<void> {
  const event = {
    event: "pump.heartbeat",
    occurred: new Date().toISOString(),
    id: crypto.randomUUID(),
    resource: { "prefect.resource.id": `pump.${pump}` },
  };
  expect((await post(api, "/events", [event])).status).toBe(204);
}

async function recorded(api: string, name: string): Promise<RecordedEvent[]> {
  const answer = await post(api, "/events/filter", { filter: { event: { name: [name] } } });
  return ((await answer.json()) as { events: RecordedEvent[] }).events;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const rule = (name: string, more: string) =>
  `name: ${name}\ntrigger: { posture: Proactive, expect: [pump.heartbeat], for_each: [prefect.resource.id], within: 10s, ${more} }\nactions: [{ type: do-nothing }]\n`;

test("a service that could not send its heartbeat is not reported, and one that stays silent is, later", async () => {
  const rules = sandbox.write(
    "gap.yaml",
    [rule("held", "refire: once"), rule("at once", "refire: once, on_gap: fire")].join("---\n"),
  );
  const lateness = ["--lateness", "0s"];
  const roles = ["--roles", "api,recorder", "--rules", rules, ...lateness];
  const engine = await sandbox.serve(redis.url, ["--roles", "engine,actions", ...lateness]);
  const before = await sandbox.serve(redis.url, roles);
  await vi.waitFor(async () => expect((await fetch(`${before.api}/ready`)).status).toBe(200), 30_000);
  await heartbeat(before.api, "a");
  await heartbeat(before.api, "b");
  await before.process.end("SIGKILL");
  await pause(gapTolerance / millisecond + 9_000); // longer than the window

  const { api } = await sandbox.serve(redis.url, roles);
  const firings = async (name: string) => {
    const events = await recorded(api, "prefect-cloud.automation.triggered");
    return events.filter(({ resource }) => resource["prefect.resource.name"] === name);
  };
  const pumps = (events: readonly RecordedEvent[]) =>
    events
      .map(({ payload }) => (payload["triggering_labels"] as Record<string, string>)["prefect.resource.id"])
      .sort();
  await vi.waitFor(
    async () => {
      await heartbeat(api, "a");
      expect(pumps(await firings("held"))).toEqual(["pump.b"]);
    },
    { timeout: 30_000, interval: 1_000 },
  );

  const [gap, ...others] = await recorded(api, "tripline.gap");
  expect(others).toEqual([]);
  const time = (text: unknown): Micros => parseTime(String(text)) ?? 0;
  const [from, to] = [time(gap?.payload["from"]), time(gap?.payload["to"])];
  expect(to - from).toBe(Number(gap?.payload["seconds"]) * second);
  expect(to - from).toBeGreaterThan(gapTolerance);
  // The one was reported in the gap, the other as long after it as its window had time left.
  const atOnce = await firings("at once");
  expect(pumps(atOnce)).toEqual(["pump.a", "pump.b"]);
  for (const { occurred } of atOnce) expect(time(occurred)).toBeLessThan(to);
  const [held] = await firings("held");
  expect(held?.payload["window"]).toBeDefined();
  const { start, end } = (held as RecordedEvent).payload["window"] as { start: string; end: string };
  expect(time(end) - time(start)).toBe(10 * second + (to - Math.max(from, time(start))));
  await engine.process.end();
});
