/** Reads events from the history, in pages and in counts. */

import type { Context } from "hono";
import { z } from "zod";
import { millisecond } from "../../core/model/time.ts";
import { CountableSchema, CountRequestSchema, TooManyBuckets } from "../../history/count-by.ts";
import { EventFilterSchema, resolveFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { DetailSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList } from "../http/long-list.ts";
import { Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import type { ApiEnv } from "../http/tenant.ts";
import { EventCountSchema, EventPageSchema } from "./event-answers.ts";
import { openPage, type PageToken, sealPage } from "./page-token.ts";
import { behindHeaders, historyOf, noHistory, recordedHistory } from "./recorded-history.ts";

export interface EventRouteSettings {
  /** Whether to trust the X-Forwarded-Host and -Proto headers of a proxy in front of the server. */
  readonly trustProxy: boolean;
}

const pageSizeDefault = 50;
/** Prefect's server stops at 50, but its client asks for 100 by default. */
const pageSizeMax = 100;

const EventQuerySchema = z
  .strictObject({
    filter: EventFilterSchema.nullish(),
    limit: z
      .int()
      .min(0, "Input should be greater than or equal to 0")
      .max(pageSizeMax, `Input should be less than or equal to ${pageSizeMax}`)
      .nullish()
      .meta({ description: `Events per page; ${pageSizeDefault} by default.` }),
  })
  .meta({ id: "EventQuery" });

/** The purpose of a workspace's secret that signs page tokens. */
const tokenPurpose = "page-token";
/** Clients refuse longer URLs. */
const tokenLengthMax = 48_000;

export function eventRoutes({ trustProxy }: EventRouteSettings): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/events/filter",
        id: "filterEvents",
        summary: "Find events",
        description: "Finds every event that was acknowledged before the request.",
        tag: "events",
        scope: "events:read",
        body: jsonBody(EventQuerySchema, {
          optional: true,
          examples: {
            everything: {},
            failures: {
              filter: {
                occurred: { since: "2026-03-01T00:00:00Z", until: "2026-03-02T00:00:00Z" },
                event: { prefix: ["pump."], exclude_name: ["pump.beat"] },
                resource: { labels: { zone: ["north", "south*"] } },
                order: "ASC",
              },
              limit: 10,
            },
          },
        }),
        answers: {
          200: { description: "The first page.", schema: EventPageSchema, headers: behindHeaders },
          404: noHistory,
        },
      },
      async ({ tenant, body }, context) => {
        const now = nowMicros();
        const history = await recordedHistory(tenant, context);
        const filter = resolveFilter(body.filter, now);
        const limit = body.limit ?? pageSizeDefault;
        return answerPage(context, history, { filter, limit, after: null }, trustProxy);
      },
    ),

    route(
      {
        method: "get",
        path: "/events/filter/next",
        id: "nextEvents",
        summary: "Read the next page of events",
        description: "`next_page` in each page is the full URL of the next one.",
        tag: "events",
        scope: "events:read",
        query: z.object({
          "page-token": z.string().meta({ description: "From `next_page` of the previous page." }),
        }),
        answers: {
          200: { description: "The page.", schema: EventPageSchema },
          403: {
            description: "The page token is invalid, or the key lacks the scope.",
            schema: DetailSchema,
          },
          404: noHistory,
        },
      },
      async ({ tenant, query }, context) => {
        const page = openPage(await tenant.log.secret(tokenPurpose), query["page-token"]);
        // Prefect's wording.
        if (page === null) throw new Refusal(403, "forbidden", { detail: "Forbidden" });
        return answerPage(context, historyOf(tenant), page, trustProxy);
      },
    ),

    route(
      {
        method: "post",
        path: "/events/count-by/:countable",
        id: "countEvents",
        summary: "Count events by day, time span, name or resource",
        tag: "events",
        scope: "events:read",
        params: z.object({ countable: CountableSchema }),
        body: jsonBody(CountRequestSchema, {
          examples: {
            perHour: {
              filter: { event: { prefix: ["pump."] } },
              time_unit: "hour",
              time_interval: 6,
            },
          },
        }),
        answers: {
          200: { description: "The groups.", schema: z.array(EventCountSchema), headers: behindHeaders },
          404: noHistory,
        },
      },
      async ({ tenant, params, body: { filter, time_unit, time_interval } }, context) => {
        const now = nowMicros();
        const history = await recordedHistory(tenant, context);
        try {
          const options = { unit: time_unit, interval: time_interval, now };
          const counts = await history.countBy(params.countable, resolveFilter(filter, now), options);
          return context.body(await jsonList(counts, (count) => count), 200, jsonHeaders);
        } catch (error) {
          if (!(error instanceof TooManyBuckets)) throw error;
          throw new Refusal(422, "invalid", { detail: error.message });
        }
      },
    ),
  ];
}

type PageRequest = Omit<PageToken, "after"> & { readonly after: PageToken["after"] | null };

async function answerPage(
  context: Context<ApiEnv>,
  history: History,
  { filter, limit, after }: PageRequest,
  trustProxy: boolean,
): Promise<Response> {
  const { events, total, next } = await history.queryEvents(filter, { limit, after });
  if (next === null) return context.json({ events, total, next_page: null });
  const token = sealPage(await context.var.tenant.log.secret(tokenPurpose), { filter, limit, after: next });
  if (token.length > tokenLengthMax) {
    const detail =
      "The filter is too long for a page token, and there is more than one page; shorten the filter";
    throw new Refusal(422, "invalid", { detail });
  }
  const url = requestUrl(context, trustProxy);
  url.pathname = url.pathname.replace(/\/events\/filter(?:\/next)?\/?$/, "/events/filter/next");
  url.search = `?page-token=${token}`;
  return context.json({ events, total, next_page: url.href });
}

/** The URL of the request as the client sees it. */
function requestUrl(context: Context<ApiEnv>, trustProxy: boolean): URL {
  const url = new URL(context.req.url);
  if (!trustProxy) return url;
  const forwarded = (name: string) => context.req.header(name)?.split(",")[0]?.trim();
  const protocol = forwarded("x-forwarded-proto");
  const host = forwarded("x-forwarded-host");
  // Setting only the host would keep the port on which the proxy reaches us.
  if (host !== undefined) url.port = "";
  if (host !== undefined) url.host = host;
  if (protocol === "https" || protocol === "http") url.protocol = protocol;
  return url;
}

function nowMicros(): number {
  return Date.now() * millisecond;
}

/** True for the history's own HistoryUnavailable; by name, like RedisUnreachable. */
export function isHistoryUnavailable(error: unknown): boolean {
  return error instanceof Error && error.name === "HistoryUnavailable";
}
