/** Triggers and actions in words: what a person reads who has never seen the rule. */

import { describe, expect, test } from "vitest";
import { ActionSchema } from "../../../src/core/model/action.ts";
import { AutomationSchema } from "../../../src/core/model/automation.ts";
import { describeAction, describeRule } from "../../../src/core/model/describe-actions.ts";
import { describeTrigger, type TriggerWords } from "../../../src/core/model/describe-trigger.ts";
import { second } from "../../../src/core/model/time.ts";
import { TriggerSchema } from "../../../src/core/model/trigger.ts";
import { loadRules } from "../../../src/rules/load.ts";
import { standIn } from "../../../src/templates/environment.ts";
import { anyTrigger } from "../../support/anything.ts";
import fc from "../../support/fast-check.ts";

function wordsFor(trigger: object, lateness?: number): TriggerWords {
  return describeTrigger(TriggerSchema.parse(trigger), lateness === undefined ? {} : { lateness });
}

describe("a trigger is summed up in one sentence:", () => {
  const pump = { for_each: ["pump"] };
  const beat = { posture: "Proactive", expect: ["pump.heartbeat"], ...pump };
  const night = { cron: "0 22 * * *", timezone: "Europe/Berlin" };
  test.each<[object, string]>([
    [{ expect: ["pump.failed"] }, "Fires whenever there is a pump.failed event."],
    [{}, "Fires whenever there is any event."],
    [{ expect: ["*"] }, "Fires whenever there is any event."],
    [
      { expect: ["alarm.raised", "pump.*"], match: { "prefect.resource.id": "pump.*" } },
      "Fires whenever there is an alarm.raised or pump.* event about pump.*.",
    ],
    [{ expect: ["!*.heartbeat"] }, "Fires whenever there is an event other than *.heartbeat."],
    [
      { expect: ["pump.*", "!vent.*"] },
      "Fires whenever there is an event that is pump.* or anything but vent.*.",
    ],
    [
      { match: { house: ["north", "south"], crop: "!basil", shift: "*" } },
      "Fires whenever there is any event about a resource whose house is north or south, whose crop is not basil and that has the label shift.",
    ],
    [
      { match: { house: ["!north", "!south"] } },
      "Fires whenever there is any event about a resource whose house is anything but north or anything but south.",
    ],
    [
      { match: { house: [] } },
      "Fires whenever there is any event about a resource whose house is in an empty list, which none is.",
    ],
    [
      {
        expect: ["pump.failed"],
        match_related: [{ "prefect.resource.role": "bench", crop: "tomato" }, { shift: "night" }],
      },
      "Fires whenever there is a pump.failed event with a related resource in the role bench whose crop is tomato and a related resource whose shift is night.",
    ],
    [
      { expect: ["pump.failed"], threshold: 3, within: "10m", ...pump },
      "Fires when there are 3 pump.failed events within 10 minutes, for each pump.",
    ],
    [{ expect: ["frost.warned"], threshold: 0 }, "Fires whenever there is a frost.warned event."],
    [
      { expect: ["pump.failed"], threshold: 3 },
      "Fires when there are 3 pump.failed events, however far apart.",
    ],
    [
      {
        expect: ["sensor.too-hot"],
        within: "1h30m",
        for_each: ["prefect.resource.id", "related:bench:crop"],
      },
      "Fires when there is a sensor.too-hot event, at most once in 1 hour 30 minutes, for each resource (prefect.resource.id) and crop of the related bench.",
    ],
    [
      { after: ["frost.warned"], expect: ["vent.opened"], threshold: 2, within: "2h" },
      "Fires when there are 2 vent.opened events within 2 hours after a frost.warned event.",
    ],
    [
      { after: ["frost.warned"], expect: ["vent.opened"] },
      "Fires when there is a vent.opened event at any time after a frost.warned event.",
    ],
    [
      { after: ["pump.failed"], expect: ["pump.failed"], within: "10m" },
      "Fires when there is a pump.failed event within 10 minutes after another.",
    ],
    [
      { expect: ["door.opened"], schedule: night, within: "8h" },
      "Fires when there is a door.opened event within 8 hours after 22:00 every day (Europe/Berlin).",
    ],
    [
      { expect: ["door.opened"], schedule: { ...night, until: "06:00" } },
      "Fires when there is a door.opened event between 22:00 every day and the next 06:00 (Europe/Berlin).",
    ],
    [{ ...beat, within: "30s" }, "Fires when 30 seconds pass without a pump.heartbeat event, for each pump."],
    [
      { ...beat, threshold: 2, within: "1m" },
      "Fires when 1 minute passes with fewer than 2 pump.heartbeat events, for each pump.",
    ],
    [
      { ...beat, after: ["pump.heartbeat"], within: "1m" },
      "Fires when a pump.heartbeat event is not followed by another within 1 minute, for each pump.",
    ],
    [
      { posture: "Proactive", after: ["vent.opened"], expect: ["vent.closed"] },
      "Fires when a vent.opened event is not followed by a vent.closed event within 10 seconds.",
    ],
    [
      { posture: "Proactive", expect: ["round.made"], schedule: { cron: "0 6 * * 1-5" }, within: "30m" },
      "Fires when there is no round.made event within 30 minutes after 06:00 on Monday to Friday (UTC).",
    ],
    [
      {
        posture: "Proactive",
        expect: ["round.made"],
        threshold: 2,
        schedule: { cron: "*/20 * * * *" },
        within: 60,
      },
      "Fires when there are fewer than 2 round.made events within 1 minute after every 20 minutes on the clock (UTC).",
    ],
    [
      {
        type: "compound",
        within: "10m",
        for_each: ["house"],
        triggers: [{ expect: ["pump.failed"] }, { expect: ["soil.dry"], threshold: 2, within: "1m" }],
      },
      "Fires when both of these happen within 10 minutes of each other, in any order, for each house: there is a pump.failed event; there are 2 soil.dry events within 1 minute.",
    ],
    [
      { type: "compound", require: 2, within: null, triggers: [{}, {}, { expect: ["soil.dry"] }] },
      "Fires when 2 of these 3 happen however far apart, in any order: there is any event; there is any event; there is a soil.dry event.",
    ],
    [
      {
        type: "sequence",
        within: "1h",
        triggers: [
          { type: "compound", require: "any", within: 0, triggers: [{ expect: ["a"] }, { expect: ["b"] }] },
          { expect: ["door.opened"] },
        ],
      },
      "Fires when these 2 happen in this order, within 1 hour: (any of these 2 happens: there is an a event; there is a b event); there is a door.opened event.",
    ],
    [
      {
        type: "compound",
        within: "1m",
        triggers: Array.from({ length: 5 }, () => ({ expect: ["pump.failed"] })),
      },
      "Fires when all of these 5 happen within 1 minute of each other, in any order.",
    ],
  ])("%j", (trigger, summary) => {
    expect(wordsFor(trigger).summary).toBe(summary);
  });

  test("ticks that have no plain words are quoted as they are written", () => {
    const cron = (text: string) =>
      wordsFor({ expect: ["round.made"], schedule: { cron: text }, within: "1m" }).summary;
    expect(cron("0 1-23 * * *")).toContain('after each tick of the cron schedule "0 1-23 * * *" (UTC)');
    expect(cron("*/7 * * * *")).toContain("each tick of the cron schedule");
    expect(cron("@daily")).toContain("after 00:00 every day");
    expect(cron("0 6,18 * * sat,SUN")).toContain("after 06:00 and 18:00 on Saturday and Sunday");
    expect(cron("0 6 1 * *")).toContain("after 06:00 on day 1 of each month");
    expect(cron("0 6 1 * 1")).toContain("cron schedule"); // either day counts
    expect(cron("30 * * * *")).toContain("after minute 30 of every hour");
  });
});

describe("the details say", () => {
  const quiet = { posture: "Proactive", expect: ["pump.heartbeat"], for_each: ["pump"], within: "30s" };

  test.each<[string, object, string]>([
    [
      "that a silence is reported once",
      { ...quiet, refire: "once" },
      "Reports an absence once, however long it lasts, and then its end.",
    ],
    [
      "how a silence is repeated",
      quiet,
      "Fires again every 30 seconds for as long as it lasts; the next pump.heartbeat event ends the absence.",
    ],
    [
      "from when on a key is expected",
      quiet,
      "Each one is expected from its first such event on; one that never had any is not missed.",
    ],
    [
      "what an outage of the API means",
      quiet,
      "Time in which nobody could post, because the API was down, does not count.",
    ],
    [
      "that an outage counts",
      { ...quiet, on_gap: "fire" },
      "Time in which nobody could post, because the API was down, counts like any other.",
    ],
    [
      "the lateness",
      { ...quiet, lateness: "10s" },
      "Waits 10 seconds longer for events that are delayed on their way.",
    ],
    ["that there is no lateness", { ...quiet, lateness: 0 }, "Does not wait for events that are delayed."],
    [
      "how long keys are remembered",
      { ...quiet, schedule: { cron: "@daily", remember: "2d" } },
      "Each one is expected for 2 days after it was last seen.",
    ],
    [
      "that an early event counts",
      { ...quiet, schedule: { cron: "@daily", early: "5m" } },
      "An event up to 5 minutes before the window counts as well.",
    ],
    [
      "that it stays quiet",
      { expect: ["pump.failed"], threshold: 2, within: "1m" },
      "After firing, it stays quiet until 1 minute after the first of them.",
    ],
    [
      "that both events must match",
      { after: ["vent.opened"], expect: ["vent.closed"], match: { house: "north" } },
      "The vent.opened event must meet the same conditions.",
    ],
    ["what the stars mean", { expect: ["pump.*"] }, "In names and values, * stands for any text."],
    [
      "what all characters mean",
      { expect: ["p?mp.[ab]*"] },
      "In names and values, * stands for any text, ? for any one character and […] for one of the characters in it.",
    ],
    [
      "what a bracket means",
      { expect: ["pump.[ab]"] },
      "In names and values, […] stands for one of the characters in it.",
    ],
  ])("%s", (_what, trigger, detail) => {
    expect(wordsFor(trigger).details).toContain(detail);
  });

  test("the lateness of the server, if it is known", () => {
    expect(wordsFor(quiet).details.join(" ")).toContain("the server's lateness, 5 seconds unless it is set");
    expect(wordsFor(quiet, 7 * second).details).toContain(
      "Waits 7 seconds longer for events that are delayed on their way.",
    );
    expect(wordsFor(quiet, 0).details.join(" ")).not.toContain("delayed");
  });

  test("that composites use up what led to a firing and report no end", () => {
    const words = wordsFor({
      type: "sequence",
      within: "1h",
      triggers: [{ expect: ["pump.started"] }, quiet],
    });
    expect(words.details).toEqual([
      "What has led to a firing is used up and does not count for the next one.",
      "The end of an absence is not reported.",
    ]);
    expect(words.children?.map(({ summary }) => summary)).toEqual([
      "There is a pump.started event.",
      "30 seconds pass without a pump.heartbeat event, for each pump.",
    ]);
    expect(words.children?.[1]?.details.join(" ")).not.toContain("reports");
  });
});

// A page shows these words for every automation, so none may be without them, and no list may make them endless.
test("every valid trigger has words: the same each time, on one line, and not too many", () => {
  const check = (words: TriggerWords, again: TriggerWords): void => {
    expect(words).toEqual(again);
    for (const text of [words.summary, ...words.details]) {
      expect(text).toMatch(/^[A-Z0-9].{8,}\.$/u);
      expect(text).not.toMatch(/undefined|null|NaN|\[object|\n| {2}|\.\.$/);
      expect(text.length).toBeLessThan(4_000);
    }
    for (const [index, child] of (words.children ?? []).entries())
      check(child, again.children?.[index] as TriggerWords);
  };
  fc.assert(
    fc.property(anyTrigger, (trigger) => {
      check(wordsFor(trigger), wordsFor(trigger));
    }),
  );
});

test("long lists, long names and names with line breaks stay short and on one line", () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `pump.${index}\n${"x".repeat(900)}`);
  const labels = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`label ${index}`, names]));
  const { summary } = wordsFor({ expect: names, match: labels, for_each: names });
  expect(summary.length).toBeLessThan(10_000);
  expect(summary).not.toContain("\n");
  expect(summary).toContain("995 others");
});

test("the rules that come with Tripline read as they should", () => {
  const env = { [standIn]: () => "https://ops.example.org/" };
  const { automations, diagnostics } = loadRules(["rules"], { workspace: "default", env, now: 0 });
  expect(diagnostics).toEqual([]);
  expect(Object.fromEntries(automations.map((rule) => [rule.name, describeRule(rule).summary]))).toEqual({
    "daily-job-unfinished":
      "Fires when there is no job.completed event about job.nightly-backup within 4 hours after 02:00 every day (UTC).",
    "error-burst":
      "Fires when there are 5 service.error events about service.* within 1 minute, for each resource (prefect.resource.id).",
    "job-failed": "Fires whenever there is a job.failed event about job.*.",
    "run-stuck":
      "Fires when a job.started event about job.* is not followed by a job.completed or job.failed event within 1 hour, for each resource (prefect.resource.id) and run.",
    "service-silent":
      "Fires when 30 seconds pass without a service.heartbeat event about service.*, for each resource (prefect.resource.id).",
    "webhook-failed":
      "Fires when there is a prefect-cloud.automation.action.failed event about a resource whose prefect-cloud.action.type is call-webhook, at most once in 5 minutes, for each resource (prefect.resource.id).",
  });
});

describe("an action is one line:", () => {
  const id = "00000000-0000-4000-8000-000000000001";
  test.each<[object, string]>([
    [{ type: "do-nothing" }, "Does nothing but record the firing."],
    [{ type: "call-webhook", url: "https://ops.example.org/" }, "Calls https://ops.example.org/."],
    [
      { type: "call-webhook", url: "https://grower:hush@ops.example.org/", method: "PUT", secret: "hush" },
      "Calls https://…@ops.example.org/ with PUT, with a signature.",
    ],
    [
      { type: "call-webhook", url: "https://grower:${env.PASSWORD}@ops.example.org/" },
      "Calls https://grower:${env.PASSWORD}@ops.example.org/.",
    ],
    [{ type: "call-webhook", url: "${env.OPS_URL}" }, "Calls ${env.OPS_URL}."],
    [{ type: "call-webhook", destination: "on-call" }, "Calls the destination on-call."],
    [
      { type: "send-notification", destination: "the office", body: "hi" },
      'Sends a notification to the destination "the office".',
    ],
    [
      { type: "send-notification", block_document_id: id, body: "hi" },
      `Sends a notification to the destination with the id ${id}.`,
    ],
    [{ type: "emit-event", event: "pump.quiet" }, "Emits the event pump.quiet."],
    [{ type: "pause-automation", automation: "Pump went quiet" }, 'Pauses the automation "Pump went quiet".'],
    [{ type: "pause-automation", source: "inferred" }, "Pauses the automation that the event is about."],
    [{ type: "resume-automation", automation_id: id }, `Resumes the automation with the id ${id}.`],
  ])("%j", (action, line) => {
    expect(describeAction(ActionSchema.parse(action))).toBe(line);
  });

  test("in the order in which they run", () => {
    const rule = AutomationSchema.parse({
      name: "Pumps",
      trigger: {},
      actions: [{ type: "do-nothing" }],
      actions_on_trigger: [{ type: "emit-event", event: "a" }],
      actions_on_resolve: [{ type: "emit-event", event: "b" }],
    });
    expect(describeRule(rule)).toMatchObject({
      actions: ["Does nothing but record the firing.", "Emits the event a."],
      actions_on_resolve: ["Emits the event b."],
    });
  });
});
