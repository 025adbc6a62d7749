/** A private Redis with two replicas, watched by three Sentinels, for one suite. */

import { RedisNodes, redisCli, type TestNode, until } from "./redis-nodes.ts";

export interface TestSentinels {
  /** Names all Sentinels. */
  readonly url: string;
  readonly sentinels: readonly TestNode[];
  readonly servers: readonly TestNode[];
  /** The server that the Sentinels call the master. */
  master(): Promise<TestNode>;
  /** Resolves once the master has two replicas that follow it, and every Sentinel knows that. */
  untilWhole(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestSentinelsOptions {
  /** Further settings of each server. */
  readonly settings?: readonly string[];
  /** What clients must show to the Sentinels. */
  readonly sentinelPassword?: string;
}

const masterName = "greenhouse";

export async function startSentinels(options: TestSentinelsOptions = {}): Promise<TestSentinels> {
  const { settings = [], sentinelPassword } = options;
  const started = new RedisNodes();
  const common = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--repl-diskless-sync-delay",
    "0",
    ...settings,
  ];
  const first = await started.start(() => common);
  const replica = () => started.start(() => [...common, "--replicaof", `127.0.0.1 ${first.port}`]);
  const servers = [first, await replica(), await replica()];
  await until("both replicas follow the master", () => hasReplicas(first.port));
  const sentinels: TestNode[] = [];
  for (let count = 0; count < 3; count += 1) {
    sentinels.push(
      await started.startSentinel(() => [
        `sentinel monitor ${masterName} 127.0.0.1 ${first.port} 2`,
        // Long enough that a server of a busy machine is not taken for dead.
        `sentinel down-after-milliseconds ${masterName} 3000`,
        `sentinel failover-timeout ${masterName} 10000`,
        ...(sentinelPassword === undefined
          ? []
          : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
      ]),
    );
  }
  const ask = (port: number, ...words: string[]) =>
    redisCli(
      port,
      ...(sentinelPassword === undefined ? [] : ["--no-auth-warning", "-a", sentinelPassword]),
      ...words,
    );
  const nameMaster = async () => {
    for (const { port } of sentinels) {
      const answer = await ask(port, "sentinel", "get-master-addr-by-name", masterName).catch(() => "");
      const found = servers.find((server) => server.port === Number(answer.split("\n")[1]));
      if (found !== undefined) return found;
    }
    throw new Error("No Sentinel names the master");
  };
  const untilWhole = () =>
    until("the Sentinels know each other and both replicas", async () => {
      const master = await nameMaster().catch(() => null);
      if (master === null || !(await hasReplicas(master.port).catch(() => false))) return false;
      const views = await Promise.all(
        sentinels.map(({ port }) => ask(port, "sentinel", "master", masterName).catch(() => "")),
      );
      return views.every(
        (view) =>
          view.includes(`\n${master.port}\n`) &&
          /flags\nmaster\n/.test(view) &&
          /num-slaves\n2\n/.test(view) &&
          /num-other-sentinels\n2\n/.test(view),
      );
    });
  await untilWhole();
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  const query = sentinelPassword === undefined ? "" : `?sentinel_password=${sentinelPassword}`;
  return {
    url: `redis+sentinel://${addresses}/${masterName}${query}`,
    sentinels,
    servers,
    master: nameMaster,
    untilWhole,
    stop: () => started.stop(),
  };
}

async function hasReplicas(port: number): Promise<boolean> {
  const info = await redisCli(port, "info", "replication");
  return info.match(/state=online/g)?.length === 2;
}
