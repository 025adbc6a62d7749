/** What the API can tell about the server that it runs in: how it is set up, and what is wrong with it. */

import type { DoctorReport } from "../api/server/doctor.ts";
import type { ServerFacts } from "../api/server/settings.ts";
import { millisecond } from "../core/model/time.ts";
import { queueSettings } from "../delivery/queue.ts";
import type { RedisConnection } from "../store/connection.ts";
import { redisVersion } from "../store/redis-version.ts";
import { signalsIn } from "../telemetry/telemetry.ts";
import { statusOf } from "./doctor/check-result.ts";
import { examineHistory, examineRedis, examineWorkspace } from "./doctor/examine.ts";
import { boxHere } from "./secret-box-here.ts";
import type { Settings } from "./settings.ts";
import { shownSettings } from "./shown-settings.ts";

/** What a server with these settings is set up with. */
export function serverFacts(settings: Settings, redis: RedisConnection): ServerFacts {
  return {
    startedAt: Math.round(Date.now() - process.uptime() * 1_000) * millisecond,
    workspaces: settings.workspace,
    roles: settings.roles,
    settings: shownSettings(settings),
    historyMaxAge: settings.historyMaxAge,
    historyMaxBytes: settings.historyMaxSize,
    logMargin: settings.logMargin,
    deliveredSeconds: queueSettings.keepFinishedSeconds,
    deadLetterSeconds: queueSettings.keepDeadLettersSeconds,
    lateness: settings.lateness,
    giveUpAfter: settings.giveUpAfter,
    canaryEvery: settings.canary,
    telemetry: signalsIn(process.env),
    secretsSealed: boxHere().keyIds.length > 0,
    redisVersion: () => redisVersion(redis),
  };
}

/**
 * Makes the checks of `tripline doctor` from inside a server with these settings. What concerns all workspaces is for the
 * first one; the others see what concerns them.
 */
export function doctorInside(
  settings: Settings,
  redis: RedisConnection,
): (workspace: string) => Promise<DoctorReport> {
  const box = boxHere();
  return async (workspace) => {
    const isFirst = workspace === settings.workspace[0];
    const history = await examineHistory({ url: settings.historyUrl, workspace, redis, isNamed: true });
    const findings = [
      ...(isFirst ? await examineRedis(redis) : []),
      ...(await examineWorkspace({ redis, redisUrl: settings.redis, workspace, box })),
      ...history.filter(({ check }) => isFirst || check === "recorder"),
    ];
    return { status: statusOf(findings), findings };
  };
}
