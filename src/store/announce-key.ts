/** Events about changes of API keys, in the log of the workspace that the key gives access to. */

import type { Actor } from "../core/model/actor.ts";
import type { ChangeKind } from "../core/model/change-events.ts";
import { changesBetween } from "../core/model/changes.ts";
import { announceThing } from "./announce.ts";
import type { ApiKey } from "./api-key.ts";
import type { RedisConnection } from "./connection.ts";
import { Log } from "./log.ts";

/**
 * Appends the event about a change of a key. It tells what the key may do when it is created, and never its hash.
 *
 * @throws RedisUnreachable
 */
export async function announceKey(
  redis: RedisConnection,
  key: ApiKey,
  change: ChangeKind,
  actor: Actor,
): Promise<void> {
  const { id, name, workspace, scopes, expires, rate } = key;
  const granted = { scopes, expires, rate };
  const none = { stored: {}, shown: {} };
  const changes = change === "created" ? changesBetween(none, { stored: granted, shown: granted }) : [];
  const event = announceThing({ what: "api-key", id, name }, change, changes, actor);
  await new Log(redis, workspace).appendEvents([event]);
}
