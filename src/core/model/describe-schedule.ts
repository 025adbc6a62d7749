/** A cron expression in words, for the sentences that describe triggers. */

import { listText, nameText } from "./words.ts";

/** `02:00 every day`, `06:00 on Monday to Friday`, `every full hour`; another one is quoted as it is written. */
export function tickText(cron: string): string {
  const written = cron.trim();
  const fields = nicknames[written.toLowerCase()] ?? written;
  const parts = fields.split(/\s+/);
  if (parts.length === 6 && parts[0] === "0") parts.shift();
  const [minutes = "", hours = "", dayOfMonth = "", month = "", weekdays = ""] = parts;
  const everyDay = isAny(dayOfMonth) && month === "*";
  if (parts.length === 5 && everyDay) {
    const days = daysText(weekdays);
    const clocks = clockTexts(minutes, hours);
    if (clocks !== null && days !== null) return `${listText(clocks, "and")} ${days}`;
    if (hours === "*" && isAny(weekdays)) {
      const each = hourlyText(minutes);
      if (each !== null) return each;
    }
  }
  if (parts.length === 5 && month === "*" && isAny(weekdays) && /^\d{1,2}$/.test(dayOfMonth)) {
    const clocks = clockTexts(minutes, hours);
    if (clocks !== null) return `${listText(clocks, "and")} on day ${Number(dayOfMonth)} of each month`;
  }
  return `each tick of the cron schedule ${nameText(written)}`;
}

const nicknames: Readonly<Record<string, string>> = {
  "@daily": "0 0 * * *",
  "@hourly": "0 * * * *",
  "@minutely": "* * * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@weekdays": "0 0 * * 1-5",
  "@weekends": "0 0 * * 0,6",
};

function isAny(field: string): boolean {
  return field === "*" || field === "?";
}

/** The times of day of plain minutes and hours; null for ranges, steps and more than a few. */
function clockTexts(minutes: string, hours: string): string[] | null {
  if (!/^\d{1,2}$/.test(minutes) || !/^\d{1,2}(,\d{1,2})*$/.test(hours)) return null;
  return hours.split(",").map((hour) => `${hour.padStart(2, "0")}:${minutes.padStart(2, "0")}`);
}

function hourlyText(minutes: string): string | null {
  if (minutes === "*") return "every full minute";
  if (/^\d{1,2}$/.test(minutes)) {
    return Number(minutes) === 0 ? "every full hour" : `minute ${Number(minutes)} of every hour`;
  }
  const step = Number(/^(?:\*|0)\/(\d{1,2})$/.exec(minutes)?.[1] ?? 0);
  // 7 does not divide an hour, so that `*/7` is not every seven minutes.
  return step > 1 && 60 % step === 0 ? `every ${step} minutes on the clock` : null;
}

const weekdayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** `every day`, `on Monday to Friday`, `on Saturday and Sunday`; null for anything else. */
function daysText(field: string): string | null {
  if (isAny(field)) return "every day";
  const parts = field.split(",").map((part) => {
    const days = part.split("-").map(weekdayOf);
    if (days.length > 2 || days.includes(undefined)) return null;
    return days.join(" to ");
  });
  return parts.includes(null) ? null : `on ${listText(parts as string[], "and")}`;
}

function weekdayOf(text: string): string | undefined {
  if (/^[0-7]$/.test(text)) return weekdayNames[Number(text) % 7];
  return weekdayNames.find(
    (name) => text.length === 3 && name.slice(0, 3).toLowerCase() === text.toLowerCase(),
  );
}
