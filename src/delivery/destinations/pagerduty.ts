/** Notifications as PagerDuty takes them: https://developer.pagerduty.com/docs/events-api-v2-overview */

import { canonicalJson } from "../../core/model/automation.ts";
import { cut } from "../../core/model/cut.ts";
import type { DestinationDefinition } from "../../core/model/destination.ts";
import { uuid5 } from "../../core/model/uuid.ts";
import type { Notification } from "../actions/send-notification.ts";

const summaryLengthMax = 1_024;

// PagerDuty refuses events of more than 512 KB, and a character may take six bytes as JSON.
const sourceLengthMax = 1_024;
const bodyLengthMax = 50_000;

/**
 * A firing opens an incident; the resolution of that absence closes it. One incident per automation and labels: while
 * it is open, further firings are added to it.
 */
export function pagerDutyEvent(
  { routing_key, severity }: Extract<DestinationDefinition, { type: "pagerduty" }>,
  { subject, body, invocation }: Notification,
): object {
  const { automation, firing } = invocation;
  const labels = firing.triggering_labels;
  const resourceId = firing.triggering_event?.resource["prefect.resource.id"]?.trim() ?? "";
  const event = {
    routing_key,
    event_action: firing.trigger_states[0] === "Resolved" ? "resolve" : "trigger",
    dedup_key: uuid5(automation.id, canonicalJson(labels)),
    payload: {
      summary: cut(subject === "" ? automation.name : subject, summaryLengthMax),
      source: cut(resourceId || automation.name, sourceLengthMax), // a blank one is refused
      severity,
      timestamp: firing.triggered,
      custom_details: {
        body: cut(body, bodyLengthMax),
        automation: automation.name,
        labels,
        firing: firing.id,
      },
    },
  };
  return event;
}
