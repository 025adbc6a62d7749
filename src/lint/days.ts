/** Warnings about days: of the month and of the week, of the calendar and of 24 hours. */

import { Schedule } from "../core/model/schedule.ts";
import { day, formatDuration, hour, type Micros, parseTime } from "../core/model/time.ts";
import { type EventPart, isAlwaysOpen } from "./triggers.ts";
import { quoted, type TriggerFinding } from "./warning.ts";

export function findDayMistakes(part: EventPart): TriggerFinding[] {
  return [...findTwoKindsOfDays(part), ...findDaysOfHours(part), ...findSkippedTicks(part)];
}

/** Cron ticks when the day of the month *or* the day of the week matches, if both are named. */
function findTwoKindsOfDays({ definition, path }: EventPart): TriggerFinding[] {
  const { cron } = definition.schedule ?? {};
  const [weekday, , dayOfMonth] = (cron ?? "").trim().split(/\s+/).reverse();
  // A step such as */7 names days, too: cron-parser takes it for a list of them.
  const isNamed = (field = "*"): boolean => !["*", "?", "*/1"].includes(field);
  if (cron === undefined || !isNamed(weekday) || !isNamed(dayOfMonth)) return [];
  const reason = `cron ${quoted(cron)} ticks on every day that matches the day of the month (${dayOfMonth}) or the weekday (${weekday}), not only on days that match both`;
  const nth = nthWeekday(dayOfMonth ?? "", weekday ?? "");
  const fix =
    nth === null
      ? "name only one of them, and write * for the other"
      : `for the ${nth.words} write * and ${nth.field}; otherwise name only one of them`;
  return [{ code: "TL407", path: [...path, "schedule", "cron"], reason, fix }];
}

/** `1-7` and `1` is meant as the first Monday of a month, which cron-parser writes as `1#1`. */
function nthWeekday(dayOfMonth: string, weekday: string): { words: string; field: string } | null {
  const ordinals = ["first", "second", "third", "fourth"];
  const index = ["1-7", "8-14", "15-21", "22-28"].indexOf(dayOfMonth);
  if (index === -1 || !/^([0-7]|[a-z]{3})$/i.test(weekday)) return null;
  return { words: `${ordinals[index]} such weekday of a month`, field: `${weekday}#${index + 1}` };
}

/** `within: 1d` is 24 hours: where clocks change, a calendar day can be shorter or longer, and a daily event later. */
function findDaysOfHours(part: EventPart): TriggerFinding[] {
  const { definition, compiled, path } = part;
  const { schedule, posture } = definition;
  const { within } = compiled;
  if (within === 0 || within % day !== 0) return [];
  const length = formatDuration(within);
  const at = [...path, "within"];
  if (schedule !== undefined) {
    if (!hasShortDays(schedule.cron, schedule.timezone, within)) return [];
    const reason = `within: ${length} means ${within / hour} hours, but in ${schedule.timezone} a day has 23 hours when clocks go forward: a tick then finds the last window still open, and opens none`;
    const fix =
      within === day
        ? "remove within, and set until in the schedule to the time of day of its ticks"
        : `give a within that ends before the next tick, such as ${formatDuration(within - 2 * hour)}`;
    return [{ code: "TL408", path: at, reason, fix }];
  }
  if (posture !== "Proactive" || !isAlwaysOpen(part)) return [];
  const reason = `within: ${length} means ${within / hour} hours after the last event, and not a calendar day: something that happens daily, but a minute later than the day before, is reported as a silence`;
  const fix = `expect it by a time of day with schedule and until, or give it some leeway, such as within: ${formatDuration(within + 2 * hour)}`;
  return [{ code: "TL408", path: at, reason, fix }];
}

/** A tick that finds the last window still open opens none, so the time after that window is not watched. */
function findSkippedTicks({ definition, compiled, path }: EventPart): TriggerFinding[] {
  const { schedule } = definition;
  const { within } = compiled;
  if (schedule === undefined || schedule.until !== undefined || within % day === 0) return [];
  const pauses = pausesOf(schedule.cron, "UTC");
  const shortest = pauses.reduce((least, pause) => Math.min(least, pause), Number.POSITIVE_INFINITY);
  if (shortest >= within) return [];
  const reason = `the ticks of cron ${quoted(schedule.cron)} come as little as ${formatDuration(shortest)} apart, and within is ${formatDuration(within)}: a tick that finds the last window still open opens none`;
  const isUneven = pauses.some((pause) => pause >= within);
  const fix = `set within to at most ${formatDuration(shortest)}, or let cron tick ${isUneven ? "at even distances" : "less often"}`;
  return [{ code: "TL410", path: [...path, "within"], reason, fix }];
}

/** True when some tick of a year finds the window of the tick before still open, although most do not. */
function hasShortDays(cron: string, timezone: string, within: Micros): boolean {
  const pauses = pausesOf(cron, timezone);
  const shorter = pauses.filter((pause) => pause < within).length;
  return shorter > 0 && shorter <= pauses.length / 10;
}

/** The times between the ticks of a year, or between the first of them. */
function pausesOf(cron: string, timezone: string): Micros[] {
  const ticks = new Schedule(cron, timezone);
  const pauses: Micros[] = [];
  let last = ticks.next(someNewYear);
  while (last !== null && last < someNewYear + 370 * day && pauses.length < tickCountMax) {
    const next = ticks.next(last);
    if (next !== null) pauses.push(next - last);
    last = next;
  }
  return pauses;
}

const someNewYear = parseTime("2026-01-01T00:00:00Z") ?? 0;
const tickCountMax = 400; // a year of daily ticks
