/**
 * The canary: an event that a server sends itself at regular intervals, and that takes the whole way of an alarm: through
 * ingest, the log, an engine, the outbox, the queue and a worker, to a webhook that the server receives.
 *
 * Its automation belongs to the server. It is not listed, and people's automations do not see its event, unless they name
 * it: otherwise one that waits for any event would fire, and one that misses every event would be silent.
 */

import { type Automation, AutomationSchema } from "./automation.ts";
import { triggerIdOf } from "./automation-ids.ts";
import type { WireEvent } from "./event.ts";
import { formatTime, type Micros } from "./time.ts";
import { withTriggerIds } from "./trigger.ts";
import { triplineNamespace, uuid5 } from "./uuid.ts";

export const canaryEventName = "tripline.canary";

/** The same in every workspace, so that it is recognized by its id alone. */
export const canaryAutomationId = uuid5(triplineNamespace, "canary");

/** Whether an automation is that of the canary. */
export function isCanary(automationId: string): boolean {
  return automationId === canaryAutomationId;
}

const secretName = "CANARY_SECRET";

/**
 * The automation that reacts to the canary.
 *
 * @param url where the webhook goes
 * @param secret signs it
 */
export function canaryAutomation(url: string, secret: string, at: Micros): Automation {
  const definition = AutomationSchema.parse({
    name: canaryEventName,
    description: "Shows that alarms reach the server itself. Turn it off with --canary 0.",
    trigger: { expect: [canaryEventName], match: { "prefect.resource.id": canaryEventName }, within: 0 },
    actions: [
      {
        type: "call-webhook",
        url,
        payload: { id: "{{ event.id }}" },
        secret: `\${env.${secretName}}`,
        // The next canary takes the same way. One that is tried for longer would say nothing more.
        retry: { for: "30s" },
        timeout: "10s",
      },
    ],
  });
  const id = canaryAutomationId;
  return {
    ...definition,
    id,
    trigger: withTriggerIds(definition.trigger, (path) => triggerIdOf(id, path)),
    source: { kind: "api" },
    secrets: { [secretName]: secret },
    created: at,
    updated: at,
  };
}

export function canaryEvent(id: string, at: Micros): WireEvent {
  return {
    occurred: formatTime(at),
    event: canaryEventName,
    resource: { "prefect.resource.id": canaryEventName, "prefect.resource.name": "Tripline's canary" },
    related: [],
    payload: {},
    id,
    follows: null,
  };
}
