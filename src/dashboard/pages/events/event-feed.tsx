/** The event feed: what happens and what has happened, with filters and a histogram. */

import { useWindowVirtualizer } from "@tanstack/react-virtual";
import {
  lazy,
  memo,
  type ReactNode,
  Suspense,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { ReceivedEvent } from "../../../client/types.ts";
import { useAsk } from "../../data/queries.ts";
import { useViewer } from "../../data/session.tsx";
import { Badge } from "../../parts/badge.tsx";
import { EventLink, resourceId, resourceName } from "../../parts/links.tsx";
import { countText, rateText } from "../../parts/numbers.ts";
import { Card, Empty, Page, Problem } from "../../parts/page.tsx";
import { durationText, Time } from "../../parts/times.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";
import { conditionsOf, type FeedFields, feedDefaults, spanOf, type TimeSpan } from "./feed-filter.ts";
import { FeedFilters } from "./feed-filters.tsx";
import { type FeedView, LiveFeed } from "./live-feed.ts";
import "../../style/feed.css";

const Chart = lazy(() => import("../../parts/chart.tsx"));

export default function EventFeed(): ReactNode {
  const [fields, change] = useUrlState(feedDefaults);
  const brush = (fromMs: number, toMs: number) =>
    change({ since: new Date(fromMs).toISOString(), until: new Date(toMs).toISOString() });
  return (
    <Page
      title="Events"
      lead="Everything that was posted, and what Tripline did about it. The latest comes first."
    >
      <FeedFilters fields={fields} change={change} />
      <Histogram fields={fields} onBrush={brush} />
      <Feed key={JSON.stringify(fields)} fields={fields} />
    </Page>
  );
}

const barCount = 90;

function Histogram({
  fields,
  onBrush,
}: {
  readonly fields: UrlState<FeedFields>;
  readonly onBrush: (fromMs: number, toMs: number) => void;
}): ReactNode {
  const span = spanOf(fields, Date.now());
  const lengthMs = (span.endMs ?? Date.now()) - span.startMs;
  // Whole steps, so that bars do not change while the span moves on.
  const stepMs = stepFor(lengthMs);
  const asked = useAsk(
    ["histogram", fields],
    async (tripline, signal) => {
      const { startMs, endMs } = spanOf(fields, Date.now());
      const since = new Date(Math.floor(startMs / stepMs) * stepMs).toISOString();
      const until = endMs === null ? {} : { until: new Date(endMs).toISOString() };
      const filter = { ...conditionsOf(fields), occurred: { since, ...until } };
      return tripline.events.count("time", filter, { unit: "second", interval: stepMs / 1_000, signal });
    },
    {
      keepsPrevious: true,
      ...(span.endMs === null ? { everyMs: lengthMs > 7_200_000 ? 30_000 : 5_000 } : {}),
    },
  );
  const counts = asked.data ?? [];
  const first = counts[0];
  const series = useMemo(
    () => [
      {
        label: "Events",
        values: counts.map(({ count }) => count),
        color: "accent" as const,
        kind: "bars" as const,
      },
    ],
    [counts],
  );
  return (
    <Card>
      {asked.error !== null && asked.data === undefined ? <Problem error={asked.error} /> : null}
      <Suspense fallback={<div className="loading chart-space">Loading…</div>}>
        {first === undefined ? (
          <div className="chart-space" />
        ) : (
          <Chart
            label={`Events in steps of ${durationText(stepMs)}`}
            startMs={Date.parse(first.start_time)}
            stepMs={stepMs}
            series={series}
            heightPx={110}
            onBrush={onBrush}
          />
        )}
      </Suspense>
      <p className="small muted">
        Steps of {durationText(stepMs)}. Drag over the bars to choose a span of time.
      </p>
    </Card>
  );
}

const stepsMs = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400,
];

/** The length of a bar: a round span, of which the whole has about ninety. */
function stepFor(lengthMs: number): number {
  const seconds = stepsMs.find((step) => step * 1_000 * barCount >= lengthMs);
  return (seconds ?? Math.ceil(lengthMs / 86_400_000 / barCount) * 86_400) * 1_000;
}

function useFeed(fields: UrlState<FeedFields>): [LiveFeed, FeedView] {
  const { tripline } = useViewer();
  const [feed] = useState(() => {
    const { startMs, endMs }: TimeSpan = spanOf(fields, Date.now());
    const until = endMs === null ? null : new Date(endMs).toISOString();
    return new LiveFeed(tripline, conditionsOf(fields), new Date(startMs).toISOString(), until);
  });
  useEffect(() => feed.start(), [feed]);
  return [feed, useSyncExternalStore(feed.subscribe, feed.view)];
}

const rowPx = 38;
const narrowRowPx = 62;
const narrow = matchMedia("(max-width: 640px)");

function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      narrow.addEventListener("change", listener);
      return () => narrow.removeEventListener("change", listener);
    },
    () => narrow.matches,
  );
}

/** Further down than this, the viewer looks at something, and new events wait. */
const topPx = 60;

function Feed({ fields }: { readonly fields: UrlState<FeedFields> }): ReactNode {
  const [feed, view] = useFeed(fields);
  const [isPaused, setPaused] = useState(false);
  const [isBelowTop, setBelowTop] = useState(false);
  const isNarrow = useNarrow();
  const list = useRef<HTMLDivElement>(null);
  const [listTop, setListTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setListTop(window.scrollY + (list.current?.getBoundingClientRect().top ?? 0));
    measure();
    const resized = new ResizeObserver(measure);
    resized.observe(document.body);
    return () => resized.disconnect();
  }, []);
  const rows = useWindowVirtualizer({
    count: view.rowCount,
    estimateSize: () => (isNarrow ? narrowRowPx : rowPx),
    overscan: 12,
    scrollMargin: listTop,
  });
  useEffect(() => {
    const scrolled = () => setBelowTop((list.current?.getBoundingClientRect().top ?? 0) < -topPx);
    addEventListener("scroll", scrolled, { passive: true });
    return () => removeEventListener("scroll", scrolled);
  }, []);
  useEffect(() => feed.hold(isPaused || isBelowTop), [feed, isPaused, isBelowTop]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the sizes of the rows change with the width
  useEffect(() => rows.measure(), [isNarrow]);

  const shown = rows.getVirtualItems();
  const lastShown = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (view.hasMore && lastShown > view.rowCount - 40) void feed.readMore();
  }, [feed, view.hasMore, view.rowCount, lastShown]);
  const showNew = () => {
    setPaused(false);
    feed.hold(false);
    list.current?.scrollIntoView({ block: "start" });
  };

  return (
    <section className="card flush" aria-label="Events">
      <FeedStatus view={view} isPaused={isPaused} setPaused={setPaused} isPast={fields.until !== ""} />
      {view.error === null ? null : <Problem error={view.error} />}
      {view.waitingCount > 0 && (isPaused || isBelowTop) ? (
        <button type="button" className="feed-new primary" onClick={showNew}>
          ↑ {countText(view.waitingCount)} new {view.waitingCount === 1 ? "event" : "events"}
        </button>
      ) : null}
      <div
        ref={list}
        role="table" // of which only the rows in view exist
        aria-label="Events, the latest first"
        aria-rowcount={view.rowCount}
        className="feed"
        style={{ height: rows.getTotalSize() }}
      >
        {shown.map(({ index, start, size }) => {
          const event = feed.row(index);
          return event === undefined ? null : (
            <FeedRow key={event.id} event={event} index={index} top={start - listTop} height={size} />
          );
        })}
      </div>
      {view.rowCount === 0 && !view.isLoading ? (
        <Empty>
          No events match{fields.until === "" ? " yet; new ones appear here by themselves." : "."}
        </Empty>
      ) : null}
      {view.isLoading ? (
        <div className="loading" role="status">
          Loading…
        </div>
      ) : null}
    </section>
  );
}

interface FeedStatusProps {
  readonly view: FeedView;
  readonly isPaused: boolean;
  readonly setPaused: (isPaused: boolean) => void;
  /** Whether the span has an end, so that nothing new can arrive. */
  readonly isPast: boolean;
}

/** More than this is worth a word: the viewer does not see the present. */
const behindMsMax = 3_000;

function FeedStatus({ view, isPaused, setPaused, isPast }: FeedStatusProps): ReactNode {
  const { connection, ratePerSecond, behindMs, skipCount, total, waitingCount } = view;
  return (
    <header className="feed-status">
      <span className="row">
        {isPast ? <Badge>past</Badge> : null}
        {connection === "live" ? (
          <Badge tone={isPaused ? "warn" : "ok"}>{isPaused ? "paused" : "live"}</Badge>
        ) : null}
        {connection === "connecting" ? <Badge tone="info">connecting</Badge> : null}
        {connection === "reconnecting" ? <Badge tone="warn">reconnecting</Badge> : null}
        {total === null ? null : <span className="muted">{countText(total)} in this span</span>}
      </span>
      {isPast ? null : (
        <span className="row number">
          <span className="muted">{rateText(ratePerSecond)} per second</span>
          {behindMs > behindMsMax ? (
            <Badge
              tone="warn"
              title="The newest event was received by the server this long before it arrived here"
            >
              {durationText(behindMs)} behind
            </Badge>
          ) : null}
          {skipCount > 0 ? (
            <Badge
              tone="warn"
              title="Events came faster than this page could show them; what it skipped is in the history"
            >
              skipped ahead {skipCount}×
            </Badge>
          ) : null}
          <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? `Resume${waitingCount > 0 ? ` (${countText(waitingCount)})` : ""}` : "Pause"}
          </button>
        </span>
      )}
    </header>
  );
}

interface FeedRowProps {
  readonly event: ReceivedEvent;
  readonly index: number;
  readonly top: number;
  readonly height: number;
}

const FeedRow = memo(function FeedRow({ event, index, top, height }: FeedRowProps): ReactNode {
  const id = resourceId(event.resource);
  const name = resourceName(event.resource);
  return (
    <div
      role="row"
      aria-rowindex={index + 1}
      className="feed-row"
      style={{ height, transform: `translateY(${top}px)` }}
    >
      <span role="cell" className="feed-time">
        <Time at={event.occurred} as="clock-ms" />
      </span>
      <span role="cell" className="feed-name cut">
        <EventLink id={event.id}>{event.event}</EventLink>
      </span>
      <span role="cell" className="feed-resource cut" title={id}>
        {name ?? id}
      </span>
      <span role="cell" className="feed-excerpt cut muted mono">
        {excerptOf(event)}
      </span>
    </div>
  );
});

const excerptLengthMax = 160;

/** The beginning of the payload; without one, of the other labels. */
function excerptOf({ payload, resource }: ReceivedEvent): string {
  const { "prefect.resource.id": _, ...labels } = resource;
  const shown = Object.keys(payload).length > 0 ? payload : labels;
  return Object.entries(shown)
    .slice(0, 6)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")
    .slice(0, excerptLengthMax);
}
