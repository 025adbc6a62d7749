/** Where messages go, and whether they arrive. */

import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import type { DestinationHealth, DestinationTest, UrlHealth } from "../../../client/types.ts";
import { useAsk, useChange } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { Badge } from "../../parts/badge.tsx";
import { AutomationLink } from "../../parts/links.tsx";
import { MessageView } from "../../parts/message-view.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page, Problem } from "../../parts/page.tsx";
import { type CardColumn, Table } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";

const everyMs = 5_000;

type Health = DestinationHealth | UrlHealth;

export default function DestinationList(): ReactNode {
  const asked = useAsk(
    ["destinations-health"],
    (tripline, signal) => tripline.destinations.health({ signal }),
    { everyMs },
  );
  return (
    <Page title="Destinations" lead="Where webhooks and notifications go, and whether they arrive.">
      <Loaded asked={asked}>
        {({ destinations, targets, target_count: count, complete }) => (
          <>
            {complete ? null : (
              <p className="small muted">
                There are so many deliveries that only the first 1,000 of each state are counted.
              </p>
            )}
            {destinations.length === 0 ? (
              <Card>
                <Empty>
                  There are no destinations. Rule files define them under <code>destinations:</code>, so that
                  automations can name them.
                </Empty>
              </Card>
            ) : (
              destinations.map((destination) => (
                <Destination key={destination.id} destination={destination} />
              ))
            )}
            {targets.length === 0 ? null : (
              <Card
                title="URLs that automations name themselves"
                aside={
                  count > targets.length ? <span className="muted">{countText(count)} in all</span> : null
                }
                flush
              >
                <Table
                  label="URLs"
                  rows={targets}
                  keyOf={({ url }) => url}
                  columns={[
                    { heading: "URL", kind: "title", cell: ({ url }: UrlHealth) => <code>{url}</code> },
                    ...healthColumns,
                  ]}
                />
              </Card>
            )}
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** Whether a target takes what it is sent, in a word. */
function HealthBadge({ health }: { readonly health: Health }): ReactNode {
  const {
    disabled,
    resting_until: resting,
    retrying,
    last_failed: failed,
    last_delivered: delivered,
  } = health;
  if (disabled) return <Badge tone="bad">disabled (410 Gone)</Badge>;
  if (resting !== null) return <Badge tone="bad">down</Badge>;
  if (retrying > 0) return <Badge tone="warn">retrying</Badge>;
  if (failed !== null && (delivered === null || failed.at > delivered))
    return <Badge tone="warn">last one failed</Badge>;
  return delivered === null ? <Badge>not used today</Badge> : <Badge tone="ok">works</Badge>;
}

const healthColumns: CardColumn<UrlHealth>[] = [
  { heading: "Health", cell: (health) => <HealthBadge health={health} /> },
  { heading: "Waiting", kind: "right", cell: ({ waiting, retrying }) => countText(waiting + retrying) },
  { heading: "Dead", kind: "right", cell: ({ dead }) => countText(dead) },
  {
    heading: "Delivered today",
    kind: "right",
    cell: ({ delivered_last_day: count }) => (count === null ? "?" : countText(count)),
  },
  {
    heading: "Last delivered",
    cell: ({ last_delivered: at }) => (at === null ? null : <Time at={at} as="ago" />),
  },
  { heading: "Used by", cell: (health) => <Users health={health} /> },
];

const usersShownMax = 5;

function Users({ health }: { readonly health: Health }): ReactNode {
  const { used_by: users, used_by_count: count } = health;
  if (count === 0) return <span className="muted">no automation</span>;
  const more = count - Math.min(users.length, usersShownMax);
  return (
    <>
      {users.slice(0, usersShownMax).map((user, index) => (
        <span key={user.id}>
          {index > 0 ? ", " : ""}
          <AutomationLink {...user} />
        </span>
      ))}
      {more > 0 ? ` and ${countText(more)} more` : ""}
    </>
  );
}

function Destination({ destination }: { readonly destination: DestinationHealth }): ReactNode {
  const { name, type, waiting, retrying, dead, last_failed: failed, last_delivered: delivered } = destination;
  const may = useMay("automations:write");
  const counts = [
    destination.delivered_last_day === null
      ? null
      : `${countText(destination.delivered_last_day)} delivered today`,
    destination.failed_last_day === null || destination.failed_last_day === 0
      ? null
      : `${countText(destination.failed_last_day)} given up today`,
  ].filter((text) => text !== null);
  return (
    <Card
      title={
        <span className="row">
          {name} <span className="badge">{type}</span> <HealthBadge health={destination} />
        </span>
      }
      aside={may ? <TestButton id={destination.id} /> : null}
    >
      <p className="row">
        {counts.map((text) => (
          <span key={text}>{text}</span>
        ))}
        {delivered === null ? null : (
          <span>
            last <Time at={delivered} as="ago" />
          </span>
        )}
        <Link href={`/deliveries?${new URLSearchParams({ state: "retrying", target: name })}`}>
          {countOf(waiting + retrying, "delivery", "deliveries")} to do
        </Link>
        <Link href={`/deliveries?${new URLSearchParams({ state: "dead", target: name })}`}>
          {countOf(dead, "dead letter")}
        </Link>
      </p>
      {failed === null ? null : (
        <p className="small">
          Last failure <Time at={failed.at} as="ago" />:{" "}
          <span className="mono">{failed.reason ?? "unknown"}</span>
        </p>
      )}
      <p className="small">
        Used by <Users health={destination} />
      </p>
    </Card>
  );
}

/** Sends a test message, and shows what became of it. */
function TestButton({ id }: { readonly id: string }): ReactNode {
  const [result, setResult] = useState<DestinationTest | null>(null);
  const test = useChange((tripline) => tripline.destinations.test(id));
  const send = async () => {
    setResult(null);
    // The error is shown below.
    setResult(await test.mutateAsync(undefined).catch(() => null));
  };
  return (
    <>
      <button type="button" disabled={test.isPending} onClick={send}>
        {test.isPending ? "Sending…" : "Send a test message"}
      </button>
      <div className="test-result" role="status">
        {test.error === null ? null : <Problem error={test.error} />}
        {result === null ? null : <TestResult result={result} />}
      </div>
    </>
  );
}

function TestResult({ result }: { readonly result: DestinationTest }): ReactNode {
  const { ok, status_code: status, reason, answer, duration_ms: ms, sent } = result;
  return (
    <div className="stack">
      <p>
        <Badge tone={ok ? "ok" : "bad"}>{ok ? "accepted" : "refused"}</Badge>
        {status === null ? "" : ` with ${status}`} after {durationText(ms)}
      </p>
      {reason === null ? null : <p className="mono">{reason}</p>}
      {answer === null || answer === "" ? null : <p className="mono">{answer}</p>}
      <details>
        <summary>What was sent</summary>
        <MessageView sent={sent} />
      </details>
    </div>
  );
}
