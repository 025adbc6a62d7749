/**
 * Schedules: the instants that a cron expression names in a time zone.
 *
 * cron-parser reads the expression and steps from tick to tick of the *wall clock*. Daylight saving is handled here,
 * because cron-parser moves a tick inside the missing hour past that hour's end, and where clocks change by half an hour
 * it can lose a tick, or find no further ticks at all. A wall-clock time that does not exist becomes the first instant
 * after the gap; one that exists twice becomes the first of the two. An expression whose hours are `*` means elapsed
 * time: it neither gains nor loses a tick when clocks change.
 */

import { CronDate, type CronExpression, CronExpressionParser } from "cron-parser";
import { day, hour, type Micros, millisecond, minute, second } from "./time.ts";

export class Schedule {
  readonly #expression: CronExpression;
  readonly #timezone: string;
  readonly #elapsed: boolean;

  /** @throws Error when `cronProblem(cron)` or `timezoneProblem(timezone)` finds a problem */
  constructor(cron: string, timezone: string) {
    const fields = cron.trim().split(/\s+/);
    const hours = fields.length === 1 ? "" : fields[fields.length - 4];
    this.#timezone = timezone;
    this.#elapsed = cron.trim() === "@hourly" || hours === "*";
    this.#expression = CronExpressionParser.parse(cron, { currentDate: 0, tz: "UTC" });
  }

  /** The first tick later than `instant`, or null when there is none within the years that cron-parser looks ahead. */
  next(instant: Micros): Micros | null {
    try {
      if (this.#elapsed) return this.#nextElapsed(Math.floor(instant / millisecond)) * millisecond;
      // The wall clock may be set back by hours and repeat the same times, so start early and skip.
      return this.#instantOf(this.#nextWall(instant)) * millisecond;
    } catch {
      return null;
    }
  }

  /**
   * The first instant after a tick at which the clock shows a time of day, on the same day or the next.
   *
   * A time that clocks skip is the first instant after the gap; of a time that they show twice, the first counts. If that is
   * not after the tick, because the same change of clocks has moved the tick, the window is as long as on any other day.
   *
   * @param tick an instant that `next` has returned
   * @param timeOfDay as `parseTimeOfDay` returns it
   */
  endOf(tick: Micros, timeOfDay: Micros): Micros {
    const tickMs = tick / millisecond;
    const wall = this.#elapsed ? tickMs + this.#offset(tickMs) : this.#nextWall(tick - millisecond);
    const midnight = Math.floor(wall / dayMs) * dayMs;
    const today = midnight + timeOfDay / millisecond;
    const end = today > wall ? today : today + dayMs;
    const instant = this.#instantOf(end);
    return (instant > tickMs ? instant : tickMs + end - wall) * millisecond;
  }

  /** The wall-clock time of the first tick later than `instant`, as if the clock ran on UTC. */
  #nextWall(instant: Micros): number {
    let wall = Math.floor(instant / millisecond) + this.#offset(Math.floor(instant / millisecond)) - earlyMs;
    for (;;) {
      wall = this.#step(wall);
      if (this.#instantOf(wall) * millisecond > instant) return wall;
    }
  }

  /** The first tick of the wall clock after a wall-clock time, both as if the clock ran on UTC. */
  #step(wallMs: number): number {
    this.#expression.reset(new CronDate(wallMs, "UTC"));
    return this.#expression.next().getTime();
  }

  /** The first instant after this one at which the wall clock shows a tick, for the first or the second time. */
  #nextElapsed(instantMs: number): number {
    let offset = this.#offset(instantMs);
    let wall = instantMs + offset;
    for (let from = instantMs; ; ) {
      const tick = this.#step(wall) - offset;
      const change = this.#changeOfOffset(from, tick, offset);
      if (change === null) return tick;
      from = change;
      offset = this.#offset(change);
      wall = change + offset - 1; // The time that the clock shows at the change may itself be a tick.
    }
  }

  /** The first instant in (from, to] at which the wall clock is no longer ahead by `offset`, or null. */
  #changeOfOffset(from: number, to: number, offset: number): number | null {
    // Look at both instants: between them, the clock may have been set back and forward again. A clock that is set back
    // repeats times from before `from` only if that happens soon.
    const soon = Math.min(to, from + earlyMs);
    let high = [soon, to].find((at) => this.#offset(at) !== offset);
    if (high === undefined) return null;
    let low = from;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offset(middle) === offset) low = middle;
      else high = middle;
    }
    return high;
  }

  /** How many milliseconds the wall clock is ahead of UTC at an instant (in ms since the epoch). */
  #offset(instantMs: number): number {
    return new CronDate(instantMs, this.#timezone).getUTCOffset() * minuteMs;
  }

  #instantOf(wallMs: number): number {
    const before = this.#offset(wallMs - 24 * hourMs);
    const after = this.#offset(wallMs + 24 * hourMs);
    const candidates = [wallMs - before, wallMs - after].filter((at) => at + this.#offset(at) === wallMs);
    if (candidates.length > 0) return Math.min(...candidates);
    // The time lies in a gap: the clock jumps over it somewhere between the two candidates.
    let low = wallMs - Math.max(before, after) - hourMs;
    let high = wallMs - Math.min(before, after) + hourMs;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (middle + this.#offset(middle) < wallMs) low = middle;
      else high = middle;
    }
    return high;
  }
}

/** What is wrong with a cron expression, or null. */
export function cronProblem(cron: string): string | null {
  const zone = /^\s*(?:CRON_)?TZ=(\S+)\s+(.*)$/s.exec(cron);
  if (zone !== null) {
    const [found, timezone = "", fields = ""] = zone;
    return `cron ${JSON.stringify(found)} names a time zone; write it as timezone: ${timezone} in the schedule, and cron: ${JSON.stringify(fields.trim())}`;
  }
  const nickname = cron.trim().toLowerCase();
  if (nickname.startsWith("@") && !nicknames.has(nickname)) return nicknameProblem(cron.trim());
  const count = cron.split(/\s+/).filter((field) => field !== "").length;
  if (!cron.trim().startsWith("@") && count !== 5 && count !== 6) {
    return `cron ${JSON.stringify(cron)} has ${count} ${count === 1 ? "field" : "fields"}; write five (minute hour day month weekday), or six with seconds first`;
  }
  if (/(^|[\s,])H/.test(cron)) return "H in cron stands for a random value; write the value itself";
  try {
    CronExpressionParser.parse(cron, { currentDate: 0, tz: "UTC" }).next();
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (/explicit day of month/.test(reason))
      return `cron ${JSON.stringify(cron)} names a day that does not exist; name one that does`;
    return `cron ${JSON.stringify(cron)} is not valid: ${remedyOf(cron) ?? reason}`;
  }
}

/** What to write instead of what other programs read. */
function remedyOf(cron: string): string | null {
  const full =
    /\b(?:sun|mon|tues|wednes|thurs|fri|satur)day\b|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b/i.exec(
      cron,
    )?.[0];
  if (full !== undefined) return `names have three letters; write ${full.slice(0, 3).toUpperCase()}`;
  if (/\dW\b|\bLW\b/i.test(cron))
    return "W (the nearest weekday) is not known; name the days of the month, or the weekdays";
  return null;
}

/** The nicknames that cron-parser reads. */
const nicknames: ReadonlySet<string> = new Set([
  ...["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"],
  ...["@minutely", "@secondly", "@weekdays", "@weekends"],
]);

function nicknameProblem(nickname: string): string {
  const found = `cron ${JSON.stringify(nickname)}`;
  if (nickname.toLowerCase() === "@midnight")
    return `${found} is not known; write @daily or "0 0 * * *", which means the same`;
  if (nickname.toLowerCase() === "@reboot")
    return `${found} has no time of day; a schedule ticks at times, so name one, such as "0 6 * * *"`;
  if (/^@every\b/i.test(nickname))
    return `${found} is not a time of day; name the times, such as "*/5 * * * *" for every five minutes, or leave out the schedule and use within`;
  const known = [...nicknames].join(", ");
  return `${found} is not known; write one of ${known}, or the fields, such as "0 6 * * *"`;
}

/** A time of day such as `03:30` or `03:30:15`, as the time since midnight; null when it is not one. */
export function parseTimeOfDay(text: string): Micros | null {
  const parts = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text);
  if (parts === null) return null;
  const [, hours, minutes, seconds = "0"] = parts;
  return Number(hours) * hour + Number(minutes) * minute + Number(seconds) * second;
}

/** What is wrong with the name of a time zone, or null. */
export function timezoneProblem(timezone: string): string | null {
  try {
    if (new CronDate(0, timezone).getTime() === 0) return null;
  } catch {
    // Falls through: an unknown time zone either throws or gives an invalid date.
  }
  return `timezone ${JSON.stringify(timezone)} is unknown; use a name such as UTC, Europe/Berlin or America/New_York`;
}

const minuteMs = minute / millisecond;
const hourMs = hour / millisecond;
const earlyMs = 3 * hourMs;
const dayMs = day / millisecond;
