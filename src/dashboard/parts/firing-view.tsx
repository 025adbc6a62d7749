/** A firing: why it happened, and what became of each of its deliveries. */

import type { ReactNode } from "react";
import type { Delivery, TracedFiring } from "../../client/types.ts";
import { DeliveryBadge, FiringBadge } from "./badge.tsx";
import { AutomationLink, DeliveryLink, EventLink, KeyText } from "./links.tsx";
import { countOf } from "./numbers.ts";
import { durationText, Time } from "./times.tsx";

export interface FiringViewProps {
  readonly firing: TracedFiring;
  /** Left out on the page of the automation itself. */
  readonly showsName?: boolean;
}

/** The path of a firing, from the events that led to it to the answers of the receivers. */
export function FiringView({ firing, showsName = true }: FiringViewProps): ReactNode {
  const { automation, state, triggered, triggers, deliveries, emitted, event_id: eventId } = firing;
  return (
    <article className="firing-view stack">
      <div className="row">
        {showsName ? <AutomationLink {...automation} /> : null}
        <FiringBadge state={state} />
        <Time at={triggered} />
        <EventLink id={eventId}>its event</EventLink>
      </div>
      {triggers.map((trigger) => (
        <div key={trigger.trigger}>
          <p>
            {trigger.summary}{" "}
            {Object.keys(trigger.labels).length === 0 ? null : <KeyText labels={trigger.labels} />}
          </p>
          {trigger.window === null ? null : (
            <p className="small muted">
              Window from <Time at={trigger.window.start} as="clock" />
              {trigger.window.end === null ? null : (
                <>
                  {" to "}
                  <Time at={trigger.window.end} as="clock" />
                </>
              )}
              : {trigger.window.count} of {trigger.window.threshold}
            </p>
          )}
          {trigger.events.length === 0 ? null : (
            <details className="small">
              <summary>
                {countOf(trigger.events.length, "event")}
                {trigger.more_events ? " and more" : ""}
              </summary>
              <ul className="plain-list">
                {trigger.events.map(({ role, event }) => (
                  <li key={event.id}>
                    <Time at={event.occurred} as="clock-ms" />{" "}
                    <EventLink id={event.id}>{event.event}</EventLink> <span className="muted">{role}</span>
                  </li>
                ))}
              </ul>
            </details>
          )}
        </div>
      ))}
      <ul className="plain-list">
        {deliveries.map((delivery) => (
          <DeliveryLine key={delivery.id} delivery={delivery} />
        ))}
        {emitted.map((event) => (
          <li key={event.id}>
            emitted <EventLink id={event.id}>{event.event}</EventLink>
          </li>
        ))}
        {deliveries.length + emitted.length === 0 ? <li className="muted">No actions.</li> : null}
      </ul>
    </article>
  );
}

/** A delivery in one line: where to, where it stands, and what the receiver last answered. */
export function DeliveryLine({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const {
    id,
    action_type: type,
    target,
    state,
    reason,
    attempts,
    status_code: status,
    next_attempt: next,
  } = delivery;
  const last = attempts.at(-1);
  return (
    <li>
      <span className="row">
        <DeliveryBadge state={state} />
        <DeliveryLink id={id}>{target === null ? type : `${type} to ${target}`}</DeliveryLink>
        {status === null ? null : <span className="muted">answered {status}</span>}
        {last === undefined ? null : <span className="muted">after {durationText(last.duration_ms)}</span>}
        {delivery.attempt_count > 1 ? <span className="muted">{delivery.attempt_count} attempts</span> : null}
        {next === null ? null : (
          <span className="muted">
            next <Time at={next} as="ago" />
          </span>
        )}
      </span>
      {reason === null ? null : <span className="small">{reason}</span>}
    </li>
  );
}
