/** `webhook`: your own receiver. Notifications arrive as plain JSON, without markup. */

import type { Target } from "../http/request.ts";
import { type DefinitionOf, type DestinationKind, jsonRequest, targetAt } from "./kind.ts";

export const webhook: DestinationKind<"webhook"> = {
  compose(definition, notification, sent) {
    const { subject, body, invocation } = notification;
    const { automation, firing } = invocation;
    // A notification has a body, which not every method may carry.
    const target = { ...webhookTarget(definition), method: "POST" };
    const message = { subject, body, automation, firing };
    return jsonRequest(target, message, notification, sent, invocation.trace);
  },
  messageOf: null,
  webhookTarget,
};

function webhookTarget(definition: DefinitionOf<"webhook">): Target {
  const { url, method, headers, secret, timeout } = definition;
  return { ...targetAt(url, definition), method, headers, secret, timeout };
}
