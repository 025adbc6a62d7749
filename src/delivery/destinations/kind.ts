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
import { type PreparedRequest, prepareRequest, type Target } from "../http/request.ts";
import type { RequestLimit } from "../http/request-limit.ts";

export type DestinationType = DestinationDefinition["type"];
export type DefinitionOf<T extends DestinationType> = Extract<DestinationDefinition, { type: T }>;

/** A rendered notification. */
export interface Notification {
  /** One line; may be empty. */
  readonly subject: string;
  readonly body: string;
  readonly invocation: Invocation;
}

/** An email that is ready to send. */
export interface PreparedEmail {
  readonly email: DefinitionOf<"email">;
  /** The id of the delivery that it belongs to. */
  readonly deliveryId: string;
  readonly subject: string;
  readonly text: string;
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface DestinationKind<T extends DestinationType> {
  /**
   * What one attempt to send a notification sends. Sends nothing itself.
   *
   * @param sent when
   */
  compose(
    definition: DefinitionOf<T>,
    notification: Notification,
    sent: Date,
  ): PreparedRequest | PreparedEmail;
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
 * The request that posts a notification as JSON.
 *
 * @param trace left out for third-party services, which have no use for the ids of your traces
 */
export function jsonRequest(
  target: Target,
  message: object,
  { invocation }: Notification,
  sent: Date,
  trace: TraceContext | null = null,
): PreparedRequest {
  const body = { body: JSON.stringify(message), contentType: "application/json" };
  return prepareRequest(target, body, invocation.id, sent, trace);
}

type ChatDefinition = DefinitionOf<"slack" | "ms-teams" | "discord">;

/** A kind for a chat service: everything is posted to the URL that it gave for incoming webhooks. */
export function chatKind(messageOf: (notification: Notification) => object) {
  const webhookTarget = (definition: ChatDefinition): Target => targetAt(definition.url, definition);
  return {
    compose: (definition: ChatDefinition, notification: Notification, sent: Date) =>
      jsonRequest(webhookTarget(definition), messageOf(notification), notification, sent),
    messageOf,
    webhookTarget,
  };
}
