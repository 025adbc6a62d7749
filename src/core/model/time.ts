/**
 * Instants and durations as integer microseconds.
 *
 * A JavaScript number holds microseconds since the epoch exactly until the year 2255. Instants are read and printed
 * here by calendar arithmetic, because the core may not touch `Date`, which can read the clock.
 */

/** Microseconds: an instant, counted from 1970-01-01T00:00:00Z, or a length of time. */
export type Micros = number;

export const millisecond: Micros = 1_000;
export const second: Micros = 1_000_000;
export const minute: Micros = 60 * second;
export const hour: Micros = 60 * minute;
export const day: Micros = 24 * hour;

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?([Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?$/;

/**
 * Reads an RFC 3339 instant. Without an offset it is in UTC; a date alone means midnight; digits beyond microseconds
 * are dropped.
 *
 * @returns the instant, or null when `text` is not a valid one (month 13, February 30, hour 25, year 0)
 */
export function parseTime(text: string): Micros | null {
  const parts = rfc3339.exec(text);
  if (parts === null) return null;
  const [, year, month, dayOfMonth, hours = "0", minutes = "0", seconds = "0", fraction = "", offset = "Z"] =
    parts;
  const y = Number(year);
  const m = Number(month);
  const d = Number(dayOfMonth);
  if (m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m)) return null;
  const leapSecond = seconds === "60";
  if (Number(hours) > 23 || Number(minutes) > 59 || (Number(seconds) > 59 && !leapSecond)) return null;
  const offsetMinutes = minutesOf(offset);
  if (offsetMinutes === null) return null;
  const wholeSeconds =
    daysFromCivil(y, m, d) * 86_400 +
    Number(hours) * 3_600 +
    (Number(minutes) - offsetMinutes) * 60 +
    Number(seconds);
  const whole = wholeSeconds * second;
  if (whole < timeMin || whole > timeMax) return null;
  // That far from the epoch, a number cannot hold every microsecond.
  return Math.min(whole + Number(fraction.padEnd(6, "0").slice(0, 6)), timeMax);
}

/**
 * A function that reads times like `parseTime`, and faster. Events that follow each other are mostly of the same minute, and
 * then only the seconds are read.
 */
export function timeReader(): (text: string) => Micros | null {
  let minuteText = "";
  let minuteStart: Micros = 0;
  return (text) => {
    const isUsual = usualTime.test(text);
    if (isUsual && text.startsWith(minuteText) && minuteText !== "")
      return minuteStart + Math.round(Number(text.slice(minuteLength, -1)) * second);
    const time = parseTime(text);
    if (isUsual && time !== null) {
      minuteText = text.slice(0, minuteLength);
      minuteStart = parseTime(`${minuteText}00Z`) ?? 0;
    }
    return time;
  };
}

/** `2026-03-01T12:00:` */
const minuteLength = 17;
const usualTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?Z$/;

/** True when a time says how far its clock is from UTC: with `Z` or an offset. @param text a valid time */
export function hasOffset(text: string): boolean {
  return /(?:[Zz]|:\d{2}(?:[.,]\d+)?\s?[+-]\d{2}(?::?\d{2})?)$/.test(text);
}

/** The first and the last instant that can be written in RFC 3339: the years 1 to 9999. */
export const timeMin: Micros = -62_135_596_800_000_000;
export const timeMax: Micros = 253_402_300_800_000_000 - 32; // the last number before the year 10000

/** Prints an instant in UTC as RFC 3339 with `Z`, with six decimals when it has a fraction of a second. */
export function formatTime(instant: Micros): string {
  const wholeSeconds = Math.floor(instant / second);
  const fraction = instant - wholeSeconds * second;
  const days = Math.floor(wholeSeconds / 86_400);
  const secondOfDay = wholeSeconds - days * 86_400;
  const { year, month, day } = civilFromDays(days);
  const clock = [Math.floor(secondOfDay / 3_600), Math.floor(secondOfDay / 60) % 60, secondOfDay % 60]
    .map((part) => pad(part, 2))
    .join(":");
  const decimals = fraction === 0 ? "" : `.${pad(fraction, 6)}`;
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${clock}${decimals}Z`;
}

/** Prints an instant like `formatTime`, without its fraction of a second. */
export function formatSecond(instant: Micros): string {
  return formatTime(Math.floor(instant / second) * second);
}

/**
 * Reads a duration: a number of seconds, `90s`, `1.5h`, `30m`, `1d`, `250ms`, several parts (`1h30m`), or ISO 8601
 * (`PT30M`, `P1D`, `P1W`). Never negative.
 *
 * @returns microseconds, or null when `value` is not a duration
 */
export function parseDuration(value: unknown): Micros | null {
  if (typeof value === "number") {
    return Number.isFinite(value) && value >= 0 ? Math.round(value * second) : null;
  }
  if (typeof value !== "string") return null;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * second);
  if (/^P/i.test(text)) return parseIsoDuration(text.toUpperCase());
  const units: Readonly<Record<string, Micros>> = {
    ms: millisecond,
    s: second,
    m: minute,
    h: hour,
    d: day,
    w: 7 * day,
  };
  if (!/^(\d+(\.\d+)?(ms|[smhdw])\s*)+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])\s*/gy)) {
    total += Number(amount) * (units[unit ?? ""] ?? 0);
  }
  return Math.round(total);
}

/** Prints a length of time for people, in the largest exact units: `1h30m`, `45s`, `250ms`. */
export function formatDuration(length: Micros): string {
  if (length === 0) return "0s";
  let rest = length;
  let text = "";
  for (const [unit, name] of [
    [day, "d"],
    [hour, "h"],
    [minute, "m"],
  ] as const) {
    const count = Math.floor(rest / unit);
    if (count > 0) text += `${count}${name}`;
    rest -= count * unit;
  }
  if (rest === 0) return text;
  return text === "" && rest < second ? `${rest / millisecond}ms` : `${text}${rest / second}s`;
}

function parseIsoDuration(text: string): Micros | null {
  const parts =
    /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(
      text,
    );
  if (parts === null || parts.slice(1).every((part) => part === undefined)) return null;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  return Math.round((weeks * 7 + days) * day + hours * hour + minutes * minute + seconds * second);
}

function minutesOf(offset: string): number | null {
  if (offset === "Z" || offset === "z") return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(":", "") || "0");
  if (hours > 23 || minutes > 59) return null;
  return (offset.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

// Days since the epoch and back, in the proleptic Gregorian calendar: H. Hinnant, "chrono-Compatible Low-Level Date
// Algorithms". Years are counted from March, so that the leap day comes last.
function daysFromCivil(year: number, month: number, dayOfMonth: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + dayOfMonth - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
