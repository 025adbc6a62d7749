/** Events out: the history, page by page and in counts. */

import { type Context, Hono } from "hono";
import { z } from "zod";
import { millisecond } from "../../core/model/time.ts";
import { CountableSchema, CountRequestSchema, TooManyBuckets } from "../../history/count-by.ts";
import { EventFilterSchema, resolveFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { readJson, readOptionalJson } from "../http/body.ts";
import { invalidRequest, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import { openPage, type PageToken, sealPage } from "./page-token.ts";
import { untilRecorded } from "./until-recorded.ts";

export interface EventRouteSettings {
  /** Whether a proxy is in front whose word on host and protocol counts. */
  readonly trustProxy?: boolean;
}

const pageSizeDefault = 50;
/** Prefect's server stops at 50, but its client asks for 100 unless told otherwise. */
const pageSizeMax = 100;

const FilterRequestSchema = z
  .strictObject({
    filter: EventFilterSchema.nullish(),
    limit: z
      .int()
      .min(0, "Input should be greater than or equal to 0")
      .max(pageSizeMax, `Input should be less than or equal to ${pageSizeMax}`)
      .nullish(),
  })
  .nullish();

/** The purpose of a workspace's secret that signs page tokens. */
const tokenPurpose = "page-token";
/** A URL longer than this is refused by clients. */
const tokenLengthMax = 48_000;

export function eventRoutes({ trustProxy = false }: EventRouteSettings = {}): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const read = requireScope("events:read");

  routes.post("/events/filter", read, async (context) => {
    const { value } = await readOptionalJson(context.req.raw);
    const now = nowMicros();
    const request = checked(FilterRequestSchema, value, ["body"]);
    const history = await historyOf(context);
    const filter = resolveFilter(request?.filter, now);
    const limit = request?.limit ?? pageSizeDefault;
    return answerPage(context, history, { filter, limit, after: null }, trustProxy);
  });

  routes.get("/events/filter/next", read, async (context) => {
    const token = context.req.query("page-token");
    if (token === undefined) {
      throw invalidRequest(
        [{ type: "missing", loc: ["query", "page-token"], msg: "Field required", input: null }],
        null,
      );
    }
    const page = openPage(await context.var.tenant.log.secret(tokenPurpose), token);
    if (page === null) throw new Refusal(403, "forbidden", { detail: "Forbidden" });
    return answerPage(context, presentHistory(context), page, trustProxy);
  });

  routes.post("/events/count-by/:countable", read, async (context) => {
    const countable = checked(CountableSchema, context.req.param("countable"), ["path", "countable"]);
    const { value } = await readJson(context.req.raw);
    const now = nowMicros();
    const { filter, time_unit, time_interval } = checked(CountRequestSchema, value, ["body"]);
    const history = await historyOf(context);
    try {
      const options = { unit: time_unit, interval: time_interval, now };
      return context.json(await history.countBy(countable, resolveFilter(filter, now), options));
    } catch (error) {
      if (!(error instanceof TooManyBuckets)) throw error;
      throw new Refusal(422, "invalid", { detail: error.message });
    }
  });

  // A request for a WebSocket never comes here: see websockets.ts.
  for (const path of ["/events/in", "/events/out"]) {
    routes.get(path, (context) => {
      const detail = "This is a WebSocket: open it with the ws or wss scheme";
      return context.json({ detail }, 426, { Connection: "Upgrade", Upgrade: "websocket" });
    });
  }

  return routes;
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
      "There is more than one page, and this filter is too long to be carried to the next; shorten it";
    throw new Refusal(422, "invalid", { detail });
  }
  const url = requestUrl(context, trustProxy);
  url.pathname = url.pathname.replace(/\/events\/filter(?:\/next)?\/?$/, "/events/filter/next");
  url.search = `?page-token=${token}`;
  return context.json({ events, total, next_page: url.href });
}

/** Where the client sees this server. */
function requestUrl(context: Context<ApiEnv>, trustProxy: boolean): URL {
  const url = new URL(context.req.url);
  if (!trustProxy) return url;
  const forwarded = (name: string) => context.req.header(name)?.split(",")[0]?.trim();
  const protocol = forwarded("x-forwarded-proto");
  const host = forwarded("x-forwarded-host");
  // Setting the host alone would keep the port on which the proxy finds us.
  if (host !== undefined) url.port = "";
  if (host !== undefined) url.host = host;
  if (protocol === "https" || protocol === "http") url.protocol = protocol;
  return url;
}

/** The history, once it holds what was acknowledged before this request. */
async function historyOf(context: Context<ApiEnv>): Promise<History> {
  const history = presentHistory(context);
  await untilRecorded(context.var.tenant.log, history);
  return history;
}

function presentHistory({ var: { tenant } }: Context<ApiEnv>): History {
  if (tenant.history !== null) return tenant.history;
  const detail = "This server keeps no history; start it with another TRIPLINE_HISTORY_URL than off";
  throw new Refusal(404, "not_found", { detail });
}

function checked<T extends z.ZodType>(
  schema: T,
  value: unknown,
  place: readonly [string, ...string[]],
): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const body = place[0] === "body" ? value : null;
  throw invalidRequest(mistakesOf(parsed.error.issues, place, value), body);
}

function nowMicros(): number {
  return Date.now() * millisecond;
}

/** True for the history's own error; by name, as its Redis counterpart. */
export function isHistoryUnavailable(error: unknown): boolean {
  return error instanceof Error && error.name === "HistoryUnavailable";
}
