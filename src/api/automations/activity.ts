/** What automations did lately: when each last fired, and how often. Counted from the history. */

import { z } from "zod";
import { UuidSchema } from "../../core/model/event.ts";
import { formatTime, hour, millisecond, second } from "../../core/model/time.ts";
import type { AutomationActivity } from "../../history/activity.ts";
import { behindHeaders, noHistory, recordedHistory } from "../events/recorded-history.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";

/** An answer about all automations is for an overview; one about these is for a page. */
const listedMax = 500;
/** A week, by the hour. */
const hoursMax = 168;

const ActivityQuerySchema = z
  .strictObject({
    automations: z
      .array(UuidSchema)
      .max(
        listedMax,
        `Ask about at most ${listedMax} automations at a time, or leave this out for all of them`,
      )
      .nullish()
      .meta({ description: `Their ids, at most ${listedMax}; left out, all automations.` }),
    hours: z
      .int()
      .min(1, "Input should be greater than or equal to 1")
      .max(hoursMax, `Input should be less than or equal to ${hoursMax}`)
      .default(24)
      .meta({ description: "How far back to count." }),
    buckets: z
      .int()
      .min(1, "Input should be greater than or equal to 1")
      .max(hoursMax, `Input should be less than or equal to ${hoursMax}`)
      .default(24)
      .meta({ description: "Into how many parts of equal length that time is divided." }),
  })
  .meta({ id: "ActivityQuery" });

const AutomationActivitySchema = z
  .object({
    id: IdSchema,
    last_fired: TimeSchema.nullable().meta({
      description:
        "When it last fired or was resolved, however long ago; null if the history knows of no such time.",
    }),
    last_state: z
      .enum(["Triggered", "Resolved"])
      .nullable()
      .meta({ description: "Which of the two that was." }),
    firings: z.array(z.int()).meta({ description: "How often it fired, for each bucket." }),
    resolutions: z.int().meta({ description: "How often it was resolved." }),
    executed: z
      .int()
      .meta({ description: "How many deliveries were made. A redelivery counts as another one." }),
    failed: z.int().meta({ description: "How many deliveries failed for good." }),
  })
  .meta({ id: "AutomationActivity" });

export const ActivitySchema = z
  .object({
    since: TimeSchema.meta({ description: "The start of the first bucket." }),
    until: TimeSchema.meta({ description: "The end of the last bucket: the present." }),
    bucket_seconds: z.number().meta({ description: "The length of a bucket." }),
    automations: z.array(AutomationActivitySchema).meta({
      description: "In the order of the request; all automations are in the order of their ids.",
    }),
  })
  .meta({ id: "Activity" });

/** The operation that counts. List it before those with an id in the same place of the path. */
export function activityRoutes(): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/automations/activity",
        id: "automationActivity",
        summary: "Count what automations did lately",
        description:
          "When each automation last fired, and its firings, resolutions and deliveries of the last hours. An id that " +
          "no automation has is listed too: the history may know what it did before it was deleted.",
        tag: "automations",
        scope: "automations:read",
        body: jsonBody(ActivityQuerySchema, {
          optional: true,
          examples: {
            allOfToday: {},
            oneByTheMinute: {
              automations: ["0b0f3a52-4a57-4ff2-9d3c-6f5c0f6f2f10"],
              hours: 1,
              buckets: 60,
            },
          },
        }),
        answers: {
          200: { description: "What each of them did.", schema: ActivitySchema, headers: behindHeaders },
          404: noHistory,
        },
      },
      async ({ tenant, body: { automations, hours, buckets } }, context) => {
        const history = await recordedHistory(tenant, context);
        const ids = automations ?? (await tenant.log.automationIds());
        const until = Date.now() * millisecond;
        // Rounded up, so that the buckets reach at least as far back as asked.
        const bucketLength = Math.ceil((hours * hour) / buckets);
        const since = until - buckets * bucketLength;
        const span = { since, bucketLength, bucketCount: buckets };
        const activity = await history.activityOf(ids, span);
        const about = {
          since: formatTime(since),
          until: formatTime(until),
          bucket_seconds: bucketLength / second,
        };
        const list = await jsonList(activity, ([id, found]) => view(id, found));
        return context.body(jsonWithLists(about, { automations: list }), 200, jsonHeaders);
      },
    ),
  ];
}

function view(id: string, { lastFired, lastState, ...counts }: AutomationActivity) {
  return {
    id,
    last_fired: lastFired === null ? null : formatTime(lastFired),
    last_state: lastState,
    ...counts,
  };
}
