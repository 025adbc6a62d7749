/** The Redis of a chaos run: one server, Sentinels or a cluster, each with its own ways to fail. */

import { startCluster } from "../../test/support/redis-cluster.ts";
import { RedisNodes, redisCli, type TestNode, until } from "../../test/support/redis-nodes.ts";
import { startSentinels } from "../../test/support/redis-sentinels.ts";
import { FaultyProxy } from "./proxy.ts";

export const storeKinds = ["single", "sentinel", "cluster"] as const;

export type StoreKind = (typeof storeKinds)[number];

export interface ChaosStore {
  /** The URL for one process; with a single server, through a proxy of its own. */
  urlFor(process: string): Promise<string>;
  /** By process; empty unless there is a single server, because clients find the others by themselves. */
  readonly proxies: ReadonlyMap<string, FaultyProxy>;
  /** The server that has the log now. */
  master(): Promise<TestNode>;
  /** Makes a replica the master without losing anything; null with a single server. */
  readonly failOver: (() => Promise<void>) | null;
  /** Whether a server that was killed may come back with everything that it had acknowledged, as the master. */
  readonly survivesKill: boolean;
  stop(): Promise<void>;
}

const durable = ["--appendonly", "yes", "--appendfsync", "always"];
const logKey = "tl:{default}:log";

export function startStore(kind: StoreKind): Promise<ChaosStore> {
  if (kind === "sentinel") return startWithSentinels();
  return kind === "cluster" ? startWithCluster() : startSingle();
}

async function startSingle(): Promise<ChaosStore> {
  const nodes = new RedisNodes();
  const server = await nodes.start(() => durable);
  const proxies = new Map<string, FaultyProxy>();
  return {
    async urlFor(process) {
      const proxy = proxies.get(process) ?? (await FaultyProxy.start(server.port));
      proxies.set(process, proxy);
      return `redis://127.0.0.1:${proxy.port}`;
    },
    proxies,
    master: async () => server,
    failOver: null,
    survivesKill: true,
    async stop() {
      for (const proxy of proxies.values()) proxy.stop();
      await nodes.stop();
    },
  };
}

async function startWithSentinels(): Promise<ChaosStore> {
  const started = await startSentinels({ settings: durable });
  const masterName = new URL(
    started.url.replace(/^redis\+sentinel:/, "http:").replace(/,[^/]*/, ""),
  ).pathname.slice(1);
  return {
    urlFor: async () => started.url,
    proxies: new Map(),
    master: started.master,
    async failOver() {
      const old = await started.master();
      // Sentinels promote a replica as it is: so that it misses nothing, the master takes no writes until it is one no more.
      await redisCli(old.port, "client", "pause", "60000", "write");
      await until("a replica has everything", () => isReplicated(old.port));
      const [sentinel] = started.sentinels;
      await redisCli(sentinel!.port, "sentinel", "failover", masterName);
      await until("another server is the master", async () => (await started.master()).port !== old.port);
      await until("the old master follows", async () =>
        (await redisCli(old.port, "info", "replication")).includes("role:slave"),
      );
      await redisCli(old.port, "client", "unpause");
      await started.untilWhole();
    },
    survivesKill: false,
    stop: started.stop,
  };
}

async function startWithCluster(): Promise<ChaosStore> {
  const started = await startCluster({ settings: durable });
  const master = () => started.masterOf(logKey);
  return {
    urlFor: async () => started.url,
    proxies: new Map(),
    master,
    async failOver() {
      const old = await master();
      // Without FORCE, the replica first waits until it has everything, and the master meanwhile takes no writes.
      await redisCli(replicaPort(await redisCli(old.port, "info", "replication")), "cluster", "failover");
      await until("the replica is the master", async () => (await master()).port !== old.port);
      await started.untilWhole();
    },
    survivesKill: false,
    stop: started.stop,
  };
}

/** Whether every replica that is online has received what the master has written. */
async function isReplicated(port: number): Promise<boolean> {
  const info = await redisCli(port, "info", "replication");
  const offset = /master_repl_offset:(\d+)/.exec(info)?.[1];
  const offsets = [...info.matchAll(/state=online,offset=(\d+)/g)].map(([, found]) => found);
  return offsets.length > 0 && offsets.every((found) => Number(found) >= Number(offset));
}

/** @throws Error if the master has no replica */
function replicaPort(info: string): number {
  const port = /slave0:ip=[^,]*,port=(\d+)/.exec(info)?.[1];
  if (port === undefined) throw new Error("The master has no replica");
  return Number(port);
}
