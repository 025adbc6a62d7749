/** Times and spans, as people read them: in the viewer's time zone, with UTC on hover. */

import { type ReactNode, useSyncExternalStore } from "react";

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const clockTimeWithMs = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

/** Ticks once a second, for everything that says how long ago something was. */
const ticker = {
  now: Date.now(),
  listeners: new Set<() => void>(),
  timer: undefined as ReturnType<typeof setInterval> | undefined,
};

function subscribe(listener: () => void): () => void {
  ticker.listeners.add(listener);
  ticker.timer ??= setInterval(() => {
    if (document.hidden) return;
    ticker.now = Date.now();
    for (const each of ticker.listeners) each();
  }, 1_000);
  return () => {
    ticker.listeners.delete(listener);
    if (ticker.listeners.size > 0) return;
    clearInterval(ticker.timer);
    ticker.timer = undefined;
  };
}

/** The present, in milliseconds since the epoch; it moves once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => ticker.now);
}

export interface TimeProps {
  /** RFC 3339. */
  readonly at: string;
  /** `ago`: how long ago, or how far ahead. `clock`: the time of day. `full` (default): with the date. */
  readonly as?: "ago" | "clock" | "full" | "clock-ms";
}

/** A time, with the exact time in UTC on hover. */
export function Time({ at, as = "full" }: TimeProps): ReactNode {
  const ms = Date.parse(at);
  const title = `${dateTime.format(ms)} here · ${at.replace("+00:00", "Z")} in UTC`;
  return (
    <time dateTime={at} title={title} className="nowrap">
      {as === "ago" ? <Ago ms={ms} /> : timeText(ms, as)}
    </time>
  );
}

function Ago({ ms }: { readonly ms: number }): string {
  return agoText(ms - useNow());
}

export function timeText(ms: number, as: "clock" | "full" | "clock-ms"): string {
  const format = { clock: clockTime, full: dateTime, "clock-ms": clockTimeWithMs }[as];
  return format.format(ms);
}

/** Such as `3 min ago` and `in 20 s`. @param ms negative for the past */
function agoText(ms: number): string {
  if (Math.abs(ms) < 1_000) return "now";
  const seconds = Math.floor(Math.abs(ms) / 1_000) * 1_000;
  return ms < 0 ? `${durationText(seconds)} ago` : `in ${durationText(seconds)}`;
}

const units: readonly (readonly [name: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

/** Such as `1 h 20 min`, `45 s` and `120 ms`: at most two units. @param ms 0 or more */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000 && ms % 1_000 !== 0) return `${(ms / 1_000).toFixed(1)} s`;
  const first = units.findIndex(([, length]) => ms >= length);
  const [name, length] = units[first] ?? ["s", 1_000];
  const count = Math.floor(ms / length);
  const next = units[first + 1];
  const rest = next === undefined ? 0 : Math.floor((ms - count * length) / next[1]);
  return rest === 0 || next === undefined ? `${count} ${name}` : `${count} ${name} ${rest} ${next[0]}`;
}

/** A countdown to a time, or how long it is overdue. */
export function Countdown({ to }: { readonly to: string }): ReactNode {
  const left = Date.parse(to) - useNow();
  return (
    <time
      dateTime={to}
      title={`${dateTime.format(Date.parse(to))} here · ${to} in UTC`}
      className="number nowrap"
    >
      {left >= 0 ? durationText(Math.ceil(left / 1_000) * 1_000) : `${durationText(-left)} overdue`}
    </time>
  );
}
