/** A firing as cases see it, with the requests that its webhooks would send. */

import { invocationsOf } from "../core/machine/consequence.ts";
import type { Firing } from "../core/machine/firing.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import { renderRequest } from "../delivery/actions/call-webhook.ts";
import { Renderer } from "../templates/renderer.ts";
import { TemplateError } from "../templates/template.ts";

/** A request, or the reason why it could not be rendered. */
export type GotRequest =
  | {
      readonly method: string;
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | null;
    }
  | { readonly problem: string };

export interface GotFiring {
  readonly id: string;
  readonly automation: string;
  readonly at: Micros;
  readonly state: "Triggered" | "Resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly event: string | null;
  readonly late: boolean;
  /** One for each `call-webhook` with a url, in order. */
  readonly requests: readonly GotRequest[];
}

/** Renders the requests of the firing's webhooks with the code that sends them in production. */
export function gotFiring(firing: Firing): GotFiring {
  const { id, automation, triggered, state, labels, event, late } = firing;
  return {
    id,
    automation: automation.name,
    at: triggered,
    state,
    labels,
    event: event?.id ?? null,
    late,
    requests: requestsOf(firing),
  };
}

function requestsOf(firing: Firing): GotRequest[] {
  const sent = new Date(firing.triggered / millisecond);
  return invocationsOf(firing).flatMap((invocation): GotRequest[] => {
    const { action } = invocation;
    // Only the server knows the address of a destination.
    if (action.type !== "call-webhook" || action.url === undefined) return [];
    try {
      const renderer = new Renderer(invocation);
      const { request } = renderRequest(action, invocation, renderer, sent);
      const [failure] = renderer.failures;
      // In production something plain would be sent; in a case, that is a mistake.
      if (failure !== undefined) return [{ problem: `${failure.field}: ${failure.reason}` }];
      const { method, url, headers, body } = request;
      return [{ method, url: url.href, headers, body }];
    } catch (error) {
      if (error instanceof TemplateError) return [{ problem: error.message }];
      throw error;
    }
  });
}
