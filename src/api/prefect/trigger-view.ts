/** Triggers as Prefect's client sees them. */

import { canonicalJson } from "../../core/model/automation.ts";
import { proactiveWithinMin } from "../../core/model/limits.ts";
import { second } from "../../core/model/time.ts";
import type { TriggerDefinition } from "../../core/model/trigger.ts";

/**
 * True if two triggers differ only in parts that Prefect's client does not see: ids, Tripline's own fields, and the order
 * of what it treats as sets.
 */
export function looksSameToPrefect(a: TriggerDefinition, b: TriggerDefinition): boolean {
  return canonicalJson(visiblePartsOf(a)) === canonicalJson(visiblePartsOf(b));
}

function visiblePartsOf(trigger: TriggerDefinition): unknown {
  if (trigger.type === "event") {
    const {
      id: _id,
      lateness: _lateness,
      schedule: _schedule,
      refire: _refire,
      on_gap: _onGap,
      ...rest
    } = trigger;
    // The client reads 0, which a schedule with `until` has, as the shortest window.
    const within =
      rest.posture === "Proactive" ? Math.max(rest.within, proactiveWithinMin / second) : rest.within;
    const sets = { after: [...rest.after].sort(), expect: [...rest.expect].sort() };
    return { ...rest, ...sets, within, for_each: [...rest.for_each].sort() };
  }
  const { id: _id, for_each: _forEach, ...rest } = trigger;
  return { ...rest, triggers: trigger.triggers.map(visiblePartsOf) };
}
