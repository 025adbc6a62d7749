import { describe, expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import { explainEvent } from "../../src/core/machine/explain.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import { EventSchema, eventOf } from "../../src/core/model/event.ts";
import { formatTime, parseTime, second } from "../../src/core/model/time.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const start = parseTime("2026-03-01T00:00:00Z") as number;

function logOf(trigger: object, events: readonly (readonly [seconds: number, name: string])[]) {
  const automation = greenhouseAutomation("Greenhouse", { trigger });
  const entries: LogEntry[] = events.map(([seconds, event], index) => {
    const received = start + seconds * second;
    const wire = EventSchema.parse({
      event,
      occurred: formatTime(received),
      resource: { "prefect.resource.id": "pump.1" },
      id: idOf(index),
    });
    return { kind: "event", position: `${index + 1}-0`, received, event: eventOf(wire, received) };
  });
  const put: LogEntry = { kind: "automation-put", position: "0-0", received: start, automation };
  return { automation, entries: [put, ...entries] };
}

function idOf(index: number): string {
  return `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
}

function explained(trigger: object, events: readonly (readonly [number, string])[], index: number) {
  const { automation, entries } = logOf(trigger, events);
  const explanation = explainEvent(entries, idOf(index), automation, {
    latenessDefault: 0,
    until: start + 600 * second,
  });
  const root = explanation?.triggers[0];
  return { summary: explanation?.summary, fired: explanation?.fired, root };
}

describe("an explanation", () => {
  const leftOpen = {
    posture: "Proactive",
    after: ["vent.opened"],
    expect: ["vent.closed"],
    within: 30,
  };

  // Someone who gets an alarm looks up the event that it names.
  test("of the last event before an absence says that it fired, and what was missing", () => {
    const { summary, fired, root } = explained(leftOpen, [[0, "vent.opened"]], 0);
    expect(fired).toBe(true);
    expect(summary).toBe(
      "The automation fired after this event: no expected event had arrived by 2026-03-01T00:00:30Z.",
    );
    const tooFew = explained(
      { ...leftOpen, threshold: 3 },
      [
        [0, "vent.opened"],
        [5, "vent.closed"],
      ],
      1,
    );
    expect(tooFew.summary).toContain("only 1 of 3 expected events had arrived by");
    expect(root?.decisions.map(({ outcome }) => outcome)).toEqual([
      "waits until its time has settled",
      "opened a window",
      "fires",
    ]);
  });

  test("reports an absence once, even if it fires again and again", () => {
    const silent = { posture: "Proactive", expect: ["pump.pulse"], within: 30 };
    const { root } = explained(silent, [[0, "pump.pulse"]], 0);
    expect(root?.decisions.filter(({ outcome }) => outcome === "fires")).toHaveLength(1);
  });

  test("of the event that ends an absence says that the automation was resolved", () => {
    const events = [
      [0, "vent.opened"],
      [40, "vent.closed"],
    ] as const;
    expect(explained(leftOpen, events, 1)).toMatchObject({
      fired: false,
      summary: "This event resolved the automation: the absence has ended.",
    });
  });

  test("counts only the steps of a sequence that are in order, and names the missing ones", () => {
    const trigger = {
      type: "sequence",
      within: 60,
      triggers: [{ expect: ["order.paid"] }, { expect: ["order.packed"] }, { expect: ["order.shipped"] }],
    };
    const events = [
      [0, "order.packed"],
      [10, "order.paid"],
      [30, "order.packed"],
    ] as const;
    const [early, first, second_] = [0, 1, 2].map((index) => explained(trigger, events, index).root);
    expect(early).toMatchObject({ missing: 3, awaited: ["0", "1", "2"], until: null });
    expect(first).toMatchObject({ missing: 2, awaited: ["1", "2"], until: start + 70 * second });
    // The first step is forgotten after 70 s, whenever the second came.
    expect(second_).toMatchObject({ missing: 1, awaited: ["2"], until: start + 70 * second });
  });

  test("says until when a trigger is quiet, and not that anything is missing", () => {
    const events = [
      [0, "pump.failed"],
      [10, "pump.failed"],
    ] as const;
    for (const index of [0, 1]) {
      const { root } = explained({ expect: ["pump.failed"], within: 60 }, events, index);
      expect(root).toMatchObject({ missing: null, until: null, quietUntil: start + 60 * second });
    }
  });
});

describe("open windows", () => {
  function windowsAt(trigger: object, events: readonly (readonly [number, string])[], seconds: number) {
    const { automation, entries } = logOf(trigger, events);
    const core = new Core({ latenessDefault: 5 * second });
    for (const entry of entries) core.apply(entry);
    core.advance(start + seconds * second);
    return [...core.windowsOf(automation.id)].map(({ start: from, count }) => [
      from === null ? null : (from - start) / second,
      count,
    ]);
  }

  test("of a burst slide while no event comes, and end when no event on time can count anymore", () => {
    const burst = { expect: ["pump.failed"], threshold: 3, within: 60 };
    const events = [
      [0, "pump.failed"],
      [50, "pump.failed"],
    ] as const;
    expect(windowsAt(burst, events, 64)).toEqual([[0, 2]]);
    expect(windowsAt(burst, events, 65)).toEqual([[50, 1]]);
    expect(windowsAt(burst, events, 115)).toEqual([]);
  });

  test("of a composite end when the firings it remembers are too old", () => {
    const both = {
      type: "compound",
      within: 60,
      triggers: [{ expect: ["pump.failed"] }, { expect: ["vent.stuck"] }],
    };
    expect(windowsAt(both, [[0, "pump.failed"]], 65)).toEqual([[0, 1]]);
    expect(windowsAt(both, [[0, "pump.failed"]], 66)).toEqual([]);
  });

  function viewsAt(trigger: object, events: readonly (readonly [number, string])[], seconds: number) {
    const { automation, entries } = logOf(trigger, events);
    const core = new Core({ latenessDefault: 5 * second });
    for (const entry of entries) core.apply(entry);
    core.advance(start + seconds * second);
    const since = (time: number | null) => (time === null ? null : (time - start) / second);
    return [...core.windowsOf(automation.id)].map((window) => ({
      start: since(window.start),
      deadline: since(window.deadline),
      quietUntil: since(window.quietUntil),
      count: window.count,
      settling: window.settlingCount,
    }));
  }

  // Who has just sent a heartbeat looks whether it arrived. For the five seconds of lateness there was nothing to see.
  test("of an absence show a new key at once, and events that are not counted yet", () => {
    const beats = { posture: "Proactive", expect: ["pump.beat"], within: 30, threshold: 3 };
    const events = [
      [0, "pump.beat"],
      [1, "pump.beat"],
    ] as const;
    const opened = { start: 0, deadline: 35, quietUntil: null };
    expect(viewsAt(beats, events, 2)).toEqual([{ ...opened, count: 0, settling: 2 }]);
    expect(viewsAt(beats, events, 5)).toEqual([{ ...opened, count: 0, settling: 2 }]);
    expect(viewsAt(beats, events, 6)).toEqual([{ ...opened, count: 1, settling: 1 }]);
    expect(viewsAt(beats, events, 7)).toEqual([{ ...opened, count: 2, settling: 0 }]);
  });

  test("of an absence that another event begins show what begins it, and nothing for what would end it", () => {
    const closes = { posture: "Proactive", after: ["vent.opened"], expect: ["vent.closed"], within: 30 };
    expect(viewsAt(closes, [[0, "vent.closed"]], 1)).toEqual([]);
    expect(viewsAt(closes, [[0, "vent.opened"]], 1)).toEqual([
      { start: 0, deadline: 35, quietUntil: null, count: 0, settling: 1 },
    ]);
  });

  test("of a schedule show a new key at once, before the next tick opens its window", () => {
    const nightly = {
      posture: "Proactive",
      expect: ["pump.beat"],
      within: 60,
      schedule: { cron: "0 3 * * *" },
    };
    const keyed = { ...nightly, for_each: ["prefect.resource.id"] };
    expect(viewsAt(keyed, [[0, "pump.beat"]], 1)).toEqual([
      { start: null, deadline: null, quietUntil: null, count: 0, settling: 1 },
    ]);
  });

  test("say until when a trigger that has fired is quiet", () => {
    const burst = { expect: ["pump.failed"], within: 60 };
    const quiet = { start: 0, deadline: null, quietUntil: 60, count: 0, settling: 0 };
    expect(viewsAt(burst, [[0, "pump.failed"]], 10)).toEqual([quiet]);
    // An event that is delayed by less than the lateness may still fall into the quiet time.
    expect(viewsAt(burst, [[0, "pump.failed"]], 64)).toEqual([quiet]);
    expect(viewsAt(burst, [[0, "pump.failed"]], 65)).toEqual([]);
  });

  test("of a schedule say that the window has fired, until the next one", () => {
    const daily = { expect: ["pump.failed"], within: 60, schedule: { cron: "0 0 * * *" } };
    expect(viewsAt(daily, [[1, "pump.failed"]], 2)).toEqual([
      { start: null, deadline: null, quietUntil: 86_400, count: 0, settling: 0 },
    ]);
  });
});
