/** A firing as cases see it, with the requests that its webhooks would send. */

import { invocationsOf } from "../core/machine/consequence.ts";
import type { Firing } from "../core/machine/firing.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import { renderRequest } from "../delivery/actions/call-webhook.ts";
import { renderNotification } from "../delivery/actions/send-notification.ts";
import { emittedEventsOf } from "../delivery/emitted-events.ts";
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

/** What a destination would get; its kind decides how that is shown there. */
export interface GotNotification {
  readonly destination: string;
  readonly subject: string;
  readonly body: string;
}

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
  /** One for each `send-notification`, in order. */
  readonly notifications: readonly GotNotification[];
  /** What could not be rendered, besides requests. */
  readonly problems: readonly string[];
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
    ...notificationsOf(firing),
  };
}

function notificationsOf(firing: Firing): Pick<GotFiring, "notifications" | "problems"> {
  const notifications: GotNotification[] = [];
  const problems = [...emittedEventsOf(firing).problems];
  for (const invocation of invocationsOf(firing)) {
    const { action } = invocation;
    if (action.type !== "send-notification") continue;
    const renderer = new Renderer(invocation);
    const texts = renderNotification(action, invocation, renderer);
    notifications.push({ destination: action.destination ?? action.block_document_id ?? "", ...texts });
    // In production something plain would be sent; in a case, that is a mistake.
    problems.push(...renderer.failures.slice(0, 1).map(({ field, reason }) => `${field}: ${reason}`));
  }
  return { notifications, problems };
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
