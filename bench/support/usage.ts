/** How much a server and Redis have used so far. */

import type { RedisConnection } from "../../src/store/connection.ts";
import { readRedisInfo } from "../../src/store/redis-info.ts";

/** The processor time of a process, in seconds. @param metrics its metrics, in Prometheus's text format */
export function cpuSecondsIn(metrics: string): number {
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(metrics)?.[1]);
}

/** The processor time of a Redis, in seconds, and how many bytes it has sent. */
export async function redisUsage(
  client: RedisConnection,
): Promise<{ cpuSeconds: number; sentBytes: number }> {
  const [cpu, stats] = await Promise.all([client.info("cpu"), client.info("stats")]);
  const info = readRedisInfo(`${cpu}\n${stats}`);
  const of = (field: string) => Number(info.get(field));
  return {
    cpuSeconds: of("used_cpu_user") + of("used_cpu_sys"),
    sentBytes: of("total_net_output_bytes"),
  };
}
