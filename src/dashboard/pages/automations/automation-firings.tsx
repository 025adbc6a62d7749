/** The firings of an automation, and the deliveries that have not been made. */

import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import type { ListedState, ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { FiringBadge } from "../../parts/badge.tsx";
import { firingFilter, firingNames, firingState, resourceOf } from "../../parts/firing-events.ts";
import { DeliveryLine, FiringView } from "../../parts/firing-view.tsx";
import { EventLink } from "../../parts/links.tsx";
import { countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded } from "../../parts/page.tsx";
import { Time } from "../../parts/times.tsx";

const everyMs = 4_000;
const shownMax = 20;

export function AutomationFirings({ id }: { readonly id: string }): ReactNode {
  const resource = resourceOf(id);
  const asked = useAsk(
    ["firings", id],
    (tripline, signal) =>
      tripline.events.page({ ...firingFilter, resource: { id: [resource] } }, { limit: shownMax, signal }),
    { everyMs },
  );
  const all = new URLSearchParams({ event: firingNames, resource, range: "30d" });
  return (
    <Card title="Firings" aside={<Link href={`/events?${all}`}>All</Link>}>
      <Loaded asked={asked}>
        {({ events, total }) =>
          events.length === 0 ? (
            <Empty>It has not fired within the time that the history keeps.</Empty>
          ) : (
            <>
              <ul className="plain-list">
                {events.map((event) => (
                  <Firing key={event.id} event={event} />
                ))}
              </ul>
              {total > events.length ? (
                <p className="small muted">
                  The latest {shownMax} of {countText(total)}.
                </p>
              ) : null}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

/** A firing in a line; unfolded, its whole path. */
function Firing({ event }: { readonly event: ReceivedEvent }): ReactNode {
  const [isOpen, setOpen] = useState(false);
  return (
    <li>
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <FiringBadge state={firingState(event)} /> <Time at={event.occurred} />{" "}
          <Time at={event.occurred} as="ago" />
        </summary>
        {isOpen ? <Path id={event.id} /> : null}
      </details>
    </li>
  );
}

function Path({ id }: { readonly id: string }): ReactNode {
  const asked = useAsk(["trace", id], (tripline, signal) => tripline.trace(id, { signal }), { everyMs });
  return (
    <Loaded asked={asked}>
      {({ firings }) => (
        <>
          {firings.map((firing) => (
            <FiringView key={firing.event_id} firing={firing} showsName={false} />
          ))}
          <EventLink id={id}>Its event</EventLink>
        </>
      )}
    </Loaded>
  );
}

const pendingStates: readonly ListedState[] = ["retrying", "waiting", "dead"];
const pendingMax = 10;

export function AutomationDeliveries({ id }: { readonly id: string }): ReactNode {
  const asked = useAsk(
    ["pending-deliveries", id],
    (tripline, signal) =>
      Promise.all(
        pendingStates.map((state) =>
          tripline.deliveries.list({ state, automation: id, limit: pendingMax, signal }),
        ),
      ),
    { everyMs },
  );
  return (
    <Card
      title="Deliveries that were not made"
      aside={
        <Link href={`/deliveries?${new URLSearchParams({ state: "delivered", automation: id })}`}>
          Those that were
        </Link>
      }
    >
      <Loaded asked={asked}>
        {(pages) => {
          const deliveries = pages.flatMap((page) => page.deliveries);
          return deliveries.length === 0 ? (
            <p className="muted">None: everything has been delivered.</p>
          ) : (
            <ul className="plain-list">
              {deliveries.map((delivery) => (
                <DeliveryLine key={delivery.id} delivery={delivery} />
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Card>
  );
}
