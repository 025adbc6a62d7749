import { expect, test } from "vitest";
import { mistakesIn } from "./support.ts";

test.each<[what: string, text: string, mistakes: string[]]>([
  [
    "a key of the schedule in the trigger",
    "name: a\ntrigger: {within: 1m, cron: 0 6 * * *}\n",
    ["2:23: `cron` belongs to the schedule; write schedule: {cron: …}"],
  ],
  [
    "until in the trigger",
    'name: a\ntrigger: {posture: Proactive, until: "03:30", schedule: {cron: 0 2 * * *}}\n',
    ["2:31: `until` belongs to the schedule; write schedule: {until: …}"],
  ],
  [
    "until that is no time of day",
    'name: a\ntrigger: {schedule: {cron: 0 2 * * *, until: "24:00"}}\n',
    [
      '2:46: until should be a time of day from "00:00" to "23:59", such as "03:30" or "03:30:15"; found "24:00"',
    ],
  ],
  [
    "two ends of a window",
    'name: a\ntrigger: {within: 90m, schedule: {cron: 0 2 * * *, until: "03:30"}}\n',
    ['2:19: within and until both end the windows; remove within, or until: "03:30" from the schedule'],
  ],
  [
    "early for what is unwanted",
    "name: a\ntrigger: {within: 90m, schedule: {cron: 0 2 * * *, early: 5m}}\n",
    [
      "2:59: early is for Proactive triggers; remove it (the windows of a Reactive trigger can simply begin earlier: change cron)",
    ],
  ],
  [
    "a time zone in cron",
    'name: a\ntrigger: {within: 90m, schedule: {cron: "CRON_TZ=Europe/Berlin 0 2 * * *"}}\n',
    [
      '2:41: cron "CRON_TZ=Europe/Berlin 0 2 * * *" names a time zone; write it as timezone: Europe/Berlin in the schedule, and cron: "0 2 * * *"',
    ],
  ],
  [
    "a time that never comes",
    "name: a\ntrigger: {within: 1m, schedule: {cron: 0 6 30 2 *}}\n",
    ['2:40: cron "0 6 30 2 *" names a day that does not exist; name one that does'],
  ],
])("a mistake in a schedule is reported with its place and a remedy: %s", (_what, text, mistakes) => {
  expect(mistakesIn(text)).toEqual(mistakes);
});
