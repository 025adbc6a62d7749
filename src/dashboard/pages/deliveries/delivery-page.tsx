/** One delivery: what is sent, every attempt with the answer, and what can be done about it. */

import { type ReactNode, useState } from "react";
import { Refused } from "../../../client/index.ts";
import type { Delivery, SentMessage } from "../../../client/types.ts";
import { useAsk, useChange } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { Badge, DeliveryBadge } from "../../parts/badge.tsx";
import { ConfirmButton } from "../../parts/confirm.tsx";
import { AutomationLink, EventLink } from "../../parts/links.tsx";
import { MessageView } from "../../parts/message-view.tsx";
import { Card, Empty, Loaded, Page } from "../../parts/page.tsx";
import { Fields, Table } from "../../parts/table.tsx";
import { durationText, Time } from "../../parts/times.tsx";

const everyMs = 2_000;

export default function DeliveryPage({
  params: { id },
}: {
  readonly params: { readonly id: string };
}): ReactNode {
  const asked = useAsk(["delivery", id], (tripline, signal) => tripline.deliveries.get(id, { signal }), {
    everyMs,
  });
  const may = useMay("automations:write");
  const { data } = asked;
  return (
    <Page
      title="Delivery"
      badge={data === undefined ? null : <DeliveryBadge state={data.state} />}
      actions={may && data !== undefined ? <Actions delivery={data} /> : null}
    >
      <Loaded asked={asked}>
        {(delivery) => (
          <>
            <About delivery={delivery} />
            <Attempts delivery={delivery} />
            <Sent key={delivery.state} delivery={delivery} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Actions({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { id, state, source } = delivery;
  const [asSent, setAsSent] = useState(false);
  const redeliver = useChange((tripline, wanted: boolean) =>
    tripline.deliveries.redeliver(id, { asSent: wanted }),
  );
  const cancel = useChange((tripline) => tripline.deliveries.cancel(id));
  if (source === "history") return <Badge title="The queue no longer keeps it">cannot be redelivered</Badge>;
  const isEnded = state === "dead" || state === "delivered" || state === "cancelled";
  return (
    <>
      <ConfirmButton label="Redeliver" title="Redeliver it?" onConfirm={() => redeliver.mutateAsync(asSent)}>
        <p>
          It gets all its attempts again, under the same <code>webhook-id</code>. One that waits is tried at
          once.
        </p>
        <label className="row">
          <input type="checkbox" checked={asSent} onChange={({ target }) => setAsSent(target.checked)} />
          Send what the rule said when it fired, not what it says now
        </label>
      </ConfirmButton>
      {isEnded ? null : (
        <ConfirmButton
          label="Cancel"
          title="Cancel it?"
          danger
          onConfirm={() => cancel.mutateAsync(undefined)}
        >
          Nothing more is sent, except by an attempt that has already begun. It can be redelivered later.
        </ConfirmButton>
      )}
    </>
  );
}

function About({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { automation, target, reason, fired, delivered, failed, next_attempt: next } = delivery;
  return (
    <Card>
      <Fields
        fields={[
          ["Automation", <AutomationLink key="automation" {...automation} />],
          ["Action", `${delivery.action_type}, number ${delivery.action_index + 1}`],
          ["Target", target],
          [
            "Firing",
            <EventLink key="firing" id={delivery.firing_event_id}>
              {fired === undefined ? "its event" : <Time at={fired} />}
            </EventLink>,
          ],
          [
            "Caused by",
            delivery.triggering_event_id === null ? (
              "an absence"
            ) : (
              <EventLink key="cause" id={delivery.triggering_event_id}>
                an event
              </EventLink>
            ),
          ],
          ["Why", reason],
          ["Next try", next === null ? null : <Time key="next" at={next} as="ago" />],
          ["Delivered", delivered === null ? null : <Time key="delivered" at={delivered} />],
          ["Gave up", failed === null ? null : <Time key="failed" at={failed} />],
          ["Redelivered", delivery.redeliveries === 0 ? null : `${delivery.redeliveries} times`],
          ["webhook-id", <code key="id">{delivery.id}</code>],
        ]}
      />
      {delivery.template_failures?.map(({ field, reason: why }) => (
        <p key={field} className="small">
          The template <code>{field}</code> failed: {why}. A plain message went out in its place.
        </p>
      ))}
    </Card>
  );
}

const earlyTexts: Readonly<Record<NonNullable<Delivery["attempts"][number]["early"]>, string>> = {
  probe: "to find out whether the endpoint works again",
  recovered: "because the endpoint works again",
  other: "after waiting for something else, or because a person asked for it",
};

function Attempts({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { attempts, attempt_count: count } = delivery;
  return (
    <Card
      title="Attempts"
      aside={attempts.length < count ? <span className="muted">the latest of {count}</span> : null}
      flush
    >
      {attempts.length === 0 ? (
        <Empty>{count === 0 ? "None so far." : "The queue keeps them no longer."}</Empty>
      ) : (
        <Table
          label="Attempts, the latest first"
          rows={attempts.toReversed()}
          keyOf={({ at, duration_ms: ms }) => `${at} ${ms}`}
          columns={[
            { heading: "Ended", kind: "title", cell: ({ at }) => <Time at={at} /> },
            {
              heading: "Outcome",
              cell: ({ reason, status_code: status }) => (
                <Badge tone={reason === undefined ? "ok" : "bad"}>
                  {status ?? (reason === undefined ? "done" : "failed")}
                </Badge>
              ),
            },
            { heading: "Took", kind: "right", cell: ({ duration_ms: ms }) => durationText(ms) },
            {
              heading: "Answer",
              cell: ({ reason, answer, early }) => (
                <>
                  <span className="mono">{reason ?? answer}</span>
                  {early === undefined ? null : (
                    <div className="small muted">Made early {earlyTexts[early]}.</div>
                  )}
                </>
              ),
            },
          ]}
        />
      )}
    </Card>
  );
}

function Sent({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const [rendered, setRendered] = useState<SentMessage["rendered"] | null>(null);
  const asked = useAsk(["sent", delivery.id, rendered], (tripline, signal) =>
    tripline.deliveries.request(delivery.id, { ...(rendered === null ? {} : { rendered }), signal }),
  );
  const isRefused = asked.error instanceof Refused && asked.data === undefined;
  return (
    <Card
      title="Request"
      aside={
        <span className="segments">
          {(["as_sent", "now"] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={(rendered ?? asked.data?.rendered) === name}
              onClick={() => setRendered(name)}
            >
              {name === "as_sent" ? "As the rule was" : "As the rule is"}
            </button>
          ))}
        </span>
      }
    >
      {isRefused ? (
        <p className="muted">{(asked.error as Error).message}</p>
      ) : (
        <Loaded asked={asked}>{(sent) => <MessageView sent={sent} />}</Loaded>
      )}
    </Card>
  );
}
