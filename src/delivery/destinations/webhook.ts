/** `webhook`: your own receiver. Notifications arrive as plain JSON, without markup. */

import type { Target } from "../http/request.ts";
import { type DefinitionOf, type DestinationKind, postJson, targetAt } from "./kind.ts";

export const webhook: DestinationKind<"webhook"> = {
  notify(definition, notification, tools) {
    const { subject, body, invocation } = notification;
    const { automation, firing } = invocation;
    // A notification has a body, which not every method may carry.
    const target = { ...webhookTarget(definition), method: "POST" };
    const message = { subject, body, automation, firing };
    return postJson(target, message, notification, tools, invocation.trace);
  },
  messageOf: null,
  webhookTarget,
};

function webhookTarget(definition: DefinitionOf<"webhook">): Target {
  const { url, method, headers, secret, timeout } = definition;
  return { ...targetAt(url, definition), method, headers, secret, timeout };
}
