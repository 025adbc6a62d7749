/** Checks what a workspace has in Redis: whether events are evaluated and alarms delivered. */

import { DeliveryQueue } from "../../delivery/queue.ts";
import { ApiKeyStore } from "../../store/api-key-store.ts";
import type { CanaryStatus } from "../../store/canary-store.ts";
import type { RedisConnection } from "../../store/connection.ts";
import { Log } from "../../store/log.ts";
import type { SecretBox } from "../../store/secret-box.ts";
import type { ShardStatus } from "../../store/shard-status.ts";
import { StoredSecrets } from "../../store/stored-secrets.ts";
import { type CheckResult, judged, ok, problem, secondsText, warning } from "./check-result.ts";

const startEngine = "Start a process with the role engine: tripline serve --roles engine.";
const startWorker = "Start a process with the role actions, or look for errors in its log.";

export interface CheckedWorkspace {
  readonly redis: RedisConnection;
  readonly redisUrl: string;
  readonly workspace: string;
  /** Opens secrets; without keys, sealed ones cannot be judged. */
  readonly box: SecretBox;
}

/** @throws RedisUnreachable */
export async function checkWorkspace(options: CheckedWorkspace): Promise<CheckResult[]> {
  const { redis, redisUrl, workspace } = options;
  const log = new Log(redis, workspace);
  const queue = new DeliveryQueue(redisUrl, workspace, { readOnly: true });
  try {
    const [shards, canary, endpoints, secrets, queued] = await Promise.all([
      log.shardStatus(),
      log.canary.status(),
      log.endpoints.list(),
      checkSecrets(options),
      checkQueue(queue),
    ]);
    return [
      ...checkShards(shards),
      ...queued,
      endpoints.length === 0
        ? ok("endpoints", "No endpoint is disabled.")
        : warning(
            "endpoints",
            `${endpoints.length} endpoints responded 410 Gone and are sent nothing.`,
            "List them: tripline endpoints ls. If one works again: tripline endpoints enable.",
          ),
      checkCanary(canary),
      secrets,
    ];
  } finally {
    log.close();
    await queue.close();
  }
}

/** @throws RedisUnreachable */
export async function checkKeys(redis: RedisConnection): Promise<CheckResult> {
  const keys = await new ApiKeyStore(redis).all();
  const count = keys.filter(({ revoked }) => revoked === null).length;
  if (count > 0) return ok("api keys", `There are ${count} API keys.`);
  return warning(
    "api keys",
    keys.length > 0
      ? "All API keys are revoked, so no request is let in."
      : "There are no API keys: the server listens on this machine only, and anyone there may do everything.",
    "Create one: tripline keys create --name admin --scope admin.",
  );
}

function checkShards(shards: readonly ShardStatus[]): CheckResult[] {
  if (shards.length === 0) {
    return [problem("engine", "No engine has ever run: nothing is evaluated.", startEngine)];
  }
  return shards.flatMap((shard) => [checkShard(shard), ...checkOutbox(shard)]);
}

/** From then on an engine is not just busy with a burst, and a hand-over has ended. */
const delayMsBounds = { warning: 10_000, problem: 60_000 };

function checkShard({ shard, owned, entriesBehind, delayMs, watermarkAgeMs }: ShardStatus): CheckResult {
  const check = `shard ${shard}`;
  if (!owned) return problem(check, "No engine owns it: its automations do not fire.", startEngine);
  const age = watermarkAgeMs === null ? "never committed" : `watermark ${secondsText(watermarkAgeMs)} old`;
  const behind = delayMs === 0 ? "" : `, ${secondsText(delayMs)} behind`;
  const message = `An engine owns it; ${entriesBehind} entries wait${behind}; ${age}.`;
  const remedy =
    "Look for errors in the log of its engine; give it more CPU, or use more shards and engines.";
  return judged(check, delayMs, delayMsBounds, { message, remedy });
}

function checkOutbox({ shard, outboxAgeMs }: ShardStatus): CheckResult[] {
  if (outboxAgeMs <= 10_000) return [];
  const message = `A firing of shard ${shard} has not reached the queue for ${secondsText(outboxAgeMs)}.`;
  const remedy = "Look for errors in the log of the engine that owns the shard.";
  return [judged("outbox", outboxAgeMs, { warning: 10_000, problem: 60_000 }, { message, remedy })];
}

const overdueMsBounds = { warning: 30_000, problem: 300_000 };

async function checkQueue(queue: DeliveryQueue): Promise<CheckResult[]> {
  const [{ waiting, active, delayed, deadLetters }, oldest] = await Promise.all([
    queue.counts(),
    queue.oldestMs(),
  ]);
  const overdueMs = Math.max(oldest.waiting ?? 0, oldest.delayed ?? 0);
  const since = overdueMs > 1_000 ? `; the oldest has waited ${secondsText(overdueMs)}` : "";
  const message = `${waiting} deliveries wait for a worker, ${active} are under way, ${delayed} for their next attempt${since}.`;
  return [
    judged("queue", overdueMs, overdueMsBounds, { message, remedy: startWorker }),
    deadLetters === 0
      ? ok("dead letters", "No delivery was given up.")
      : warning(
          "dead letters",
          `${deadLetters} deliveries were given up.`,
          "List them: tripline deliveries ls. Once the receiver works: tripline deliveries redeliver.",
        ),
  ];
}

function checkCanary({ now, sent, returned, waitingSince, latencyMs }: CanaryStatus): CheckResult {
  const check = "canary";
  if (sent === null) {
    const remedy = "Set --canary-url (TRIPLINE_CANARY_URL) where roles are apart; see docs/observability.md.";
    return warning(check, "No canary was ever sent: nothing shows that alarms are delivered.", remedy);
  }
  const ageMs = now - (returned ?? waitingSince ?? now);
  const message =
    returned === null
      ? `None has come back since the first was sent ${secondsText(ageMs)} ago.`
      : `It came back ${secondsText(ageMs)} ago, after ${Math.round(latencyMs ?? 0)} ms.`;
  const remedy =
    "Alarms take the same way: look at the findings above, and at the logs of engine and worker.";
  return judged(check, ageMs, { warning: 150_000, problem: 300_000 }, { message, remedy });
}

async function checkSecrets({ redis, workspace, box }: CheckedWorkspace): Promise<CheckResult> {
  const check = "secrets";
  const counts = Object.values(await new StoredSecrets(redis, workspace, { box }).count());
  const sum = (state: "plain" | "current" | "older" | "unreadable") =>
    counts.reduce((total, count) => total + count[state], 0);
  if (sum("plain") + sum("current") + sum("older") + sum("unreadable") === 0) {
    return ok(check, "No secret is stored.");
  }
  if (sum("plain") > 0) {
    const remedy = "Set TRIPLINE_SECRET_KEY, and run tripline secrets reseal; see docs/security.md.";
    return warning(check, `${sum("plain")} stored secrets are not encrypted.`, remedy);
  }
  if (sum("unreadable") > 0 && box.keyIds.length > 0) {
    const remedy = "Add the key that they were encrypted with to TRIPLINE_SECRET_KEY.";
    return problem(
      check,
      `${sum("unreadable")} stored secrets cannot be read with the keys set here.`,
      remedy,
    );
  }
  return ok(check, "Every stored secret is encrypted.");
}
