/** Draws the lanes of a timeline. */

import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { durationText, timeText, useNow } from "../../parts/times.tsx";
import type { Lane } from "./timeline-lanes.ts";
import "../../style/timeline.css";

export interface TimelineViewProps {
  readonly lanes: readonly Lane[];
  /** How far back it reaches. */
  readonly spanMs: number;
  /** Called with the key of a lane that was chosen. */
  readonly onKey: (key: string) => void;
}

const lanePx = 34;
const axisPx = 26;

/** At most this share of the drawing is left for what is to come. */
const futureShareMax = 0.4;

export function TimelineView({ lanes, spanMs, onKey }: TimelineViewProps): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return;
    const resized = new ResizeObserver(() => setWidth(Math.max(element.clientWidth, 200)));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  const now = useNow();
  const deadlines = lanes.flatMap(({ windows }) =>
    windows.flatMap(({ deadline }) => (deadline === null ? [] : [Date.parse(deadline)])),
  );
  const futureMs = Math.min(
    Math.max(0, ...deadlines.map((at) => at - now)) * 1.1,
    (spanMs * futureShareMax) / (1 - futureShareMax),
  );
  const startMs = now - spanMs;
  const scale = width / (spanMs + futureMs);
  const x = (at: string | number) => ((typeof at === "number" ? at : Date.parse(at)) - startMs) * scale;
  const height = axisPx + lanes.length * lanePx;
  return (
    <div className="timeline">
      <div className="timeline-names" style={{ paddingTop: axisPx }}>
        {lanes.map(({ key, name }) => (
          <div key={key} style={{ height: lanePx }}>
            {key === "" ? (
              <span className="cut">{name}</span>
            ) : (
              <button type="button" className="plain cut" title={name} onClick={() => onKey(key)}>
                {name}
              </button>
            )}
          </div>
        ))}
      </div>
      <div ref={place} className="timeline-place">
        <svg width={width} height={height} role="group" aria-label={summaryOf(lanes, spanMs)}>
          <Axis startMs={startMs} lengthMs={spanMs + futureMs} scale={scale} height={height} />
          {lanes.map((lane, index) => (
            <LaneView
              key={lane.key}
              lane={lane}
              top={axisPx + index * lanePx}
              x={x}
              now={now}
              width={width}
            />
          ))}
          <line className="now" x1={x(now)} x2={x(now)} y1={axisPx - 6} y2={height} />
        </svg>
      </div>
    </div>
  );
}

function summaryOf(lanes: readonly Lane[], spanMs: number): string {
  const texts = lanes.map(
    ({ name, events, firings, windows }) =>
      `${name}: ${events.length} events, ${firings.length} firings, ${windows.length} open windows`,
  );
  return `The last ${durationText(spanMs)}. ${texts.join("; ")}`;
}

const ticksMs = [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400].map(
  (s) => s * 1_000,
);
const tickPxMin = 90;

interface AxisProps {
  readonly startMs: number;
  readonly lengthMs: number;
  /** Pixels per millisecond. */
  readonly scale: number;
  readonly height: number;
}

function Axis({ startMs, lengthMs, scale, height }: AxisProps): ReactNode {
  const step = ticksMs.find((ms) => ms * scale >= tickPxMin) ?? 86_400_000;
  const zone = new Date(startMs).getTimezoneOffset() * 60_000;
  const first = Math.ceil((startMs - zone) / step) * step + zone;
  const ticks = Array.from(
    { length: Math.max(0, Math.ceil((startMs + lengthMs - first) / step)) },
    (_, index) => first + index * step,
  );
  return (
    <g className="axis">
      {ticks.map((at) => (
        <g key={at}>
          <line x1={(at - startMs) * scale} x2={(at - startMs) * scale} y1={axisPx - 4} y2={height} />
          <text x={(at - startMs) * scale} y={14} textAnchor="middle">
            {timeText(at, "clock").replace(/:00(?= |$)/, "")}
          </text>
        </g>
      ))}
    </g>
  );
}

interface LaneViewProps {
  readonly lane: Lane;
  readonly top: number;
  readonly x: (at: string | number) => number;
  readonly now: number;
  readonly width: number;
}

function LaneView({ lane, top, x, now, width }: LaneViewProps): ReactNode {
  const middle = top + lanePx / 2;
  return (
    <g>
      <line className="lane" x1={0} x2={width} y1={top} y2={top} />
      {lane.firings.map(({ event_id: id, window }) =>
        window === null || window.end === null ? null : (
          <rect
            key={`window ${id}`}
            className="window past"
            x={x(window.start)}
            y={top + 8}
            width={Math.max(1, x(window.end) - x(window.start))}
            height={lanePx - 16}
            rx={3}
          />
        ),
      )}
      {lane.windows.map(({ trigger, start, deadline, end, unresolved, count, threshold }) => {
        if (start === null) return null;
        const until = deadline ?? end;
        const right = until === null ? width : x(until);
        const left = Math.max(0, x(start));
        const leftMs = until === null ? null : Date.parse(until) - now;
        return (
          <g key={`${trigger} ${start}`}>
            <rect
              className={unresolved ? "window open silent" : "window open"}
              x={left}
              y={top + 8}
              width={Math.max(2, right - left)}
              height={lanePx - 16}
              rx={3}
            >
              <title>{`${count} of ${threshold}`}</title>
            </rect>
            {leftMs === null || leftMs < 0 || right - x(now) < 36 ? null : (
              <text className="countdown" x={right - 5} y={middle + 4} textAnchor="end">
                {durationText(Math.ceil(leftMs / 1_000) * 1_000)}
              </text>
            )}
          </g>
        );
      })}
      {lane.events.map(({ id, event, occurred, role }) => (
        <Mark key={id} event={id}>
          <circle className={`event ${role}`} cx={x(occurred)} cy={middle} r={4}>
            <title>{`${event} at ${timeText(Date.parse(occurred), "clock-ms")}`}</title>
          </circle>
        </Mark>
      ))}
      {lane.firings.map(({ event_id: id, state, triggered }) => (
        <Mark key={id} event={id}>
          <path
            className={state === "Triggered" ? "fired" : "resolved"}
            d={`M ${x(triggered)} ${top + 4} l 7 13 h -14 z`}
            transform={state === "Triggered" ? undefined : `rotate(180 ${x(triggered)} ${top + 10})`}
          >
            <title>{`${state} at ${timeText(Date.parse(triggered), "clock-ms")}`}</title>
          </path>
        </Mark>
      ))}
    </g>
  );
}

/** What leads to the page of an event. Not with the tab key: there may be hundreds, and the lists below have them too. */
function Mark({ event, children }: { readonly event: string; readonly children: ReactNode }): ReactNode {
  return (
    <Link href={`/events/${event}`} tabIndex={-1}>
      {children}
    </Link>
  );
}
