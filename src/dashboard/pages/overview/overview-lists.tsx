/** The lists of the overview: what is silent, what fired, what changed, and who does the work. */

import type { ReactNode } from "react";
import { Link } from "wouter";
import type { ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { FiringBadge } from "../../parts/badge.tsx";
import { firingFilter, firingNames, firingState, resourceOf } from "../../parts/firing-events.ts";
import { AutomationLink, EventLink, KeyText, resourceId, resourceName } from "../../parts/links.tsx";
import { countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded } from "../../parts/page.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";

const soonMs = 4_000;
const laterMs = 15_000;
const shownMax = 10;

/** @param props.count how many there are in all, as the overview says */
export function SilentNow({ count }: { readonly count: number }): ReactNode {
  const asked = useAsk(
    ["silent", count],
    (tripline, signal) => tripline.automations.allWindows({ unresolved: true, limit: shownMax, signal }),
    { everyMs: soonMs, keepsPrevious: true },
  );
  return (
    <Card
      title="Silent now"
      aside={count > shownMax ? <span className="muted">{countText(count)} in all</span> : null}
      flush
    >
      <Loaded asked={asked}>
        {({ windows }) =>
          windows.length === 0 ? (
            <Empty>Nothing that should be heard of is silent.</Empty>
          ) : (
            <Table
              label="What is silent now"
              rows={windows}
              keyOf={({ automation, trigger, labels }) =>
                `${automation.id} ${trigger} ${JSON.stringify(labels)}`
              }
              columns={[
                { heading: "What", kind: "title", cell: ({ labels }) => <KeyText labels={labels} /> },
                { heading: "Automation", cell: ({ automation }) => <AutomationLink {...automation} /> },
                {
                  heading: "Last event",
                  cell: ({ last_event: last }) =>
                    last === null ? "none" : <EventLink id={last}>show</EventLink>,
                },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

export function LatestFirings(): ReactNode {
  const asked = useAsk(
    ["latest-firings"],
    (tripline, signal) => tripline.events.page(firingFilter, { limit: shownMax, signal }),
    { everyMs: soonMs },
  );
  return (
    <Card
      title="Latest firings"
      aside={<Link href={`/events?${new URLSearchParams({ event: firingNames, range: "24h" })}`}>All</Link>}
      flush
    >
      <Loaded asked={asked}>
        {({ events }) =>
          events.length === 0 ? (
            <Empty>Nothing has fired yet.</Empty>
          ) : (
            <Table
              label="The latest firings"
              rows={events}
              keyOf={({ id }) => id}
              columns={[
                {
                  heading: "Automation",
                  kind: "title",
                  cell: (event) => (
                    <AutomationLink
                      id={automationIdOf(event)}
                      name={resourceName(event.resource) ?? automationIdOf(event)}
                    />
                  ),
                },
                { heading: "Key", cell: ({ payload }) => <KeyText labels={labelsIn(payload)} /> },
                {
                  heading: "State",
                  cell: (event) => <FiringBadge state={firingState(event)} />,
                },
                {
                  heading: "When",
                  kind: "right",
                  cell: ({ id, occurred }) => (
                    <EventLink id={id}>
                      <Time at={occurred} as="ago" />
                    </EventLink>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

/** The automation that an event about a firing is about. */
function automationIdOf({ resource }: ReceivedEvent): string {
  return resourceId(resource).slice(resourceOf("").length);
}

/** The key of a firing, as its event has it. */
function labelsIn({ triggering_labels: labels }: ReceivedEvent["payload"]): Record<string, string> {
  return typeof labels === "object" && labels !== null ? (labels as Record<string, string>) : {};
}

export function LatestChanges(): ReactNode {
  const asked = useAsk(
    ["changes"],
    (tripline, signal) => tripline.automations.changes({ limit: shownMax, signal }),
    {
      everyMs: laterMs,
    },
  );
  return (
    <Card title="Latest changes" flush>
      <Loaded asked={asked}>
        {(changes) =>
          changes.length === 0 ? (
            <Empty>No automation has been changed.</Empty>
          ) : (
            <Table
              label="The latest changes of automations"
              rows={changes}
              keyOf={({ event_id: id }) => id}
              columns={[
                {
                  heading: "Automation",
                  kind: "title",
                  cell: ({ automation }) => <AutomationLink {...automation} />,
                },
                { heading: "Change", cell: ({ change }) => change },
                {
                  heading: "When",
                  kind: "right",
                  cell: ({ event_id: id, at }) => (
                    <EventLink id={id}>
                      <Time at={at} as="ago" />
                    </EventLink>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  );
}
