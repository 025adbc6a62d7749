/** The map: which events set off which automations, those which others, and where it all goes. */

import { lazy, type ReactNode, Suspense } from "react";
import { Link } from "wouter";
import type { AutomationMap } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { Badge } from "../../parts/badge.tsx";
import { AutomationLink } from "../../parts/links.tsx";
import { countOf, countText } from "../../parts/numbers.ts";
import { Card, Empty, Loaded, Page } from "../../parts/page.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/times.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";

const MapView = lazy(() => import("./map-view.tsx"));

const defaults: UrlState<"automation"> = { automation: "" };

const everyMs = 15_000;

/** A larger drawing takes seconds to lay out, and nobody finds anything on it. */
const drawnMax = 400;
const listedMax = 200;

export default function MapPage(): ReactNode {
  const [{ automation }] = useUrlState(defaults);
  const asked = useAsk(
    ["map", automation],
    (tripline, signal) => tripline.map({ ...(automation === "" ? {} : { automation }), signal }),
    { everyMs },
  );
  return (
    <Page
      title="Map"
      lead="Which events set off which automations, those which others, and where it all goes. Counts are of the last day."
      actions={
        automation === "" ? undefined : (
          <Link className="button" href="/map">
            The whole map
          </Link>
        )
      }
    >
      <Loaded asked={asked}>
        {(map) => (
          <>
            <Loops map={map} />
            <Card>
              {map.automations.length === 0 ? (
                <Empty>There are no automations.</Empty>
              ) : map.automations.length + map.events.length > drawnMax ? (
                <Empty>
                  {countOf(map.automations.length, "automation")} are too many for one drawing. Open the map
                  of one of them from its page.
                </Empty>
              ) : (
                <Suspense fallback={<div className="loading">Drawing…</div>}>
                  <MapView map={map} />
                </Suspense>
              )}
              {map.truncated ? (
                <p className="small muted">
                  There is more than one drawing holds. Open the map of one automation from its page.
                </p>
              ) : null}
            </Card>
            <Dead map={map} />
            <Connections map={map} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function namesOf(map: AutomationMap): ReadonlyMap<string, string> {
  return new Map(map.automations.map(({ id, name }) => [id, name]));
}

function Loops({ map }: { readonly map: AutomationMap }): ReactNode {
  const names = namesOf(map);
  if (map.loops.length === 0) return null;
  return (
    <section className="verdict bad" aria-label="Loops">
      <p>
        <strong>{countOf(map.loops.length, "loop")}</strong>: automations that set themselves off. Tripline
        cuts loops, so the last reaction never happens.
      </p>
      <ul className="lines">
        {map.loops.map((loop) => (
          <li key={loop.join(" ")}>
            {loop.map((id) => (
              <span key={id}>
                <AutomationLink id={id} name={names.get(id) ?? id} />
                {" → "}
              </span>
            ))}
            {names.get(loop[0] ?? "")}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Dead({ map }: { readonly map: AutomationMap }): ReactNode {
  const names = namesOf(map);
  const dead = map.dead.filter(({ id }) => names.has(id)).slice(0, listedMax);
  if (dead.length === 0) return null;
  return (
    <Card title="Rules that do nothing" flush>
      <Table
        label="Rules that do nothing"
        rows={dead}
        keyOf={({ id, reason }) => `${id} ${reason}`}
        columns={[
          {
            heading: "Automation",
            kind: "title",
            cell: ({ id }) => <AutomationLink id={id} name={names.get(id) ?? id} />,
          },
          { heading: "Why", cell: ({ reason }) => reason },
        ]}
      />
    </Card>
  );
}

/** The same as the drawing, in words: for those who cannot see it, and for searching. */
function Connections({ map }: { readonly map: AutomationMap }): ReactNode {
  const names = namesOf(map);
  return (
    <Card title="In words" flush>
      <Table
        label="What automations wait for and set off"
        rows={map.automations.slice(0, listedMax)}
        keyOf={({ id }) => id}
        columns={[
          {
            heading: "Automation",
            kind: "title",
            cell: ({ id, name, enabled, never_fires: never }) => (
              <span className="row">
                <AutomationLink id={id} name={name} />
                {enabled ? null : <Badge tone="warn">paused</Badge>}
                {never === null ? null : <Badge tone="bad">never fires</Badge>}
              </span>
            ),
          },
          {
            heading: "Waits for",
            cell: ({ expects, after, posture }) => (
              <>
                {posture === "Proactive" ? "the absence of " : ""}
                <code>{expects.join(", ")}</code>
                {after.length === 0 ? "" : " after "}
                {after.length === 0 ? null : <code>{after.join(", ")}</code>}
              </>
            ),
          },
          {
            heading: "Sets off",
            cell: ({ id }) =>
              map.links
                .filter(({ from }) => from === id)
                .map(({ to, event }) => (
                  <div key={to}>
                    <AutomationLink id={to} name={names.get(to) ?? to} />{" "}
                    <span className="small muted">through {event}</span>
                  </div>
                )),
          },
          { heading: "Goes to", cell: ({ destinations }) => destinations.join(", ") },
          {
            heading: "Firings",
            kind: "right",
            cell: ({ firings_last_day: count }) => (count === null ? "?" : countText(count)),
          },
          {
            heading: "Last fired",
            cell: ({ last_fired: at }) =>
              at === null ? <span className="muted">not lately</span> : <Time at={at} as="ago" />,
          },
        ]}
      />
      {map.automations.length > listedMax ? (
        <p className="small muted table-note">The first {listedMax}, by name.</p>
      ) : null}
    </Card>
  );
}
