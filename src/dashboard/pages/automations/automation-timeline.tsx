/** What an automation saw and did, drawn over time: a lane for each key. */

import { type ReactNode, useState } from "react";
import type { Timeline } from "../../../client/types.ts";
import { parseExactJson } from "../../../core/json/exact-json.ts";
import { useAsk } from "../../data/queries.ts";
import { countOf } from "../../parts/numbers.ts";
import { Card, Empty, Loaded } from "../../parts/page.tsx";
import { type UrlState, useUrlState } from "../../parts/url-state.ts";
import { lanesOf } from "./timeline-lanes.ts";
import { TimelineView } from "./timeline-view.tsx";

const spans: Readonly<Record<string, { readonly name: string; readonly ms: number }>> = {
  "5m": { name: "5 minutes", ms: 300_000 },
  "15m": { name: "15 minutes", ms: 900_000 },
  "1h": { name: "1 hour", ms: 3_600_000 },
  "6h": { name: "6 hours", ms: 21_600_000 },
  "24h": { name: "24 hours", ms: 86_400_000 },
  "7d": { name: "7 days", ms: 604_800_000 },
};

const defaults: UrlState<"span" | "key"> = { span: "15m", key: "" };

const everyMs = 3_000;
const listedMax = 500;

export function AutomationTimeline({ id }: { readonly id: string }): ReactNode {
  const [{ span, key }, change] = useUrlState(defaults);
  const spanMs = spans[span]?.ms ?? 900_000;
  const asked = useAsk(
    ["timeline", id, span, key],
    (tripline, signal) =>
      tripline.automations.timeline(id, {
        since: new Date(Date.now() - spanMs).toISOString(),
        limit: listedMax,
        ...(key === "" ? {} : { key: keyOf(key) }),
        signal,
      }),
    { everyMs, keepsPrevious: true },
  );
  return (
    <Card
      title="Timeline"
      aside={
        <span className="row">
          {key === "" ? null : (
            <button type="button" onClick={() => change({ key: "" })}>
              All keys
            </button>
          )}
          <label>
            <span className="hidden">Span of time</span>
            <select value={span} onChange={({ target }) => change({ span: target.value })}>
              {Object.entries(spans).map(([value, { name }]) => (
                <option key={value} value={value}>
                  Last {name}
                </option>
              ))}
            </select>
          </label>
        </span>
      }
    >
      <Loaded asked={asked}>
        {(timeline) => (
          <Lanes timeline={timeline} spanMs={spanMs} onKey={(chosen) => change({ key: chosen })} />
        )}
      </Loaded>
    </Card>
  );
}

/** The labels of a key in the URL. One that cannot be read restricts nothing. */
function keyOf(text: string): Record<string, string> {
  try {
    return parseExactJson(text) as Record<string, string>;
  } catch {
    return {};
  }
}

const laneCountMax = 12;

interface LanesProps {
  readonly timeline: Timeline;
  readonly spanMs: number;
  readonly onKey: (key: string) => void;
}

function Lanes({ timeline, spanMs, onKey }: LanesProps): ReactNode {
  const [showsAll, setShowsAll] = useState(false);
  const lanes = lanesOf(timeline);
  const shown = showsAll ? lanes : lanes.slice(0, laneCountMax);
  if (lanes.length === 0)
    return <Empty>No event that concerns it, no firing and no open window in this span.</Empty>;
  return (
    <>
      <TimelineView lanes={shown} spanMs={spanMs} onKey={onKey} />
      <p className="small muted row">
        <span className="legend event">event</span>
        <span className="legend window">window</span>
        <span className="legend fired">fired</span>
        <span className="legend resolved">resolved</span>
        {timeline.events_truncated || timeline.firings_truncated
          ? `The latest ${countOf(timeline.events.length, "event")}; there are more.`
          : ""}
        {lanes.length > shown.length ? (
          <button type="button" onClick={() => setShowsAll(true)}>
            Show all {countOf(lanes.length, "key")}
          </button>
        ) : null}
      </p>
    </>
  );
}
