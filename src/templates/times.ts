/**
 * Times in templates. They are texts in RFC 3339, so nothing but their form says that a text is one; it has the attributes
 * and methods of Python's times, and their difference is a number of seconds.
 */

import { type Micros, millisecond, minute, parseTime, second } from "../core/model/time.ts";
import { TemplateError } from "./template-error.ts";

/** The parts of a time on the clock of its own offset. */
interface ClockFace {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly microsecond: number;
}

/** A time, and what its own clock shows. */
interface LocalTime {
  readonly instant: Micros;
  readonly offsetMinutes: number;
  readonly clock: ClockFace;
  /** The name of its zone, such as CET or UTC+02:00. */
  readonly zone: string;
}

/** The attributes of a time, as in `event.occurred.year`. */
export const timeAttributes: readonly (keyof ClockFace)[] = [
  "year",
  "month",
  "day",
  "hour",
  "minute",
  "second",
  "microsecond",
];

/** The instant that a text stands for, if it is a time and not only a date. */
function instantOf(text: string): Micros | null {
  return text.length > 10 && text.length < 50 ? parseTime(text) : null;
}

/** An attribute of a time; undefined if the text is no time, or times have no such attribute. */
export function timeAttribute(text: string, attribute: string): number | undefined {
  const known = timeAttributes.find((name) => name === attribute);
  const instant = known === undefined ? null : instantOf(text);
  return known === undefined || instant === null ? undefined : localTime(text, instant).clock[known];
}

/** The seconds from `earlier` to `later`; null unless both are times. */
export function secondsBetween(later: string, earlier: string): number | null {
  const [end, start] = [instantOf(later), instantOf(earlier)];
  return end === null || start === null ? null : (end - start) / second;
}

/** Seconds since 1970. @throws TemplateError if the text is no time */
export function timestampOf(text: string): number {
  return instantIn(text, "timestamp") / second;
}

/** The day of a time. @throws TemplateError if the text is no time */
export function dateOf(text: string): string {
  instantIn(text, "date");
  return text.slice(0, 10);
}

/** @throws TemplateError if the text is no time */
export function weekdayOf(text: string): number {
  return (dayOfWeek(localTime(text, instantIn(text, "weekday")).clock) + 6) % 7; // Monday is 0
}

/**
 * The same time on the clock of a zone: RFC 3339 with the zone's offset.
 *
 * @throws TemplateError if the text is no time, or there is no such zone
 */
export function inTimezone(text: string, zone: string): string {
  return written(zonedTime(instantIn(text, "in_timezone"), zone));
}

/**
 * Prints a time as Python's strftime does, with English names.
 *
 * @param zone whose clock to show; null for the time's own
 * @throws TemplateError if the text is no time, or there is no such zone
 */
export function strftime(text: string, format: string, zone: string | null): string {
  const instant = instantIn(text, "strftime");
  const time = zone === null ? localTime(text, instant) : zonedTime(instant, zone);
  return format.replace(/%([-_0^#]?)([A-Za-z%])/g, (directive, flag: string, letter: string) => {
    const printed = printDirective(letter, time);
    if (printed === null) return directive;
    if (flag === "-") return /^0\d/.test(printed) ? printed.replace(/^0{1,5}(?=\d)/, "") : printed;
    if (flag === "_") return printed.replace(/^0{1,5}(?=\d)/, (zeros) => " ".repeat(zeros.length));
    return flag === "^" ? printed.toUpperCase() : printed;
  });
}

function instantIn(text: string, what: string): Micros {
  const instant = instantOf(text);
  if (instant !== null) return instant;
  throw new TemplateError(`${what} needs a time such as 2026-03-01T09:30:00Z, not another text`);
}

/** @param text a valid time */
function localTime(text: string, instant: Micros): LocalTime {
  const [, sign = "+", hours = "0", minutes = "0"] = /([+-])(\d{2}):?(\d{2})?$/.exec(text.slice(10)) ?? [];
  const offsetMinutes = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  const zone = offsetMinutes === 0 ? "UTC" : `UTC${offsetText(offsetMinutes, ":")}`;
  return { instant, offsetMinutes, zone, clock: clockOf(instant, offsetMinutes) };
}

function zonedTime(instant: Micros, zone: string): LocalTime {
  const { offsetMinutes, name } = offsetAt(instant, zone);
  return { instant, offsetMinutes, zone: name, clock: clockOf(instant, offsetMinutes) };
}

function clockOf(instant: Micros, offsetMinutes: number): ClockFace {
  const local = instant + offsetMinutes * minute;
  const date = new Date(Math.floor(local / millisecond));
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    microsecond: ((local % second) + second) % second,
  };
}

/** Zones come from templates and from events; making a formatter for one takes a while. */
const formatters = new Map<string, Intl.DateTimeFormat>();
const formatterCountMax = 50;

function formatterFor(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  let made: Intl.DateTimeFormat;
  try {
    made = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      timeZoneName: "short",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    throw new TemplateError(
      `there is no time zone ${JSON.stringify(zone.slice(0, 100))}; use one such as Europe/Berlin`,
    );
  }
  if (formatters.size >= formatterCountMax) formatters.clear();
  formatters.set(zone, made);
  return made;
}

/** True if there is such a time zone. */
export function isTimezone(zone: string): boolean {
  try {
    formatterFor(zone);
    return true;
  } catch {
    return false;
  }
}

function offsetAt(instant: Micros, zone: string): { offsetMinutes: number; name: string } {
  const ms = Math.floor(instant / 1_000_000) * 1_000; // whole seconds, as the formatter shows
  const parts = new Map(
    formatterFor(zone)
      .formatToParts(new Date(ms))
      .map(({ type, value }) => [type, value]),
  );
  const of = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  const local = new Date(0);
  local.setUTCFullYear(of("year"), of("month") - 1, of("day"));
  local.setUTCHours(of("hour"), of("minute"), of("second"));
  return {
    offsetMinutes: Math.round((local.getTime() - ms) / 60_000),
    name: parts.get("timeZoneName") ?? zone,
  };
}

function written({ clock, offsetMinutes }: LocalTime): string {
  const { year, month, day, hour, minute: minutes, second: seconds, microsecond } = clock;
  const date = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
  const fraction = microsecond === 0 ? "" : `.${pad(microsecond, 6)}`;
  const offset = offsetMinutes === 0 ? "Z" : offsetText(offsetMinutes, ":");
  return `${date}T${pad(hour)}:${pad(minutes)}:${pad(seconds)}${fraction}${offset}`;
}

function offsetText(offsetMinutes: number, separator: string): string {
  const minutes = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60))}${separator}${pad(minutes % 60)}`;
}

const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const monthNames = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

/** Null for a letter that means nothing. */
function printDirective(letter: string, time: LocalTime): string | null {
  const { clock, offsetMinutes, zone, instant } = time;
  const { year, month, day, hour, minute: minutes, second: seconds, microsecond } = clock;
  const weekday = dayOfWeek(clock);
  const inner = (letters: string) =>
    letters.replace(/[A-Za-z]/g, (each) => printDirective(each, time) ?? each);
  switch (letter) {
    case "Y":
      return pad(year, 4);
    case "y":
      return pad(year % 100);
    case "C":
      return pad(Math.floor(year / 100));
    case "m":
      return pad(month);
    case "B":
      return monthNames[month - 1] ?? "";
    case "b":
    case "h":
      return monthNames[month - 1]?.slice(0, 3) ?? "";
    case "d":
      return pad(day);
    case "e":
      return String(day).padStart(2, " ");
    case "j":
      return pad(dayOfYear(clock), 3);
    case "A":
      return dayNames[weekday] ?? "";
    case "a":
      return dayNames[weekday]?.slice(0, 3) ?? "";
    case "w":
      return String(weekday);
    case "u":
      return String(weekday === 0 ? 7 : weekday);
    case "U":
      return pad(Math.floor((dayOfYear(clock) + 6 - weekday) / 7));
    case "W":
      return pad(Math.floor((dayOfYear(clock) + 6 - ((weekday + 6) % 7)) / 7));
    case "G":
      return pad(isoWeek(clock).year, 4);
    case "V":
      return pad(isoWeek(clock).week);
    case "H":
      return pad(hour);
    case "k":
      return String(hour).padStart(2, " ");
    case "I":
      return pad(hour % 12 || 12);
    case "l":
      return String(hour % 12 || 12).padStart(2, " ");
    case "p":
      return hour < 12 ? "AM" : "PM";
    case "P":
      return hour < 12 ? "am" : "pm";
    case "M":
      return pad(minutes);
    case "S":
      return pad(seconds);
    case "f":
      return pad(microsecond, 6);
    case "z":
      return offsetText(offsetMinutes, "");
    case "Z":
      return zone;
    case "s":
      return String(Math.floor(instant / second));
    case "T":
    case "X":
      return inner("H:M:S");
    case "R":
      return inner("H:M");
    case "r":
      return inner("I:M:S p");
    case "D":
    case "x":
      return inner("m/d/y");
    case "F":
      return inner("Y-m-d");
    case "c":
      return inner("a b e H:M:S Y");
    case "n":
      return "\n";
    case "t":
      return "\t";
    case "%":
      return "%";
    default:
      return null;
  }
}

function dayOfWeek({ year, month, day }: ClockFace): number {
  return utcDate(year, month, day).getUTCDay();
}

function dayOfYear({ year, month, day }: ClockFace): number {
  return Math.round((utcDate(year, month, day).getTime() - utcDate(year, 1, 1).getTime()) / 86_400_000) + 1;
}

/** The week that ISO 8601 counts: the first of a year has its first Thursday. */
function isoWeek(clock: ClockFace): { year: number; week: number } {
  const thursday = utcDate(clock.year, clock.month, clock.day);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (dayOfWeek(clock) || 7));
  const year = thursday.getUTCFullYear();
  return { year, week: Math.floor((thursday.getTime() - utcDate(year, 1, 1).getTime()) / 604_800_000) + 1 };
}

function utcDate(year: number, month: number, day: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date;
}

function pad(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}
