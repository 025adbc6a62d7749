import { describe, expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import { divideState } from "../../src/core/machine/divide-state.ts";
import { explainEvent, movedSentence } from "../../src/core/machine/explain.ts";
import type { Firing } from "../../src/core/machine/firing.ts";
import { gapEvent, gapsReportedBy } from "../../src/core/machine/gaps.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { gapMax, gapsMax } from "../../src/core/model/limits.ts";
import { formatTime, type Micros, parseTime, second } from "../../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../src/core/model/uuid.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;
const silence = {
  posture: "Proactive",
  expect: ["pump.heartbeat"],
  for_each: ["prefect.resource.id"],
  within: 30,
};

const at = (seconds: number): Micros => start + seconds * second;
const shownTime = (time: Micros): number => (time - start) / second;

function run(trigger: object = silence, lateness = 0) {
  const automation = greenhouseAutomation("pump silent", { trigger });
  const core = new Core({ latenessDefault: lateness });
  core.apply({ kind: "automation-put", position: "1-0", received: start, automation });
  return { automation, core };
}

const beat = (seconds: number): LogEntry => ({
  kind: "beat",
  position: `${seconds}-1`,
  received: at(seconds),
});

/** Beats every two seconds, as a server appends them. */
function beats(core: Core, from: number, to: number): void {
  for (let seconds = from; seconds <= to; seconds += 2) core.apply(beat(seconds));
}

function heartbeat(seconds: number, pump = "north", receivedSeconds = seconds): LogEntry {
  const received = at(receivedSeconds);
  const event = eventOf(
    {
      id: uuid5(triplineNamespace, `${pump} ${seconds}`),
      occurred: formatTime(at(seconds)),
      event: "pump.heartbeat",
      resource: { "prefect.resource.id": `pump.${pump}` },
      related: [],
      payload: {},
      follows: null,
    },
    received,
  );
  return { kind: "event", position: `${seconds}-2`, received, event };
}

const shown = (firings: readonly Firing[]) =>
  firings.map(({ triggered, window }) => [
    shownTime(triggered),
    shownTime(window?.start ?? 0),
    shownTime(window?.end ?? 0),
  ]);

describe("while nobody can post", () => {
  test("a window is held, and its time goes on after the first beat", () => {
    const { core } = run();
    core.apply(beat(0));
    core.apply(heartbeat(1));
    beats(core, 2, 4);
    core.advance(at(50)); // nobody can post since 4
    expect(core.drain().firings).toEqual([]);
    core.apply(beat(60));
    // 27 of its 30 seconds are left.
    beats(core, 62, 86);
    core.advance(at(87) - 1);
    expect(core.drain()).toMatchObject({ firings: [], gaps: [{ from: at(4), to: at(60) }] });
    core.apply(beat(88));
    core.advance(at(89));
    expect(shown(core.drain().firings)).toEqual([[87, 1, 87]]);
  });

  test("a heartbeat that resumes in time keeps the alarm from being raised", () => {
    const { core } = run();
    core.apply(beat(0));
    core.apply(heartbeat(1));
    beats(core, 2, 4);
    beats(core, 60, 80);
    core.apply(heartbeat(81));
    beats(core, 82, 110);
    expect(core.drain().firings).toEqual([]);
  });

  test("with fire, the window ends as if nothing had happened", () => {
    const { core } = run({ ...silence, on_gap: "fire" });
    core.apply(beat(0));
    core.apply(heartbeat(1));
    beats(core, 2, 4);
    core.advance(at(31));
    expect(shown(core.drain().firings)).toEqual([[31, 1, 31]]);
  });

  test("a log without beats is as before", () => {
    const { core } = run();
    core.apply(heartbeat(1));
    core.advance(at(31));
    expect(shown(core.drain().firings)).toEqual([[31, 1, 31]]);
  });

  // An engine that woke up for a held window would find nothing to do, again and again.
  test("no deadline is due", () => {
    const { core } = run();
    core.apply(beat(0));
    core.apply(heartbeat(1));
    core.advance(at(40));
    expect(core.nextDeadline()).toBe(start + gapMax + 1);
  });

  // The API may have been removed, or replaced by an older one that appends no beats.
  test("silences are reported again after a day", () => {
    const { core } = run({ ...silence, refire: "once" });
    core.apply(beat(0));
    core.apply(heartbeat(1));
    core.advance(start + gapMax);
    expect(core.drain().firings).toEqual([]);
    core.advance(start + gapMax + 1);
    expect(shown(core.drain().firings)).toEqual([[31, 1, 31]]);
  });

  test("people see why a window is not judged, and why its end has moved", () => {
    const { core, automation } = run();
    core.apply(beat(0));
    core.apply(heartbeat(1));
    core.advance(at(40));
    expect([...core.windowsOf(automation.id)]).toMatchObject([
      { end: at(31), gaps: [], unreachableSince: start },
    ]);
    core.apply(beat(50));
    expect([...core.windowsOf(automation.id)]).toMatchObject([
      { end: at(80), deadline: at(80), gaps: [{ from: start, to: at(50) }], unreachableSince: null },
    ]);
  });
});

// Its original end is past. A deadline there would be met again after each restart, before anything else.
test("after a restart, a window that has moved is next due at its new end", () => {
  const { core } = run();
  core.apply(beat(0));
  core.apply(heartbeat(1));
  core.apply(beat(20));
  beats(core, 22, 40);
  const fields = core
    .drain()
    .dirty.flatMap(({ field, value }) => (value === null ? [] : [[field, value] as const]));
  expect(Core.restore(fields, { latenessDefault: 0 }).nextDeadline()).toBe(at(50));
});

test("a silence shorter than the gap that a server needs is not known, but no window is judged before the next beat", () => {
  const { core } = run();
  core.apply(beat(0));
  core.apply(heartbeat(1));
  beats(core, 2, 30);
  core.advance(at(33)); // the last beat is from before the window's end
  expect(core.drain().firings).toEqual([]);
  core.apply(beat(34));
  core.advance(at(34) + 1);
  expect(shown(core.drain().firings)).toEqual([[31, 1, 31]]);
});

// Other entries have the time of the beat. A window is judged after all of them, before a restart or after it.
test("a restart between two entries of the time of a beat changes nothing", () => {
  const { core } = run();
  core.apply(beat(0));
  core.apply(heartbeat(1));
  beats(core, 2, 30);
  core.apply(beat(34)); // the window has ended at 31
  const fields = core
    .drain()
    .dirty.flatMap(({ field, value }) => (value === null ? [] : [[field, value] as const]));
  for (const each of [core, Core.restore(fields, { latenessDefault: 0 })]) {
    each.apply(heartbeat(30, "north", 34));
    beats(each, 36, 50);
    expect(each.drain().firings).toEqual([]);
  }
});

// Otherwise an hour without the API would cost an hourly job its next window.
test("a tick that comes while a gap keeps a window open opens the next window when that one is gone", () => {
  const schedule = { cron: "* * * * *" };
  const { core } = run({ posture: "Proactive", expect: ["pump.heartbeat"], schedule, within: 60 });
  beats(core, 0, 50);
  beats(core, 70, 76);
  core.apply(heartbeat(77)); // in the window of the first minute, which now ends at 80
  beats(core, 78, 124);
  const gap = { from: at(50), to: at(70) };
  expect(core.drain()).toMatchObject({ firings: [], gaps: [gap] });
  beats(core, 126, 140);
  // The window of the second minute began in the gap: 10 of its seconds do not count.
  expect(shown(core.drain().firings)).toEqual([[130, 60, 130]]);
});

// Otherwise an event of an hour ago would keep a later window from being opened.
test("an event that counts for one tick does not count for a later one", () => {
  const trigger = {
    posture: "Proactive",
    expect: ["pump.heartbeat"],
    schedule: { cron: "* * * * *" },
    within: 60,
  };
  const { core } = run(trigger, 3 * second);
  beats(core, 0, 58);
  core.apply({ ...heartbeat(60.5, "north", 58.5), position: "58-2" }); // its sender's clock is ahead: it counts from 60 on
  core.apply(beat(150)); // the window of the first minute ends at 152, and that of 120 is next
  beats(core, 152, 220);
  expect(shown(core.drain().firings)).toEqual([
    [155, 0, 152],
    [213, 120, 210],
  ]);
});

// With `refire: once`, windows in which nothing can happen are skipped. Those in a gap are not as long as the others.
test("a silence that has been reported goes on from the gap", () => {
  const { core, automation } = run({ ...silence, refire: "once" });
  core.apply(beat(0));
  core.apply(heartbeat(1));
  beats(core, 2, 62);
  core.advance(at(200));
  core.apply(beat(210));
  expect([...core.windowsOf(automation.id)]).toMatchObject([{ start: at(61), end: at(91 + 148) }]);
});

test("only the latest gaps are remembered", () => {
  const { core } = run();
  for (let index = 0; index < 2 * gapsMax; index += 1) core.apply(beat(10 * index));
  const { gaps, dirty } = core.drain();
  expect(gaps).toHaveLength(2 * gapsMax - 1);
  const meta = JSON.parse(dirty.find(({ field }) => field === "meta")?.value ?? "");
  expect(meta.reachable.gaps).toHaveLength(gapsMax);
});

test("a change of the number of shards keeps what is known of gaps", () => {
  const { core, automation } = run();
  core.apply(beat(0));
  core.apply(heartbeat(1));
  core.apply(beat(20));
  const state = new Map(
    core.drain().dirty.flatMap(({ field, value }) => (value === null ? [] : [[field, value] as const])),
  );
  const steps = divideState([state], 2, () => 1);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const moved = Core.restore(step.value[1] ?? new Map(), { latenessDefault: 0 });
  expect([...moved.windowsOf(automation.id)]).toMatchObject([{ gaps: [{ from: start, to: at(20) }] }]);
  beats(moved, 22, 60);
  expect(shown(moved.drain().firings)).toEqual([[50, 1, 50]]);
});

test("an event reports a gap, and a run over recorded events takes it from there", () => {
  const gap = { from: at(4), to: at(60) };
  const event = gapEvent(gap);
  expect(event).toMatchObject({ event: "tripline.gap", payload: { seconds: 56 } });
  expect(gapEvent(gap).id).toBe(event.id);
  expect(gapsReportedBy([event, { event: "tripline.gap", payload: { from: "?" } }])).toEqual([gap]);
  const recorded = new Core({ latenessDefault: 0, gaps: [gap] });
  const automation = greenhouseAutomation("pump silent", { trigger: silence });
  recorded.apply({ kind: "automation-put", position: "1-0", received: start, automation });
  recorded.apply(heartbeat(1));
  recorded.advance(at(90));
  expect(shown(recorded.drain().firings)).toEqual([[87, 1, 87]]);
});

test("an explanation says why an absence was reported later", () => {
  const { automation } = run();
  const put: LogEntry = { kind: "automation-put", position: "1-0", received: start, automation };
  const event = heartbeat(1);
  const after = Array.from({ length: 20 }, (_, index) => beat(60 + 2 * index));
  const entries = [put, beat(0), event, beat(4), ...after];
  const id = event.kind === "event" ? event.event.id : "";
  const explanation = explainEvent(entries, id, automation, { latenessDefault: 0 });
  expect(explanation?.summary).toContain(movedSentence([{ from: at(4), to: at(60) }]));
});
