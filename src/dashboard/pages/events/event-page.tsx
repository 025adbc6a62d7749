/** One event: what it says, what it follows, what it was to the automations, and everything that it set off. */

import type { ReactNode } from "react";
import { Link } from "wouter";
import { NotFound } from "../../../client/index.ts";
import type { AllExplanations, ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { Code, jsonText } from "../../parts/code.tsx";
import { ExplanationView } from "../../parts/explanations.tsx";
import { FiringView } from "../../parts/firing-view.tsx";
import { ResourceLink, resourceId, resourceName } from "../../parts/links.tsx";
import { countOf } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page } from "../../parts/page.tsx";
import { Fields } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";
import { EventChainView } from "./event-chain.tsx";

export default function EventPage({
  params: { id },
}: {
  readonly params: { readonly id: string };
}): ReactNode {
  const event = useAsk(["event", id], (tripline, signal) => tripline.events.get(id, { signal }));
  const may = useMay("automations:read");
  return (
    <Page
      title={event.data?.event ?? "Event"}
      actions={event.data === undefined ? null : <Similar event={event.data} />}
    >
      <Loaded asked={event}>
        {(found) => (
          <>
            <div className="columns">
              <About event={found} />
              <Payload event={found} />
            </div>
            <EventChainView id={id} />
            {may ? (
              <>
                <SetOff id={id} />
                <Judged id={id} />
              </>
            ) : null}
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Other events like this one. */
function Similar({ event }: { readonly event: ReceivedEvent }): ReactNode {
  const id = resourceId(event.resource);
  return (
    <>
      <Link className="button" href={`/events?${new URLSearchParams({ event: event.event, range: "24h" })}`}>
        Same name
      </Link>
      <Link className="button" href={`/events?${new URLSearchParams({ resource: id, range: "24h" })}`}>
        Same resource
      </Link>
      <Link
        className="button"
        href={`/events?${new URLSearchParams({ event: event.event, resource: id, range: "24h" })}`}
      >
        Both
      </Link>
    </>
  );
}

/** A delay shorter than this is not worth a word. */
const delayMsMin = 1_000;

function About({ event }: { readonly event: ReceivedEvent }): ReactNode {
  const { occurred, received, id, resource, related } = event;
  const delayMs = Date.parse(received) - Date.parse(occurred);
  return (
    <Card title="Event">
      <Fields
        fields={[
          ["Id", <code key="id">{id}</code>],
          ["Occurred", <Time key="occurred" at={occurred} />],
          [
            "Received",
            <span key="received">
              <Time at={received} />
              {delayMs > delayMsMin ? ` (${durationText(delayMs)} later)` : ""}
            </span>,
          ],
          ["Resource", <ResourceView key="resource" labels={resource} />],
          ...related.map((labels, index): readonly [string, ReactNode] => [
            `Related${related.length > 1 ? ` ${index + 1}` : ""}`,
            <ResourceView key={resourceId(labels) + String(index)} labels={labels} />,
          ]),
        ]}
      />
    </Card>
  );
}

/** Labels that are shown in another way. */
const shownElsewhere: readonly string[] = [
  "prefect.resource.id",
  "prefect.resource.name",
  "prefect.resource.role",
  "prefect.name",
];

function ResourceView({ labels }: { readonly labels: Readonly<Record<string, string>> }): ReactNode {
  const id = resourceId(labels);
  const name = resourceName(labels);
  const role = labels["prefect.resource.role"];
  const others = Object.entries(labels).filter(([label]) => !shownElsewhere.includes(label));
  return (
    <>
      <span className="row">
        <ResourceLink id={id} />
        {name === undefined || name === id ? null : <span>{name}</span>}
        {role === undefined ? null : <span className="badge">{role}</span>}
      </span>
      {others.map(([label, value]) => (
        <div key={label} className="small">
          <Link href={`/events?${new URLSearchParams({ resource: `${label}=${value}` })}`}>
            {label}={value}
          </Link>
        </div>
      ))}
    </>
  );
}

function Payload({ event }: { readonly event: ReceivedEvent }): ReactNode {
  const isEmpty = Object.keys(event.payload).length === 0;
  return (
    <Card title="Payload">
      {isEmpty ? (
        <p className="muted">Empty.</p>
      ) : (
        <Code text={jsonText(event.payload)} label="the payload" />
      )}
      <details>
        <summary className="small">The whole event as JSON</summary>
        <Code text={jsonText(event)} label="the event" />
      </details>
    </Card>
  );
}

/** How often it is looked whether deliveries have moved on. */
const setOffEveryMs = 3_000;

function SetOff({ id }: { readonly id: string }): ReactNode {
  const trace = useAsk(
    ["trace", id],
    async (tripline, signal) => {
      try {
        return await tripline.trace(id, { signal });
      } catch (error) {
        if (error instanceof NotFound) return { firings: [], truncated: false };
        throw error;
      }
    },
    { everyMs: setOffEveryMs },
  );
  return (
    <Card title="What it set off">
      <Loaded asked={trace}>
        {({ firings, truncated }) =>
          firings.length === 0 ? (
            <p className="muted">No automation has fired because of this event.</p>
          ) : (
            <>
              {firings.map((firing) => (
                <FiringView key={firing.event_id} firing={firing} />
              ))}
              {truncated ? <p className="muted">There are more firings than are shown.</p> : null}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

function Judged({ id }: { readonly id: string }): ReactNode {
  const asked = useAsk(["explain", id], (tripline, signal) =>
    tripline.automations.explainToAll(id, { signal }),
  );
  return (
    <Card title="What automations made of it">
      <Loaded asked={asked}>{(found) => <Explanations found={found} />}</Loaded>
    </Card>
  );
}

function Explanations({ found }: { readonly found: AllExplanations }): ReactNode {
  const { explanations, not_listed: notListed } = found;
  const isCovering = ({ triggers, fired }: (typeof explanations)[number]) =>
    fired || triggers.some(({ covered }) => covered === true);
  const covering = explanations.filter(isCovering);
  const near = explanations.filter((explanation) => !isCovering(explanation));
  if (explanations.length === 0)
    return (
      <Empty>
        No automation asks for events of this name
        {notListed.not_covering > 0 ? ` (of ${countOf(notListed.not_covering, "automation")})` : ""}.
      </Empty>
    );
  return (
    <>
      {covering.map((explanation) => (
        <ExplanationView key={explanation.automation.id} explanation={explanation} />
      ))}
      {notListed.covering > 0 ? (
        <p className="muted">And {countOf(notListed.covering, "more automation")} that it matches.</p>
      ) : null}
      {near.length === 0 ? null : (
        <>
          <h3>Nearly</h3>
          {near.map((explanation) => (
            <ExplanationView key={explanation.automation.id} explanation={explanation} />
          ))}
        </>
      )}
    </>
  );
}
