/** `send-notification`: a subject and a body, in the format of the destination's kind. */

import { type RunAction, underRetry } from "../attempt.ts";
import { findDestination } from "../destinations/find-destination.ts";
import { notify } from "../destinations/kinds.ts";
import { failureNote, plainMessage } from "../plain-message.ts";

export const sendNotification: RunAction<"send-notification"> = async (action, invocation, tools) => {
  const destination = await findDestination(action, tools.log);
  if (destination === null || typeof destination === "string") {
    const reason = destination ?? "the action does not name a destination";
    return underRetry({ kind: "retry", reason, afterMs: null }, action.retry, undefined);
  }
  const { renderer } = tools;
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
  const notification = { subject: subject.toWellFormed(), body: body.toWellFormed(), invocation };
  const outcome = await notify(destination.definition, notification, tools);
  return underRetry(outcome, action.retry, destination.definition.retry);
};
