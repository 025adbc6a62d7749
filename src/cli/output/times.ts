/** Times, as a person reads them. */

import { type Micros, millisecond, parseTime, second } from "../../core/model/time.ts";
import type { View } from "./view.ts";

/**
 * A time in the local time zone, or in UTC.
 *
 * Short on a terminal: `14:52:56` today, else `2026-11-23 14:52:56`; in UTC with a `Z`. In full otherwise:
 * `2026-11-23T14:52:56.714+01:00`.
 *
 * @param time RFC 3339; null is shown as `-`
 */
export function timeText(time: string | null, view: View): string {
  const micros = time === null ? null : parseTime(time);
  if (micros === null) return time ?? "-";
  const { date, clock, fraction, zone } = partsOf(micros, view.utc);
  if (!view.brief) return `${date}T${clock}${fraction}${zone}`;
  const zoneMark = view.utc ? "Z" : "";
  const isToday = partsOf(view.now, view.utc).date === date;
  return isToday ? `${clock}${zoneMark}` : `${date} ${clock}${zoneMark}`;
}

/** The same, and on a terminal how long ago that was or how soon it will be: `14:52:56 (in 12s)`. */
export function timeAndDistance(time: string | null, view: View): string {
  const text = timeText(time, view);
  const micros = time === null ? null : parseTime(time);
  return micros === null || !view.brief ? text : `${text} (${distanceText(micros, view.now)})`;
}

/** A day in the local time zone or in UTC: `2026-11-23`. */
export function dayText(time: string | null, view: View): string {
  const micros = time === null ? null : parseTime(time);
  return micros === null ? "-" : partsOf(micros, view.utc).date;
}

/** `in 12s`, `3m ago`, `now`. */
function distanceText(time: Micros, now: Micros): string {
  const seconds = Math.round((time - now) / second);
  if (seconds === 0) return "now";
  const length = durationText(Math.abs(seconds));
  return seconds > 0 ? `in ${length}` : `${length} ago`;
}

/** In the largest unit that says enough: `45s`, `12m`, `7h`, `3d`. */
function durationText(seconds: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ] as const;
  // Two of a unit at least: between 60 and 120 seconds, seconds say more than "1m".
  const unit = units.find(([length]) => seconds >= 2 * length);
  return unit === undefined ? `${seconds}s` : `${Math.round(seconds / unit[0])}${unit[1]}`;
}

function partsOf(time: Micros, utc: boolean) {
  const instant = new Date(Math.floor(time / millisecond));
  const offsetMinutes = utc ? 0 : -instant.getTimezoneOffset();
  const shifted = new Date(instant.getTime() + offsetMinutes * 60_000).toISOString();
  const micros = String(((time % second) + second) % second).padStart(6, "0");
  const fraction = micros.replace(/0{1,6}$/, "");
  const sign = offsetMinutes < 0 ? "-" : "+";
  const twoDigits = (number: number) => String(Math.floor(number)).padStart(2, "0");
  const offset = Math.abs(offsetMinutes);
  return {
    date: shifted.slice(0, 10),
    clock: shifted.slice(11, 19),
    fraction: fraction === "" ? "" : `.${fraction}`,
    zone: utc ? "Z" : `${sign}${twoDigits(offset / 60)}:${twoDigits(offset % 60)}`,
  };
}
