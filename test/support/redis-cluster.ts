/** A private Redis Cluster for one suite: three masters, each with a replica. */

import { RedisNodes, redisCli, type TestNode, until } from "./redis-nodes.ts";

export interface TestCluster {
  /** Names two of the nodes. */
  readonly url: string;
  readonly nodes: readonly TestNode[];
  /** The master that has the slot of a key now, by the nodes that are alive. */
  masterOf(key: string): Promise<TestNode>;
  /** Moves the slot of a key to another master, with redis-cli. @returns that master */
  moveSlotOf(key: string): Promise<TestNode>;
  /** Resolves once the cluster serves every slot and each master has a replica that follows it. */
  untilWhole(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestClusterOptions {
  /** Further settings of each server. */
  readonly settings?: readonly string[];
}

export async function startCluster({ settings = [] }: TestClusterOptions = {}): Promise<TestCluster> {
  const started = new RedisNodes();
  // Long enough that nodes of a busy machine are not taken for dead.
  const common = [
    ...["--cluster-enabled", "yes", "--cluster-node-timeout", "3000", "--repl-diskless-sync-delay", "0"],
    ...["--appendonly", "yes", "--appendfsync", "everysec", ...settings],
  ];
  const nodes: TestNode[] = [];
  for (let count = 0; count < 6; count += 1) {
    nodes.push(await started.start((port) => [...common, "--cluster-config-file", `nodes-${port}.conf`]));
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  await redisCli(
    nodes[0]!.port,
    "--cluster",
    "create",
    ...addresses,
    "--cluster-replicas",
    "1",
    "--cluster-yes",
  );

  const alive = async (): Promise<TestNode> => {
    for (const node of nodes) {
      const answer = await Promise.race([
        redisCli(node.port, "ping").catch(() => ""),
        new Promise((resolve) => setTimeout(resolve, 2_000, "silent")),
      ]);
      if (answer === "PONG") return node;
    }
    throw new Error("No node of the cluster is alive");
  };
  const view = async (): Promise<ClusterLine[]> => {
    const text = await redisCli((await alive()).port, "cluster", "nodes");
    return text.split("\n").map(readLine);
  };
  const masterOf = async (key: string): Promise<TestNode> => {
    const slot = Number(await redisCli((await alive()).port, "cluster", "keyslot", key));
    const owner = (await view()).find(
      ({ isMaster, slots }) => isMaster && slots.some(([first, last]) => first <= slot && slot <= last),
    );
    const node = nodes.find(({ port }) => port === owner?.port);
    if (node === undefined) throw new Error(`Nobody has the slot ${slot}`);
    return node;
  };
  const untilWhole = () =>
    until("each master of the cluster has a replica", async () => {
      const states = await Promise.all(
        nodes.map(async ({ port }) => ({
          cluster: await redisCli(port, "cluster", "info").catch(() => ""),
          replication: await redisCli(port, "info", "replication").catch(() => ""),
        })),
      );
      return states.every(
        ({ cluster, replication }) =>
          cluster.includes("cluster_state:ok") &&
          (/role:slave[\s\S]*master_link_status:up/.test(replication) ||
            /role:master\s+connected_slaves:[1-9][\s\S]*state=online/.test(replication)),
      );
    });
  await untilWhole();
  return {
    url: `redis+cluster://${addresses[0]},${addresses[1]}`,
    nodes,
    masterOf,
    untilWhole,
    async moveSlotOf(key) {
      const from = await masterOf(key);
      const slot = await redisCli(from.port, "cluster", "keyslot", key);
      const lines = await view();
      const source = lines.find(({ port }) => port === from.port)!;
      const target = lines.find(({ isMaster, port }) => isMaster && port !== from.port)!;
      const to = nodes.find(({ port }) => port === target.port)!;
      await redisCli(to.port, "cluster", "setslot", slot, "importing", source.id);
      await redisCli(from.port, "cluster", "setslot", slot, "migrating", target.id);
      for (;;) {
        const keys = (await redisCli(from.port, "cluster", "getkeysinslot", slot, "200"))
          .split("\n")
          .filter(Boolean);
        if (keys.length === 0) break;
        await redisCli(from.port, "migrate", "127.0.0.1", String(to.port), "", "0", "30000", "keys", ...keys);
      }
      for (const node of [to, from]) await redisCli(node.port, "cluster", "setslot", slot, "node", target.id);
      return to;
    },
    stop: () => started.stop(),
  };
}

interface ClusterLine {
  readonly id: string;
  readonly port: number;
  readonly isMaster: boolean;
  readonly slots: readonly (readonly [first: number, last: number])[];
}

/** A line of CLUSTER NODES. */
function readLine(line: string): ClusterLine {
  const [id = "", address = "", flags = "", , , , , , ...ranges] = line.split(" ");
  const slots = ranges
    .filter((range) => /^\d/.test(range))
    .map((range) => {
      const [first, last = first] = range.split("-").map(Number) as [number, number?];
      return [first, last] as const;
    });
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    isMaster: /\bmaster\b/.test(flags) && !/fail/.test(flags),
    slots,
  };
}
