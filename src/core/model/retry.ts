/** How long, and after which answers, a delivery is tried again: the `retry` setting of actions and destinations. */

import { z } from "zod";
import { day, second } from "./time.ts";
import { DurationSchema } from "./trigger.ts";

/** The longest time for which a delivery may be tried, in seconds: as long as a dead letter is kept. */
const retryForMax = (30 * day) / second;

const statusesMax = 100;

const statusProblem =
  "should be a status such as 404, or a class of them such as 4xx (3xx, 4xx or 5xx); 2xx means delivered";

/** A status, or all that begin with a digit: `404`, `4xx`. */
const StatusSchema = z.union(
  [
    z.int(statusProblem).min(300, statusProblem).max(599, statusProblem),
    z.string().regex(/^[345]xx$/, statusProblem),
  ],
  statusProblem,
);

export const RetrySchema = z
  .strictObject({
    for: DurationSchema.refine((seconds) => seconds <= retryForMax, "for should be at most 30d")
      .optional()
      .meta({
        description: "How long to keep trying. 0s: one attempt. Default: the server's --give-up-after (28h).",
      }),
    attempts: z
      .int()
      .min(1, "attempts should be at least 1")
      .max(10_000)
      .optional()
      .meta({ description: "At most this many attempts, even if there is time left. Default: no limit." }),
    give_up_on: z
      .array(StatusSchema)
      .max(statusesMax, `give_up_on should list at most ${statusesMax} statuses`)
      .optional()
      .meta({
        description:
          "Statuses that are final at once, such as [404, 4xx]. 410 always is, and disables the endpoint.",
      }),
  })
  .meta({ id: "Retry", description: "How long a delivery is tried, and which answers are final." });

/** What is left out is decided elsewhere: the action decides before the destination, the destination before the server. */
export type Retry = z.infer<typeof RetrySchema>;

/** The settings of the first one that has them. */
export function mergeRetry(first: Retry | undefined, second: Retry | undefined): Retry {
  return { ...second, ...first };
}

/** Whether an answer with this status is final. */
export function isFinalStatus({ give_up_on: final = [] }: Retry, status: number): boolean {
  return final.includes(status) || final.includes(`${Math.floor(status / 100)}xx`);
}
