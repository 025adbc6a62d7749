/** The one interface that every kind of destination implements. */

import { webhookTimeoutDefault } from "../../core/model/action.ts";
import {
  type DestinationDefinition,
  destinationAddress,
  destinationSecrets,
} from "../../core/model/destination.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import type { TraceContext } from "../../core/model/trace-context.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";
import type { AttemptOutcome, AttemptTools } from "../attempt.ts";
import { prepareRequest, type Target } from "../http/request.ts";
import type { RequestLimit } from "../http/request-limit.ts";
import { sendRequest } from "../http/send-request.ts";

export type DestinationType = DestinationDefinition["type"];
export type DefinitionOf<T extends DestinationType> = Extract<DestinationDefinition, { type: T }>;

/** A rendered notification. */
export interface Notification {
  /** One line; may be empty. */
  readonly subject: string;
  readonly body: string;
  readonly invocation: Invocation;
}

export interface DestinationKind<T extends DestinationType> {
  /** Makes one attempt to send a notification. */
  notify(
    definition: DefinitionOf<T>,
    notification: Notification,
    tools: AttemptTools,
  ): Promise<AttemptOutcome>;
  /** The message of a chat service, which takes no other JSON; null for the other kinds. */
  readonly messageOf: ((notification: Notification) => object) | null;
  /** Where `call-webhook` sends to; null for a kind that takes only notifications. */
  readonly webhookTarget: ((definition: DefinitionOf<T>) => Target) | null;
}

/** A target with this URL and the defaults, whose errors name the destination and hide its secrets. */
export function targetAt(url: string, definition: DestinationDefinition): Target {
  return {
    url,
    method: "POST",
    headers: {},
    secret: undefined,
    timeout: webhookTimeoutDefault,
    limit: limitOf(definition),
    destination: { name: definition.name, address: destinationAddress(definition) },
    identity: { destination: definition.name },
    hidden: destinationSecrets(definition).map(({ value }) => value),
  };
}

/** The limits of a destination; null if it has none. */
export function limitOf({ name, limits }: DestinationDefinition): RequestLimit | null {
  if (limits === undefined) return null;
  const id = uuid5(triplineNamespace, `limits of destination ${name}`);
  return { id, name: `destination ${JSON.stringify(name)}`, limits };
}

/**
 * Posts a notification as JSON.
 *
 * @param trace left out for third-party services, which have no use for the ids of your traces
 */
export function postJson(
  target: Target,
  message: object,
  { invocation }: Notification,
  tools: AttemptTools,
  trace: TraceContext | null = null,
): Promise<AttemptOutcome> {
  const body = { body: JSON.stringify(message), contentType: "application/json" };
  const sent = new Date(tools.clock.timeOfDay());
  return sendRequest(prepareRequest(target, body, invocation.id, sent, trace), tools);
}

type ChatDefinition = DefinitionOf<"slack" | "ms-teams" | "discord">;

/** A kind for a chat service: everything is posted to the URL that it gave for incoming webhooks. */
export function chatKind(messageOf: (notification: Notification) => object) {
  const webhookTarget = (definition: ChatDefinition): Target => targetAt(definition.url, definition);
  return {
    notify: (definition: ChatDefinition, notification: Notification, tools: AttemptTools) =>
      postJson(webhookTarget(definition), messageOf(notification), notification, tools),
    messageOf,
    webhookTarget,
  };
}
