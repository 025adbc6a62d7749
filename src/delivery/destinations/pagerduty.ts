/** `pagerduty`: the Events API v2, https://developer.pagerduty.com/docs/events-api-v2-overview */

import { canonicalJson } from "../../core/model/automation.ts";
import { cut } from "../../core/model/cut.ts";
import { uuid5 } from "../../core/model/uuid.ts";
import { type DefinitionOf, type DestinationKind, jsonRequest, type Notification, targetAt } from "./kind.ts";

const summaryLengthMax = 1_024;

// PagerDuty refuses events over 512 KB, and a character may take six bytes as JSON.
const sourceLengthMax = 1_024;
const bodyLengthMax = 50_000;

export const pagerDuty: DestinationKind<"pagerduty"> = {
  compose(definition, notification, sent) {
    const message = eventOf(definition, notification);
    return jsonRequest(targetAt(definition.url, definition), message, notification, sent);
  },
  messageOf: null,
  webhookTarget: null,
};

/**
 * A firing opens an incident, and the resolution of that absence closes it. There is one incident per automation and
 * labels: while it is open, further firings are added to it.
 */
function eventOf(
  { routing_key, severity }: DefinitionOf<"pagerduty">,
  { subject, body, invocation }: Notification,
): object {
  const { automation, firing } = invocation;
  const labels = firing.triggering_labels;
  const resourceId = firing.triggering_event?.resource["prefect.resource.id"]?.trim() ?? "";
  return {
    routing_key,
    event_action: firing.trigger_states[0] === "Resolved" ? "resolve" : "trigger",
    dedup_key: uuid5(automation.id, canonicalJson(labels)),
    payload: {
      summary: cut(subject === "" ? automation.name : subject, summaryLengthMax),
      source: cut(resourceId || automation.name, sourceLengthMax), // PagerDuty refuses a blank one
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
}
