/** What a person sees first: whether things are well, and if not, what is wrong. */

import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import type { Overview as OverviewAnswer } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { useMay } from "../../data/session.tsx";
import { countOf, countText, rateText, shortCountText } from "../../parts/numbers.ts";
import { Card, Loaded, Page } from "../../parts/page.tsx";
import { ShardList } from "../../parts/shard-list.tsx";
import { durationText } from "../../parts/times.tsx";
import { FirstSteps, postedEvents } from "./first-steps.tsx";
import { LatestChanges, LatestFirings, SilentNow } from "./overview-lists.tsx";
import { problemsIn } from "./problems.ts";

const Chart = lazy(() => import("../../parts/chart.tsx"));

const everyMs = 2_000;

export default function Overview(): ReactNode {
  const may = useMay("automations:read");
  return (
    <Page title="Overview">
      {may ? <Whole /> : <p>Your key may not read automations. The events are on the page Events.</p>}
    </Page>
  );
}

function Whole(): ReactNode {
  const asked = useAsk(["overview"], (tripline, signal) => tripline.overview({ signal }), { everyMs });
  const mayReadEvents = useMay("events:read");
  return (
    <Loaded asked={asked}>
      {(overview) => (
        <>
          {mayReadEvents ? <WhileEmpty overview={overview} /> : null}
          <Verdict overview={overview} />
          <Tiles overview={overview} />
          <div className="columns">
            <Live overview={overview} />
            <LastDay title="Events" frequency={overview.events} color="accent" />
            <LastDay title="Firings" frequency={overview.firings} color="bad" />
          </div>
          <div className="columns">
            <SilentNow count={overview.windows.unresolved} />
            {mayReadEvents ? <LatestFirings /> : null}
          </div>
          <div className="columns">
            {mayReadEvents ? <LatestChanges /> : null}
            <ShardList />
          </div>
        </>
      )}
    </Loaded>
  );
}

/** With more events than this, of whatever kind, an installation is in use. */
const newCountMax = 5_000;

/** The first steps, if nobody has posted an event yet. They stay on the page on which they were begun. */
function WhileEmpty({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const [mayBeNew] = useState(overview.events.total <= newCountMax);
  const [wasEmpty, setWasEmpty] = useState<boolean | null>(null);
  const posted = useAsk(
    ["posted-events"],
    (tripline, signal) => tripline.events.page(postedEvents, { limit: 1, signal }),
    { enabled: mayBeNew && wasEmpty === null },
  );
  const { data } = posted;
  useEffect(() => {
    if (data !== undefined) setWasEmpty((known) => known ?? data.total === 0);
  }, [data]);
  return wasEmpty === true ? <FirstSteps /> : null;
}

function Verdict({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const problems = problemsIn(overview);
  const worst = problems.some(({ tone }) => tone === "bad") ? "bad" : "warn";
  return (
    <section
      aria-label="How things are"
      className={`verdict ${problems.length === 0 ? "ok" : worst}`}
      role="status"
    >
      {problems.length === 0 ? (
        <strong>All is well.</strong>
      ) : (
        <ul className="plain-list">
          {problems.map(({ text, path, tone }) => (
            <li key={text}>
              <span className={`dot ${tone}`} /> {path === null ? text : <Link href={path}>{text}</Link>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface TileProps {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
  readonly path: string;
  readonly tone?: "ok" | "warn" | "bad" | undefined;
}

function Tile({ label, value, note, path, tone }: TileProps): ReactNode {
  return (
    <Link href={path} className={tone === undefined ? "tile" : `tile ${tone}`}>
      <span className="label">{label}</span>
      <span className="value">{value}</span>
      <span className="small muted">{note ?? "\u00a0"}</span>
    </Link>
  );
}

/** Over this many seconds the present rate is averaged: one second alone jumps. */
const rateSeconds = 10;

function rateOf(values: readonly number[]): number {
  const last = values.slice(-rateSeconds);
  return last.reduce((sum, value) => sum + value, 0) / Math.max(last.length, 1);
}

function Tiles({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const { events, firings, resolutions, windows, deliveries, automations, shards, history } = overview;
  const pending = deliveries.waiting + deliveries.active + deliveries.retrying;
  const behindMs = Math.max(shards.delay_ms_max, history.behind_ms ?? 0);
  return (
    <div className="tiles">
      <Tile
        label="Events per second"
        value={rateText(rateOf(events.per_second.values))}
        note={`${shortCountText(events.last_day)} in 24 hours`}
        path="/events"
      />
      <Tile
        label="Firings in 24 hours"
        value={shortCountText(firings.last_day)}
        note={`${shortCountText(resolutions.last_day)} resolved`}
        path="/events?event=prefect-cloud.automation.triggered&range=24h"
      />
      <Tile
        label="Silent now"
        value={countText(windows.unresolved)}
        note={`${countOf(windows.open, "window")} open`}
        path="/automations?sort=silent"
        tone={windows.unresolved > 0 ? "bad" : "ok"}
      />
      <Tile
        label="Deliveries to do"
        value={shortCountText(pending)}
        note={`${countText(deliveries.retrying)} retrying`}
        path="/deliveries?state=retrying"
        tone={deliveries.retrying > 0 ? "warn" : undefined}
      />
      <Tile
        label="Dead letters"
        value={shortCountText(deliveries.dead)}
        note="failed for good"
        path="/deliveries?state=dead"
        tone={deliveries.dead > 0 ? "bad" : "ok"}
      />
      <Tile
        label="Behind"
        value={durationText(behindMs)}
        note={`${countText(shards.entries_behind_max)} entries`}
        path="/settings"
        tone={behindMs > 5_000 || shards.owned < shards.count ? "bad" : undefined}
      />
      <Tile
        label="Automations"
        value={countText(automations.enabled)}
        note={automations.paused === 0 ? "all enabled" : `${automations.paused} more paused`}
        path="/automations"
      />
    </div>
  );
}

function Live({ overview }: { readonly overview: OverviewAnswer }): ReactNode {
  const { start, values } = overview.events.per_second;
  const series = useMemo(
    () => [{ label: "Events per second", values, color: "accent" as const, kind: "line" as const }],
    [values],
  );
  return (
    <Card title="The last five minutes">
      <Suspense fallback={<div className="chart-space" />}>
        <Chart
          label="Events per second in the last five minutes"
          startMs={Date.parse(start)}
          stepMs={1_000}
          series={series}
        />
      </Suspense>
    </Card>
  );
}

const minutesPerBar = 15;

interface LastDayProps {
  readonly title: string;
  readonly frequency: OverviewAnswer["events"];
  readonly color: "accent" | "bad";
}

function LastDay({ title, frequency, color }: LastDayProps): ReactNode {
  const { start, values } = frequency.per_minute;
  const series = useMemo(
    () => [{ label: title, values: grouped(values), color, kind: "bars" as const }],
    [title, values, color],
  );
  return (
    <Card title={`${title} in 24 hours`}>
      <Suspense fallback={<div className="chart-space" />}>
        <Chart
          label={`${title} in the last 24 hours, by quarters of an hour`}
          startMs={Date.parse(start)}
          stepMs={minutesPerBar * 60_000}
          series={series}
        />
      </Suspense>
    </Card>
  );
}

function grouped(perMinute: readonly number[]): number[] {
  const sums: number[] = [];
  for (let index = 0; index < perMinute.length; index += minutesPerBar)
    sums.push(perMinute.slice(index, index + minutesPerBar).reduce((sum, value) => sum + value, 0));
  return sums;
}
