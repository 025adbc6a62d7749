/**
 * Returns the shard that an automation belongs to.
 *
 * FNV-1a over the id. It must never change, because it decides in which shard's state an automation's windows are.
 */
export function shardOf(automationId: string, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < automationId.length; index += 1) {
    hash = Math.imul(hash ^ automationId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % shardCount;
}
