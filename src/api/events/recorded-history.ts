/** The history of a request, as far as it is recorded. */

import type { Context } from "hono";
import type { History } from "../../history/history.ts";
import { RefusalSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import type { ApiEnv, Tenant } from "../http/tenant.ts";
import { untilRecorded } from "./until-recorded.ts";

/** Tells clients that an answer misses events; set only then. */
const behindHeader = "Tripline-History-Behind";

export const behindHeaders = {
  [behindHeader]:
    "Set if the history is behind the log, so that the answer misses new events: by how many seconds.",
};

export const noHistory = { description: "This server keeps no history.", schema: RefusalSchema };

/** The history, once it holds everything that was acknowledged before this request; or else the answer will say so. */
export async function recordedHistory(tenant: Tenant, context: Context<ApiEnv>): Promise<History> {
  const history = historyOf(tenant);
  const behindMs = await untilRecorded(tenant.log, history);
  if (behindMs > 0) context.header(behindHeader, String(Math.ceil(behindMs / 1_000)));
  return history;
}

/** @throws Refusal 404 */
export function historyOf({ history }: Tenant): History {
  if (history !== null) return history;
  const detail = "This server keeps no history; start it with a TRIPLINE_HISTORY_URL other than off";
  throw new Refusal(404, "not_found", { detail });
}
