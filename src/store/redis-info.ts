/** What Redis says about itself. */

/** The oldest Redis that has all commands that are used. */
export const redisVersionMin = "6.2.0";

/** What Redis answers to INFO, by field. */
export type RedisInfo = ReadonlyMap<string, string>;

export function readRedisInfo(text: string): RedisInfo {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

/** Why a Redis is too old; null if it is not, or does not say its version. */
export function versionProblem(info: RedisInfo): string | null {
  const version = info.get("redis_version");
  if (version === undefined) return null;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = redisVersionMin.split(".").map(Number);
  const isOld = major < majorMin || (major === majorMin && minor < minorMin);
  return isOld ? `Tripline needs ${majorMin}.${minorMin} or newer.` : null;
}
