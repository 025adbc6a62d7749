/** `pause-automation` and `resume-automation`: disable or enable an automation. */

import type { PauseAutomationDefinition, ResumeAutomationDefinition } from "../../core/model/action.ts";
import { automationEvent } from "../../core/model/automation-view.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import { millisecond } from "../../core/model/time.ts";
import { uuid5 } from "../../core/model/uuid.ts";
import type { AttemptOutcome, AttemptTools, RunAction } from "../attempt.ts";
import type { DeliveryLog } from "../ports.ts";

export const pauseAutomation: RunAction<"pause-automation"> = (action, invocation, tools) =>
  setEnabled(action, invocation, tools, false);

export const resumeAutomation: RunAction<"resume-automation"> = (action, invocation, tools) =>
  setEnabled(action, invocation, tools, true);

async function setEnabled(
  action: PauseAutomationDefinition | ResumeAutomationDefinition,
  invocation: Invocation,
  { log, clock }: AttemptTools,
  enabled: boolean,
): Promise<AttemptOutcome> {
  const target = await findTarget(action, invocation, log);
  if ("reason" in target) return { kind: "failed", reason: target.reason };
  const at = clock.timeOfDay() * millisecond;
  const changed = await log.updateAutomation(
    target.id,
    // If nothing changes, there must be no event about an update.
    (current) => (current.enabled === enabled ? current : { ...current, enabled, updated: at }),
    (automation, before) => ({
      event: automationEvent("updated", automation, {
        // Derived from the invocation: a repeated attempt reports the change once.
        id: uuid5(invocation.id, "updated"),
        at,
        follows: invocation.firingEventId,
        actor: { type: "action", name: invocation.automation.name, id: invocation.automation.id },
        before,
      }),
      lineage: invocation.lineage,
      trace: invocation.trace,
    }),
  );
  if (changed === null) return { kind: "failed", reason: `automation ${target.id} does not exist` };
  return { kind: "executed", result: { automation_id: changed.id, automation: changed.name, enabled } };
}

/** The automation that the action is about, or why there is none. */
export async function findTarget(
  action: PauseAutomationDefinition | ResumeAutomationDefinition,
  { firing }: Invocation,
  log: Pick<DeliveryLog, "automations">,
): Promise<{ readonly id: string } | { readonly reason: string }> {
  if (action.source === "inferred") {
    const event = firing.triggering_event;
    if (event === null)
      return { reason: "source inferred needs a triggering event, and this firing has none" };
    const [id] = [event.resource, ...event.related].flatMap((resource) => automationIdIn(resource) ?? []);
    return id === undefined ? { reason: "the triggering event does not refer to an automation" } : { id };
  }
  if (typeof action.automation_id === "string") return { id: action.automation_id };
  const named = (await log.automations()).filter(({ name }) => name === action.automation);
  const [found, other] = named;
  if (found === undefined) return { reason: `no automation is named ${JSON.stringify(action.automation)}` };
  if (other === undefined) return { id: found.id };
  const ids = named.map(({ id }) => id).join(", ");
  return {
    reason: `${named.length} automations are named ${JSON.stringify(action.automation)}; use automation_id instead (${ids})`,
  };
}

function automationIdIn(resource: Readonly<Record<string, string>>): string | null {
  const pattern = /^prefect(?:-cloud)?\.automation\.([0-9a-f-]{36})(?:\.|$)/i;
  return pattern.exec(resource["prefect.resource.id"] ?? "")?.[1]?.toLowerCase() ?? null;
}
