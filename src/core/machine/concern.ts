/** How near an automation is to covering an event, by its definition alone. */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import { includes, type Specification } from "../model/specification.ts";
import type { Micros } from "../model/time.ts";
import { walkTrigger } from "../model/trigger.ts";
import { compileEventTrigger, resourceObstacle, roleByName } from "./event-trigger.ts";

/**
 * How many conditions on resources the event does not meet, at the trigger that comes closest.
 *
 * @returns 0 when a trigger covers the event; null when none asks for an event of this name
 */
export function unmetConditionCount(
  automation: Automation,
  event: Event,
  latenessDefault: Micros,
): number | null {
  let least: number | null = null;
  walkTrigger(automation.trigger, (definition) => {
    if (definition.type !== "event" || least === 0) return;
    const compiled = compileEventTrigger(definition, latenessDefault);
    if (roleByName(compiled, event.name) === null) return;
    const count = resourceObstacle(compiled, event) === null ? 0 : unmetIn(compiled, event);
    least = least === null ? count : Math.min(least, count);
  });
  return least;
}

function unmetIn(
  { match, related }: { readonly match: Specification; readonly related: readonly Specification[] },
  event: Event,
): number {
  const unmetBy = (specification: Specification, resource: Event["resource"]) =>
    specification.filter((condition) => !includes([condition], resource)).length;
  let count = unmetBy(match, event.resource);
  for (const specification of related) {
    const counts = event.related.map((resource) => unmetBy(specification, resource));
    count += Math.min(specification.length, ...counts);
  }
  return Math.max(1, count);
}
