/** `send-notification`: a subject and a body, in the form that each kind of destination wants. */

import type { DestinationDefinition } from "../../core/model/destination.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import type { RunAction } from "../attempt.ts";
import { discordMessage, plainMessage, slackMessage, teamsMessage } from "../destinations/chat.ts";
import { destinationOf, targetOf } from "../destinations/destination.ts";
import { sendEmail } from "../destinations/email.ts";
import { pagerDutyEvent } from "../destinations/pagerduty.ts";
import { requestTo, sendRequest } from "./call-webhook.ts";

/** What is to be told, rendered. */
export interface Notification {
  /** One line. */
  readonly subject: string;
  readonly body: string;
  readonly invocation: Invocation;
}

export const sendNotification: RunAction<"send-notification"> = async (action, invocation, tools) => {
  const destination = await destinationOf(action, tools.log);
  if (destination === null || typeof destination === "string") {
    return { kind: "failed", reason: destination ?? "the action names no destination" };
  }
  const { definition } = destination;
  const subject = tools.renderer.text(action.subject).replaceAll(/\s+/g, " ").trim();
  // Events may hold half a surrogate pair. Few receivers read that, and what they cannot read is refused for good.
  const body = tools.renderer.text(action.body).toWellFormed();
  const notification = { subject: subject.toWellFormed(), body, invocation };
  if (definition.type === "email") return sendEmail(definition, notification, tools);
  const message = JSON.stringify(messageFor(definition, notification));
  const contentType = "application/json";
  const target = targetOf(destination, "notification");
  return sendRequest(requestTo(target, { body: message, contentType }, invocation.id, new Date()), tools);
};

function messageFor(
  definition: Exclude<DestinationDefinition, { type: "email" }>,
  notification: Notification,
): object {
  switch (definition.type) {
    case "webhook":
      return plainMessage(notification);
    case "slack":
      return slackMessage(notification);
    case "ms-teams":
      return teamsMessage(notification);
    case "discord":
      return discordMessage(notification);
    case "pagerduty":
      return pagerDutyEvent(definition, notification);
  }
}
