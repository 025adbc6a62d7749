/** The lists of the overview: what is silent, what fired, what changed, and who does the work. */

import type { ReactNode } from "react";
import { Link } from "wouter";
import type { ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { Badge, FiringBadge } from "../../parts/badge.tsx";
import { AutomationLink, EventLink, KeyText, resourceId, resourceName } from "../../parts/links.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded } from "../../parts/page.tsx";
import { Table } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";

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

const firingNames = ["prefect-cloud.automation.triggered", "prefect-cloud.automation.resolved"];

export function LatestFirings(): ReactNode {
  const asked = useAsk(
    ["latest-firings"],
    (tripline, signal) => tripline.events.page({ event: { name: firingNames } }, { limit: shownMax, signal }),
    { everyMs: soonMs },
  );
  return (
    <Card
      title="Latest firings"
      aside={
        <Link href={`/events?${new URLSearchParams({ event: firingNames.join(", "), range: "24h" })}`}>
          All
        </Link>
      }
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
                  cell: ({ event }) => (
                    <FiringBadge state={event.endsWith("resolved") ? "Resolved" : "Triggered"} />
                  ),
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
  return resourceId(resource).replace("prefect-cloud.automation.", "");
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

export function ShardList(): ReactNode {
  const asked = useAsk(["shards"], (tripline, signal) => tripline.shards.read({ signal }), {
    everyMs: soonMs,
  });
  return (
    <Card
      title="Engines and shards"
      aside={
        asked.data === undefined ? null : (
          <span className="muted">
            {countOf(asked.data.engines.length, "engine")}, {countOf(asked.data.count, "shard")}
          </span>
        )
      }
      flush
    >
      <Loaded asked={asked}>
        {({ shards }) => (
          <Table
            label="Shards and their owners"
            rows={shards}
            keyOf={({ shard }) => String(shard)}
            columns={[
              { heading: "Shard", kind: "title", cell: ({ shard }) => `Shard ${shard}` },
              { heading: "Owner", cell: ({ owner }) => owner ?? <Badge tone="bad">none</Badge> },
              {
                heading: "Behind",
                kind: "right",
                cell: (shard) => countOf(shard.entries_behind, "entry", "entries"),
              },
              { heading: "Delay", kind: "right", cell: ({ delay_ms: ms }) => durationText(ms) },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
