/** `send-notification`: a subject and a body, in the format of the destination's kind. */

import type { ActionDefinition } from "../../core/model/action.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import type { Renderer } from "../../templates/renderer.ts";
import { type RunAction, underRetry } from "../attempt.ts";
import { findDestination } from "../destinations/find-destination.ts";
import type { Notification } from "../destinations/kind.ts";
import { notify } from "../destinations/kinds.ts";
import { failureNote, plainMessage } from "../plain-message.ts";

type SendNotificationDefinition = Extract<ActionDefinition, { type: "send-notification" }>;

export const sendNotification: RunAction<"send-notification"> = async (action, invocation, tools) => {
  const destination = await findDestination(action, tools.log);
  if (destination === null || typeof destination === "string") {
    const reason = destination ?? "the action does not name a destination";
    return underRetry({ kind: "retry", reason, afterMs: null }, action.retry, undefined);
  }
  const notification = { ...renderNotification(action, invocation, tools.renderer), invocation };
  const outcome = await notify(destination.definition, notification, tools);
  return underRetry(outcome, action.retry, destination.definition.retry);
};

/** The texts of a notification. What cannot be rendered is replaced, and recorded by the renderer. */
export function renderNotification(
  action: SendNotificationDefinition,
  invocation: Invocation,
  renderer: Renderer,
): Pick<Notification, "subject" | "body"> {
  const subject = renderer
    .textOr("subject", action.subject, () => invocation.automation.name)
    .replaceAll(/\s+/g, " ")
    .trim();
  const failedBefore = [...renderer.failures];
  const rendered = renderer.textOr("body", action.body, (failure) =>
    plainMessage(invocation, [...failedBefore, failure]),
  );
  const body =
    renderer.failures.length === 1 && failedBefore.length === 1
      ? `${rendered}\n\n${failureNote(failedBefore)}`
      : rendered;
  // An event may hold half a surrogate pair. Few receivers can decode that, and most refuse it for good.
  return { subject: subject.toWellFormed(), body: body.toWellFormed() };
}
