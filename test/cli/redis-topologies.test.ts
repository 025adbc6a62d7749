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
    // The engine may take its shards a moment after the server runs.
    await expect.poll(async () => (await fetch(`${api}/ready`)).json()).toMatchObject({ status: "ok" });
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

/** Posts events, one after another, each until it is acknowledged, as a client does that retries. */
class Poster {
  readonly pumps: string[] = [];
  #isStopping = false;
  readonly #ended: Promise<void>;

  constructor(client: Client, name: string) {
    this.#ended = this.#post(client, name);
  }

  async #post(client: Client, name: string): Promise<void> {
    while (!this.#isStopping) {
      const event = stopped(`${name}.${this.pumps.length}`);
      for (let status = 0; status !== 204; ) {
        const answer = await client.post("events", [event]).catch(() => null);
        status = answer?.status ?? 0;
        expect([0, 204, 503]).toContain(status);
        if (status !== 204) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      this.pumps.push(`${name}.${this.pumps.length}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    await this.#ended;
    return this.pumps;
  }
}

/** The ids of the deliveries for each pump. A delivery may arrive more than once, always with the same id. */
function deliveriesByPump(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { webhook_id: id, body } of listener.deliveries()) {
    const pump = String(body["pump"]);
    found.set(pump, (found.get(pump) ?? new Set()).add(id));
  }
  return found;
}

/**
 * Disturbs Redis while events are posted.
 *
 * What is acknowledged is on a replica before, by `--redis-replicas 1`: otherwise a failover might lose the last of it, and
 * the test could not tell that from a fault. So every acknowledged event must lead to exactly one firing.
 */
async function disturbed(
  url: string,
  name: string,
  disturb: () => Promise<void>,
  replicas = 1,
): Promise<void> {
  const server = await sandbox.serve(url, [
    ...["--rules", writeRule(), "--redis-replicas", String(replicas), "--history-url", "off"],
    ...["--lease", "2s", "--worker-dead-after", "2s"],
  ]);
  const { stdout } = await sandbox.output(["keys", "create", "--name", name, "--scope", "admin"], {
    REDIS_URL: url,
  });
  const client = new Client(server.api, stdout.trim());
  const posters = ["a", "b", "c", "d"].map((each) => new Poster(client, `${name}.${each}`));
  const posted = () => posters.reduce((sum, { pumps }) => sum + pumps.length, 0);
  const untilMore = async (count: number) => {
    const before = posted();
    await expect.poll(posted, { timeout: 90_000 }).toBeGreaterThan(before + count);
  };
  await untilMore(50);
  await disturb();
  await untilMore(50); // service resumes by itself
  const pumps = (await Promise.all(posters.map((poster) => poster.stop()))).flat();
  await expect
    .poll(() => pumps.filter((pump) => !deliveriesByPump().has(pump)), { timeout: 90_000 })
    .toEqual([]);
  const doubled = [...deliveriesByPump()].filter(([pump, ids]) => pumps.includes(pump) && ids.size > 1);
  expect(doubled).toEqual([]);
  expect(await server.process.end()).toMatchObject({ code: 0 });
}

describe("under load", { timeout: 240_000 }, () => {
  test("a master of a cluster that is killed loses and doubles nothing", async () => {
    await disturbed(cluster.url, "killed", async () => {
      const master = await cluster.masterOf("tl:{default}:log");
      await master.kill9();
      await expect.poll(() => cluster.masterOf("tl:{default}:log"), { timeout: 90_000 }).not.toBe(master);
      await master.restart();
    });
    await cluster.untilWhole();
  });

  // Its connections stay open, and nobody says that it has a successor.
  test("a master of a cluster that falls silent loses and doubles nothing", async () => {
    await disturbed(cluster.url, "silent", async () => {
      const master = await cluster.masterOf("tl:{default}:log");
      master.pause();
      const masterNow = async () => cluster.masterOf("tl:{default}:log").catch(() => master);
      await expect.poll(masterNow, { timeout: 90_000 }).not.toBe(master);
      master.resume(); // the new master accepts nothing without a replica
    });
    await cluster.untilWhole();
  });

  test("slots of a cluster that move to another node lose and double nothing", async () => {
    await disturbed(cluster.url, "move", async () => {
      for (const key of ["tl:{default}:log", "{tripline:default}:actions:id", "tl:api-keys"]) {
        const from = await cluster.masterOf(key);
        expect(await cluster.moveSlotOf(key)).not.toBe(from);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    });
  });

  test("a master with Sentinels that is killed loses and doubles nothing", async () => {
    await disturbed(sentinels.url, "sentinel", async () => {
      const master = await sentinels.master();
      await master.kill9();
      await expect.poll(() => sentinels.master(), { timeout: 90_000 }).not.toBe(master);
      await master.restart();
    });
    await sentinels.untilWhole();
  });

  test("a master with Sentinels that falls silent loses and doubles nothing", async () => {
    const fallSilent = async () => {
      const master = await sentinels.master();
      master.pause();
      await expect.poll(() => sentinels.master(), { timeout: 90_000 }).not.toBe(master);
      master.resume();
    };
    // Both replicas: when it is back, it takes itself for the master for a while, and could win over the other one.
    await disturbed(sentinels.url, "mute", fallSilent, 2);
    await sentinels.untilWhole();
  });
});
