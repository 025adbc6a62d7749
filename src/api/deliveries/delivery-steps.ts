/** What a request may do with a delivery. A step is the same for one delivery and for each of many. */

import type { Automation } from "../../core/model/automation.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../../core/model/redelivery.ts";
import { conflict, notFound, type Refusal } from "../http/refusal.ts";
import type { Tenant } from "../http/tenant.ts";
import type { DeliveryLookup } from "./deliveries.ts";

/** Gives one delivery all its attempts again. @throws Refusal 404, 409; RedisUnreachable */
export async function redeliverOne(
  queue: DeliveryLookup,
  id: string,
  options: Pick<RedeliveryOptions, "asSent" | "insists">,
  automationOf: (id: string) => Promise<Automation | null>,
): Promise<void> {
  const known = isUuid(id) ? await queue.delivery(normalizeUuid(id)) : null;
  if (known === null) throw notFound(notQueued);
  const automation = await automationOf(known.automation.id);
  const refusal = await queue.redeliver(known.id, { ...options, automation });
  if (refusal !== null) throw redeliveryRefused(refusal);
}

/** Cancels one delivery. @throws Refusal 404, 409; RedisUnreachable */
export async function cancelOne(queue: DeliveryLookup, id: string, { actor }: Tenant): Promise<void> {
  const by = actor.id === null ? "a request without an API key" : `the API key ${actor.id}`;
  const outcome = isUuid(id) ? await queue.cancel(normalizeUuid(id), by) : "unknown";
  if (outcome === "unknown") throw notFound(notQueued);
  if (outcome === "ended") throw conflict("The delivery has ended, so there is nothing to cancel");
  if (outcome === "immediate") throw conflict("The action does nothing, so there is nothing to cancel");
}

const notQueued = "Delivery not found: it never existed, or the queue no longer keeps it";

function redeliveryRefused(refusal: RedeliveryRefusal): Refusal {
  switch (refusal.kind) {
    case "unknown":
      return notFound(notQueued);
    case "not kept":
      return conflict("The delivery was made, and what it sent is not kept, so it cannot be repeated");
    case "no secrets":
      return conflict(
        "The delivery was made, so its secrets are not kept, and its automation no longer has them. To send it as the " +
          "present rule has it, leave out as_sent (--as-sent)",
      );
    case "no rule":
      return conflict(`${refusal.reason}. To send what the rule said when it fired, use as_sent (--as-sent)`);
    case "outdated":
      return conflict(
        "Its target has accepted a later delivery about the same thing, so what this one says is no longer true. To send " +
          "it all the same, use even_if_outdated (--even-if-outdated)",
      );
  }
}
