/** What an automation saw and did in a span of time: events, firings, and the windows that are open now. */

import { z } from "zod";
import { showWindow } from "../../core/machine/explain.ts";
import { formatTime, hour, type Micros, millisecond, parseTime } from "../../core/model/time.ts";
import { WrittenTimeSchema } from "../../history/filter.ts";
import { automationOf } from "../automations/automations.ts";
import { behindHeaders, noHistory, recordedHistory } from "../events/recorded-history.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import { requireScope } from "../http/tenant.ts";
import { earliestWindows } from "./earliest-windows.ts";
import { openWindowsOf } from "./open-windows.ts";
import type { ExplainSettings } from "./replay.ts";
import { TimelineSchema } from "./timeline-answers.ts";
import { coveredEvents, deliveryCounts, recordedFirings, type TimelineSpan } from "./timeline-events.ts";
import { isOfKey, type TimelineKey, TimelineKeySchema, unknownLabels } from "./timeline-key.ts";

const spanDefault: Micros = hour;
const spanDaysMax = 31;
const listedDefault = 200;
const listedMax = 1_000;
const windowCountMax = 200;

const TimelineQuerySchema = z.object({
  since: WrittenTimeSchema.optional().meta({ description: "By default, an hour before `until`." }),
  until: WrittenTimeSchema.optional().meta({ description: "By default, now." }),
  key: TimelineKeySchema.optional(),
  limit: z.coerce
    .number()
    .pipe(z.int().min(0).max(listedMax))
    .default(listedDefault)
    .meta({ description: "How many events, and how many firings, to list at most: the newest." }),
});

const byId = z.object({ id: z.string().meta({ description: "The automation's id." }) });

export function timelineRoutes(settings: ExplainSettings): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/automations/:id/timeline",
        id: "automationTimeline",
        summary: "Read what an automation saw and did",
        description:
          "The events that its present trigger covers, its firings, and the windows that are open now; of all keys or " +
          "of one. The key also needs the scope `events:read`.",
        tag: "explain",
        scope: "automations:read",
        params: byId,
        query: TimelineQuerySchema,
        answers: {
          200: { description: "The timeline.", schema: TimelineSchema, headers: behindHeaders },
          404: { ...noHistory, description: "There is no such automation, or this server keeps no history." },
        },
      },
      async ({ tenant, params, query: { limit, ...query } }, context) => {
        const automation = await automationOf(tenant.log, params.id);
        requireScope(tenant, "events:read");
        const key: TimelineKey = query.key ?? new Map();
        const unknown = unknownLabels(automation, key);
        if (unknown !== null) throw invalid(unknown);
        const span = spanOf(query);
        const history = await recordedHistory(tenant, context);

        const events = await coveredEvents(history, automation, { ...span, key, limit });
        const firings = await recordedFirings(history, automation, { ...span, key, limit });
        const deliveries = await deliveryCounts(history, firings.found, span.since);
        const open = await openWindowsOf(tenant.log, automation.id, settings);
        const { windows, count } = await earliestWindows(windowsOfKey(open.windows, key), windowCountMax);
        const about = {
          since: formatTime(span.since),
          until: formatTime(span.until),
          events_since: formatTime(events.completeSince),
          events_truncated: events.isTruncated,
          firings_truncated: firings.isTruncated,
          as_of: open.asOf === null ? null : formatTime(open.asOf),
          windows_truncated: count > windows.length,
          deliveries,
        };
        const lists = {
          events: await jsonList(events.found, (event) => event),
          firings: await jsonList(firings.found, (firing) => firing),
          windows: await jsonList(windows, showWindow),
        };
        return context.body(jsonWithLists(about, lists), 200, jsonHeaders);
      },
    ),
  ];
}

/** @throws Refusal 422 */
function spanOf(written: {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}): Pick<TimelineSpan, "since" | "until"> {
  const until = parseTime(written.until ?? "") ?? Date.now() * millisecond;
  const since = parseTime(written.since ?? "") ?? until - spanDefault;
  if (since > until) throw invalid(`since (${formatTime(since)}) is later than until (${formatTime(until)})`);
  if (until - since > spanDaysMax * 24 * hour) {
    throw invalid(`From since to until may be at most ${spanDaysMax} days; ask for several spans`);
  }
  return { since, until };
}

function* windowsOfKey<T extends { readonly labels: Readonly<Record<string, string>> }>(
  windows: Iterable<T>,
  key: TimelineKey,
): Iterable<T> {
  for (const window of windows) if (isOfKey(window.labels, key)) yield window;
}

function invalid(detail: string): Refusal {
  return new Refusal(422, "invalid", { detail });
}
