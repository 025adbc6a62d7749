/** A workspace at a glance: how much comes in and fires, what is open, and whether anything is behind. */

import type { z } from "zod";
import { formatTime, second } from "../../core/model/time.ts";
import type { History } from "../../history/history.ts";
import { systemClock } from "../../retry/clock.ts";
import type { Activity, ActivityCounts } from "../../store/activity.ts";
import type { Log } from "../../store/log.ts";
import type { DeliveryLookup, QueueOf } from "../deliveries/deliveries.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import { type Route, route } from "../http/route.ts";
import type { Workspace } from "../http/tenant.ts";
import { OverviewSchema } from "./overview-answers.ts";

type Overview = z.input<typeof OverviewSchema>;

/** Whoever looks should not wait for a database that does not answer. */
const historyAnswerMsMax = 1_000;

export function overviewRoutes(queueOf: QueueOf): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/overview",
        id: "readOverview",
        summary: "Read how a workspace is, at a glance",
        description:
          "How much comes in and fires, counted exactly; what is open and silent; what waits to be delivered; and " +
          "whether anything is behind.",
        tag: "server",
        scope: "automations:read",
        answers: { 200: { description: "As of now.", schema: OverviewSchema } },
      },
      async ({ tenant }, context) => context.json(await readOverview(tenant, queueOf(tenant.workspace))),
    ),
  ];
}

async function readOverview({ log, history }: Workspace, queue: DeliveryLookup): Promise<Overview> {
  const [activity, automations, openTotals, deliveries, behindMs, shards] = await Promise.all([
    log.numbers.activity(),
    log.numbers.automations(),
    log.numbers.openTotals(),
    queue.countsByState(),
    history === null ? null : historyBehindMs(log, history),
    log.shardStatus(),
  ]);
  const windows = { open: 0, unresolved: 0 };
  for (const { open, unresolved } of openTotals) {
    windows.open += open;
    windows.unresolved += unresolved;
  }
  return {
    as_of: formatTime(activity.now * second),
    events: shownActivity(activity.events, activity),
    firings: shownActivity(activity.firings, activity),
    resolutions: shownActivity(activity.resolutions, activity),
    automations,
    windows,
    deliveries,
    history: { enabled: history !== null, behind_ms: behindMs },
    shards: {
      count: shards.length,
      owned: shards.filter(({ owned }) => owned).length,
      entries_behind_max: Math.max(0, ...shards.map(({ entriesBehind }) => entriesBehind)),
      delay_ms_max: Math.max(0, ...shards.map(({ delayMs }) => delayMs)),
    },
  };
}

function shownActivity(
  { total, perSecond, perMinute }: ActivityCounts,
  { firstSecond, firstMinuteStart }: Activity,
): Overview["events"] {
  return {
    total,
    last_day: perMinute.reduce((sum, count) => sum + count, 0),
    per_second: { start: formatTime(firstSecond * second), values: [...perSecond] },
    per_minute: { start: formatTime(firstMinuteStart * second), values: [...perMinute] },
  };
}

/** @returns null if the history's database is unavailable, or does not answer in time */
async function historyBehindMs(log: Log, history: History): Promise<number | null> {
  const answered = new AbortController();
  const unanswered = systemClock.sleep(historyAnswerMsMax, answered.signal).then(() => null);
  const position = history.recordedPosition().catch((error: unknown) => {
    if (isHistoryUnavailable(error)) return null;
    throw error;
  });
  try {
    const recorded = await Promise.race([position, unanswered]);
    return recorded === null ? null : await log.waitingMs(recorded);
  } finally {
    answered.abort();
  }
}
