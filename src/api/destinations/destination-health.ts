/** How destinations fare, and the URLs that automations name themselves. Nothing here is secret. */

import { z } from "zod";
import { DestinationSchema } from "../../core/model/destination.ts";
import { formatTime, millisecond } from "../../core/model/time.ts";
import type { QueueOf } from "../deliveries/deliveries.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { RecentAnswers } from "../http/recent-answers.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenant } from "../http/tenant.ts";
import {
  type AllTargets,
  countDay,
  type DayCounts,
  readTargets,
  type TargetHealth,
} from "./target-health.ts";

const healthFields = {
  disabled: z.boolean().meta({ description: "Whether it responded 410 Gone, and is sent nothing." }),
  resting_until: TimeSchema.nullable().meta({
    description:
      "When a delivery is sent to find out whether it works again; null if it does not rest, or nothing waits for it.",
  }),
  waiting: z.int().meta({ description: "Deliveries that a worker takes next, or has." }),
  retrying: z.int().meta({ description: "Deliveries that come back later." }),
  dead: z.int().meta({ description: "Dead letters of the last 30 days." }),
  delivered_last_day: z.int().nullable().meta({
    description:
      "What the present actions to it have delivered within a day; null without a history, or while it is unavailable.",
  }),
  failed_last_day: z.int().nullable().meta({
    description: "What they gave up, or someone cancelled, within a day; null as above.",
  }),
  last_delivered: TimeSchema.nullable().meta({
    description: "When they last delivered anything; null if not within a day, or as above.",
  }),
  last_failed: z.object({ at: TimeSchema, reason: z.string().nullable() }).nullable().meta({
    description: "The last failure that is known, of an attempt or for good; the reason holds no secrets.",
  }),
  used_by: z
    .array(z.object({ id: IdSchema, name: z.string() }))
    .meta({ description: "The automations whose actions go there, 100 at most." }),
  used_by_count: z.int().meta({ description: "How many automations that are." }),
};

const DestinationHealthSchema = z
  .object({
    id: IdSchema,
    name: z.string(),
    type: z.enum(DestinationSchema.options.map(({ shape }) => shape.type.value)),
    ...healthFields,
  })
  .meta({ id: "DestinationHealth" });

const UrlHealthSchema = z
  .object({
    url: z.string().meta({
      description: "As the rule has it, without credentials, templates and references not filled in.",
    }),
    ...healthFields,
  })
  .meta({ id: "UrlHealth" });

export const DestinationsHealthSchema = z
  .object({
    destinations: z.array(DestinationHealthSchema).meta({ description: "All destinations, by name." }),
    targets: z.array(UrlHealthSchema).meta({
      description:
        "URLs that automations name themselves, or that have deliveries: those with the most problems first, 100 at most.",
    }),
    target_count: z.int().meta({ description: "How many such URLs there are." }),
    complete: z.boolean().meta({
      description:
        "False if not all deliveries in the queue were counted: of each state the first 1,000 are, and none above 64 KB.",
    }),
    at: TimeSchema.meta({ description: "As of when. An answer is used for some seconds." }),
  })
  .meta({ id: "DestinationsHealth", description: "How the targets of a workspace fare." });

const targetsMax = 100;
const rememberedMs = 5_000;
const dayRememberedMs = 30_000;

export function destinationHealthRoutes(queueOf: QueueOf): Route[] {
  const days = new RecentAnswers<DayCounts | null>(dayRememberedMs);
  const answers = new RecentAnswers<string>(rememberedMs);

  const make = async ({ workspace, log, history }: Tenant): Promise<string> => {
    const at = Date.now() * millisecond;
    const counts = await days.get(workspace, () => countDay(history, at));
    return healthText(await readTargets(log, queueOf(workspace), counts), formatTime(at));
  };

  return [
    route(
      {
        method: "get",
        path: "/destinations/health",
        id: "readDestinationsHealth",
        summary: "Read how destinations and other targets fare",
        description:
          "What waits for each, what failed and why, and who uses it. It is put together from the queue, and from the history " +
          "for the last day; processes remember an answer for 5 seconds and the counts of a day for 30, or for longer if they " +
          "take long to make. To read a destination whose name is `health`, use its id.",
        tag: "destinations",
        scope: "automations:read",
        answers: { 200: { description: "As of a few seconds ago.", schema: DestinationsHealthSchema } },
      },
      async ({ tenant }, context) =>
        context.body(await answers.get(tenant.workspace, () => make(tenant)), 200, jsonHeaders),
    ),
  ];
}

async function healthText({ destinations, urls, isComplete }: AllTargets, at: string): Promise<string> {
  const worst = [...urls].sort(byProblems).slice(0, targetsMax);
  const lists = {
    destinations: await jsonList(destinations, ([{ id, definition }, health]) => ({
      id,
      name: definition.name,
      type: definition.type,
      ...health,
    })),
    targets: await jsonList(worst, ([url, health]) => ({ url, ...health })),
  };
  return jsonWithLists({ target_count: urls.size, complete: isComplete, at }, lists);
}

function byProblems([url, a]: [string, TargetHealth], [otherUrl, b]: [string, TargetHealth]): number {
  for (const badness of badnesses) {
    const difference = badness(b) - badness(a);
    if (difference !== 0) return difference;
  }
  return url < otherUrl ? -1 : 1;
}

/** What makes one target worse than another, the weightiest first. */
const badnesses: readonly ((health: TargetHealth) => number)[] = [
  ({ disabled }) => (disabled ? 1 : 0),
  ({ dead }) => dead,
  ({ resting_until }) => (resting_until === null ? 0 : 1),
  ({ retrying }) => retrying,
  ({ failed_last_day }) => failed_last_day ?? 0,
  ({ waiting }) => waiting,
];
