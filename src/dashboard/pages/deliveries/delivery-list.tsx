/** All deliveries, by state: what waits, what is tried again, and what failed for good. */

import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import type { Delivery, ListedState } from "../../../client/types.ts";
import { useAsk, useChange } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { DeliveryBadge } from "../../parts/badge.tsx";
import { ConfirmButton } from "../../parts/confirm.tsx";
import { AutomationLink, DeliveryLink } from "../../parts/links.tsx";
import { countOf, countText, shortCountText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page, Problem } from "../../parts/page.tsx";
import { Pager } from "../../parts/pager.tsx";
import { type CardColumn, Table } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";

const states: readonly { readonly state: ListedState; readonly name: string; readonly empty: string }[] = [
  { state: "dead", name: "Dead letters", empty: "Nothing has failed for good." },
  { state: "retrying", name: "Retrying", empty: "Nothing has to be tried again." },
  { state: "waiting", name: "Waiting", empty: "Nothing waits." },
  { state: "active", name: "Being sent", empty: "Nothing is being sent." },
  { state: "delivered", name: "Delivered", empty: "Nothing was delivered within the last day." },
];

type DeliveryFields = "state" | "automation" | "target" | "offset";

const defaults: UrlState<DeliveryFields> = { state: "dead", automation: "", target: "", offset: "0" };

const everyMs = 3_000;
const pageSize = 50;

export default function DeliveryList(): ReactNode {
  const [fields, change] = useUrlState(defaults);
  const shown = states.find(({ state }) => state === fields.state) ?? states[0];
  return (
    <Page
      title="Deliveries"
      lead="Each action of each firing is delivered on its own, and tried again until it works or time is up."
    >
      <StateTabs current={fields.state} />
      <Filters fields={fields} change={change} />
      {shown === undefined ? null : (
        <List
          key={JSON.stringify(fields)}
          state={shown.state}
          empty={shown.empty}
          fields={fields}
          change={change}
        />
      )}
    </Page>
  );
}

function StateTabs({ current }: { readonly current: string }): ReactNode {
  const { data } = useAsk(["delivery-counts"], (tripline, signal) => tripline.deliveries.counts({ signal }), {
    everyMs,
  });
  return (
    <nav className="tabs" aria-label="States">
      {states.map(({ state, name }) => (
        <Link
          key={state}
          href={`/deliveries?state=${state}`}
          aria-current={current === state ? "page" : undefined}
        >
          {name} <span className="number">{data === undefined ? "" : shortCountText(data[state])}</span>
        </Link>
      ))}
    </nav>
  );
}

interface FilterProps {
  readonly fields: UrlState<DeliveryFields>;
  readonly change: (changes: Partial<UrlState<DeliveryFields>>) => void;
}

function Filters({ fields, change }: FilterProps): ReactNode {
  const apply = (form: FormData) =>
    change({
      automation: String(form.get("automation") ?? "").trim(),
      target: String(form.get("target") ?? "").trim(),
      offset: "0",
    });
  return (
    <form key={`${fields.automation} ${fields.target}`} className="filters" role="search" action={apply}>
      <label className="field">
        Automation
        <input
          name="automation"
          type="search"
          defaultValue={fields.automation}
          placeholder="its name or id"
        />
      </label>
      <label className="field">
        Target
        <input
          name="target"
          type="search"
          defaultValue={fields.target}
          placeholder="part of a URL or a name"
        />
      </label>
      <button type="submit">Search</button>
    </form>
  );
}

interface ListProps extends FilterProps {
  readonly state: ListedState;
  readonly empty: string;
}

function List({ state, empty, fields, change }: ListProps): ReactNode {
  const may = useMay("automations:write");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const offset = Math.max(0, Number.parseInt(fields.offset, 10) || 0);
  const asked = useAsk(
    ["deliveries", fields],
    (tripline, signal) =>
      tripline.deliveries.list({
        state,
        offset,
        limit: pageSize,
        ...(fields.automation === "" ? {} : { automation: fields.automation }),
        ...(fields.target === "" ? {} : { target: fields.target }),
        signal,
      }),
    { everyMs },
  );
  return (
    <Card flush>
      <Loaded asked={asked}>
        {({ deliveries, total, next_offset: next }) => {
          const present = deliveries.filter(({ id }) => chosen.has(id));
          return (
            <>
              {may ? <Chosen state={state} deliveries={present} clear={() => setChosen(new Set())} /> : null}
              {deliveries.length === 0 ? (
                <Empty>{total === 0 ? empty : "None of them matches."}</Empty>
              ) : (
                <Table
                  label="Deliveries"
                  rows={deliveries}
                  keyOf={({ id }) => id}
                  columns={[
                    ...(may ? [choiceColumn(deliveries, chosen, setChosen)] : []),
                    ...columnsFor(state),
                  ]}
                />
              )}
              <Pager
                offset={offset}
                count={deliveries.length}
                total={total}
                next={next}
                pageSize={pageSize}
                onOffset={(chosen) => change({ offset: String(chosen) })}
              />
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}

function columnsFor(state: ListedState): CardColumn<Delivery>[] {
  return [
    {
      heading: "Delivery",
      kind: "title",
      cell: ({ id, action_type: type, target }) => (
        <DeliveryLink id={id}>{target === null ? type : `${type} to ${target}`}</DeliveryLink>
      ),
    },
    { heading: "Automation", cell: ({ automation }) => <AutomationLink {...automation} /> },
    { heading: "State", cell: (delivery) => <DeliveryBadge state={delivery.state} /> },
    { heading: "Attempts", kind: "right", cell: ({ attempt_count: count }) => countText(count) },
    { heading: "Fired", cell: ({ fired }) => (fired === undefined ? null : <Time at={fired} as="ago" />) },
    state === "delivered"
      ? {
          heading: "Delivered",
          cell: ({ delivered }) => (delivered === null ? null : <Time at={delivered} as="ago" />),
        }
      : state === "dead"
        ? {
            heading: "Gave up",
            cell: ({ failed }) => (failed === null ? null : <Time at={failed} as="ago" />),
          }
        : {
            heading: "Next try",
            cell: ({ next_attempt: at }) => (at === null ? "now" : <Time at={at} as="ago" />),
          },
    ...(state === "delivered"
      ? [{ heading: "Answer", cell: ({ status_code: status }: Delivery) => status }]
      : [{ heading: "Why", cell: ({ reason }: Delivery) => reason }]),
  ];
}

function choiceColumn(
  all: readonly Delivery[],
  chosen: ReadonlySet<string>,
  setChosen: (chosen: ReadonlySet<string>) => void,
): CardColumn<Delivery> {
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const isWhole = all.every(({ id }) => chosen.has(id));
  return {
    heading: "Choose",
    head: (
      <input
        type="checkbox"
        aria-label="Choose all on this page"
        checked={isWhole}
        onChange={() => setChosen(isWhole ? new Set() : new Set(all.map(({ id }) => id)))}
      />
    ),
    cell: ({ id, automation, target }) => (
      <input
        type="checkbox"
        aria-label={`Choose the delivery of ${automation.name} to ${target ?? "nowhere"}`}
        checked={chosen.has(id)}
        onChange={() => toggle(id)}
      />
    ),
  };
}

interface ChosenProps {
  readonly state: ListedState;
  readonly deliveries: readonly Delivery[];
  readonly clear: () => void;
}

/** What can be done with the chosen deliveries. */
function Chosen({ state, deliveries, clear }: ChosenProps): ReactNode {
  const [refused, setRefused] = useState<readonly string[]>([]);
  const ids = deliveries.map(({ id }) => id);
  // The oldest first, so that the last word of each automation stays the last.
  const redeliver = useChange((tripline, many: readonly string[]) =>
    tripline.deliveries.redeliverMany(many.toReversed()),
  );
  const cancel = useChange((tripline, many: readonly string[]) => tripline.deliveries.cancelMany(many));
  const run = async (change: typeof redeliver) => {
    const { outcomes } = await change.mutateAsync(ids);
    setRefused([...new Set(outcomes.flatMap(({ reason }) => (reason === null ? [] : [reason])))]);
    clear();
  };
  const isEnded = state === "dead" || state === "delivered";
  return (
    <div className="chosen">
      <span className="muted">{countOf(ids.length, "delivery", "deliveries")} chosen</span>
      <ConfirmButton
        label="Redeliver"
        title={`Redeliver ${countOf(ids.length, "delivery", "deliveries")}?`}
        disabled={ids.length === 0}
        onConfirm={() => run(redeliver)}
      >
        Each gets all its attempts again, as the present rule has it, under the same <code>webhook-id</code>.
        One that would not be true any more is refused.
      </ConfirmButton>
      {isEnded ? null : (
        <ConfirmButton
          label="Cancel"
          title={`Cancel ${countOf(ids.length, "delivery", "deliveries")}?`}
          danger
          disabled={ids.length === 0}
          onConfirm={() => run(cancel)}
        >
          Nothing more is sent, except by an attempt that has already begun. They can be redelivered later.
        </ConfirmButton>
      )}
      {refused.map((reason) => (
        <Problem key={reason} error={reason} />
      ))}
    </div>
  );
}
