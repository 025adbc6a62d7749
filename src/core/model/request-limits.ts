/**
 * Limits on the requests of a destination or of one action, over all processes: `limits: {concurrency: 2, rate: 30/m}`.
 *
 * They protect a receiver. Requests beyond them wait; none is dropped.
 */

import { z } from "zod";
import { refusing } from "./problem.ts";
import { parseRate, periodOf, rateProblem } from "./rate.ts";
import { day } from "./time.ts";

/** Each request in flight takes some memory of Redis, and no receiver that needs a limit needs a higher one. */
const concurrencyMax = 1_000;
/** Redis remembers the time of each request in a period. A longer period can be written as a shorter one. */
const rateCountMax = 10_000;
const ratePeriodMax = day;

function limitRateProblem(text: string): string | null {
  const rate = parseRate(text);
  if (rate === null) return rateProblem(text);
  if (rate.count > rateCountMax) {
    return `rate should allow at most ${rateCountMax} requests per period; write a shorter period, such as 100/s`;
  }
  return periodOf(rate) > ratePeriodMax ? "rate should have a period of at most 1d" : null;
}

export const RequestLimitsSchema = z
  .strictObject({
    concurrency: z
      .int()
      .min(1, "concurrency should be greater than or equal to 1")
      .max(concurrencyMax, `concurrency should be less than or equal to ${concurrencyMax}`)
      .optional()
      .meta({ description: "How many requests may be in flight at a time, over all processes." }),
    rate: z
      .string({ error: "rate should be a count per time, such as 100/s, 5000/h or 10/30s" })
      .superRefine(refusing(limitRateProblem))
      .optional()
      .meta({
        description:
          "How many requests may be sent in any period of that length, over all processes: 5/s, 30/m, 10/30s.",
      }),
  })
  .meta({
    id: "RequestLimits",
    description: "Limits on requests, over all processes. Requests beyond them wait.",
  });

export type RequestLimits = z.infer<typeof RequestLimitsSchema>;
