/** Every kind of destination, by its type. */

import type { DestinationDefinition } from "../../core/model/destination.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import type { TemplateFailure } from "../../templates/renderer.ts";
import { TemplateError } from "../../templates/template.ts";
import type { AttemptOutcome, AttemptTools } from "../attempt.ts";
import type { PreparedRequest, Target } from "../http/request.ts";
import { sendRequest } from "../http/send-request.ts";
import { plainMessage } from "../plain-message.ts";
import { discord } from "./discord.ts";
import { email, sendEmail } from "./email.ts";
import type { DestinationKind, DestinationType, Notification, PreparedEmail } from "./kind.ts";
import { teams } from "./ms-teams.ts";
import { pagerDuty } from "./pagerduty.ts";
import { slack } from "./slack.ts";
import { webhook } from "./webhook.ts";

const kinds: { readonly [T in DestinationType]: DestinationKind<T> } = {
  discord,
  email,
  "ms-teams": teams,
  pagerduty: pagerDuty,
  slack,
  webhook,
};

/** Makes one attempt to send a notification. @throws TemplateError */
export async function notify(
  definition: DestinationDefinition,
  notification: Notification,
  tools: AttemptTools,
): Promise<AttemptOutcome> {
  const prepared = composed(definition, notification, new Date(tools.clock.timeOfDay()));
  return "email" in prepared ? sendEmail(prepared, tools) : sendRequest(prepared, tools);
}

/** What `notify` sends. Sends nothing itself. @param sent when */
export function composed(
  definition: DestinationDefinition,
  notification: Notification,
  sent: Date,
): PreparedRequest | PreparedEmail {
  return kindOf(definition).compose(definition, notification, sent);
}

/** Where `call-webhook` sends to. @throws TemplateError when the destination takes only notifications */
export function webhookTargetOf(definition: DestinationDefinition): Target {
  const { webhookTarget } = kindOf(definition);
  if (webhookTarget !== null) return webhookTarget(definition);
  const { name, type } = definition;
  throw new TemplateError(
    `destination ${JSON.stringify(name)} (${type}) takes only notifications; use send-notification instead of call-webhook`,
  );
}

/** A plain message in the form of a chat service; null for a kind that takes any JSON. */
export function chatMessageOf(
  definition: DestinationDefinition,
  failures: readonly TemplateFailure[],
  invocation: Invocation,
): object | null {
  const body = plainMessage(invocation, failures);
  return kindOf(definition).messageOf?.({ subject: invocation.automation.name, body, invocation }) ?? null;
}

// The type of a definition chooses its kind, which the compiler cannot follow.
function kindOf({ type }: DestinationDefinition): DestinationKind<DestinationType> {
  return kinds[type] as DestinationKind<DestinationType>;
}
