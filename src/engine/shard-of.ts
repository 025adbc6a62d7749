/**
 * Which shard an automation belongs to.
 *
 * FNV-1a over the id: the same for every process and version, because it decides whose state an automation's windows
 * are in.
 */
export function shardOf(automationId: string, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < automationId.length; index += 1) {
    hash = Math.imul(hash ^ automationId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % shardCount;
}
