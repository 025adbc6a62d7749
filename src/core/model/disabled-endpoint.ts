/**
 * Endpoints that are disabled, because they responded 410 Gone: what people see of them, and the events that report it.
 *
 * An endpoint is a destination at its present address, or the URL that an action has rendered. With another address it is
 * another endpoint.
 */

import type { Actor } from "./actor.ts";
import type { WireEvent } from "./event.ts";
import type { Invocation } from "./invocation.ts";

/** Contains no secrets. */
export interface DisabledEndpoint {
  /** A short hash over the name of the destination and its address. */
  readonly id: string;
  /** The name of the destination; null for the URL of an action. */
  readonly destination: string | null;
  /** The URL of an action, without credentials and secrets; null for a destination. */
  readonly url: string | null;
  /** RFC 3339. */
  readonly since: string;
  readonly reason: string;
  /** The id of the delivery that it refused. */
  readonly delivery: string;
  /** The automation that the delivery belonged to. */
  readonly automation: Pick<Invocation["automation"], "id" | "name">;
}

/** What a disabled endpoint is called. */
export function endpointName({ destination, url }: Pick<DisabledEndpoint, "destination" | "url">): string {
  return destination === null ? (url ?? "") : `destination ${JSON.stringify(destination)}`;
}

/** @param follows the id of the event that says that the delivery failed */
export function endpointDisabledEvent(endpoint: DisabledEndpoint, id: string, follows: string): WireEvent {
  const { reason, since, delivery } = endpoint;
  return endpointEvent("disabled", endpoint, { id, follows, occurred: since }, { reason, delivery });
}

/** Why an endpoint was enabled. */
export interface Enabling {
  readonly reason: string;
  /** Who did it; null if it happened by itself. */
  readonly actor: Actor | null;
}

export function endpointEnabledEvent(
  endpoint: DisabledEndpoint,
  { id, occurred, reason, actor }: Enabling & { readonly id: string; readonly occurred: string },
): WireEvent {
  // It follows no event, because the one that disabled the endpoint may be older than any that is remembered.
  const { since, delivery } = endpoint;
  const payload = { reason, changed_by: actor, disabled_since: since, delivery };
  return endpointEvent("enabled", endpoint, { id, follows: null, occurred }, payload);
}

function endpointEvent(
  what: "disabled" | "enabled",
  { id, destination, url, automation }: DisabledEndpoint,
  fields: Pick<WireEvent, "id" | "follows" | "occurred">,
  payload: WireEvent["payload"],
): WireEvent {
  return {
    ...fields,
    event: `tripline.endpoint.${what}`,
    resource: {
      "prefect.resource.id": `tripline.endpoint.${id}`,
      "prefect.resource.name": destination ?? url ?? "",
      ...(destination === null ? {} : { "tripline.destination": destination }),
    },
    related: [
      {
        "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
        "prefect.resource.role": "automation",
        "prefect.resource.name": automation.name,
        "prefect-cloud.name": automation.name,
      },
    ],
    payload: { endpoint: id, destination, url, ...payload },
  };
}
