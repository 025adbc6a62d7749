import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseExactJson } from "../../src/core/json/exact-json.ts";
import type { Event } from "../../src/core/model/event.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { formatTime, type Micros, second } from "../../src/core/model/time.ts";
import { start } from "../support/anything.ts";
import { CoreRun, formatFiringsInFull, stepsOf } from "../support/core-runner.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import type { TimelineLine } from "../support/naive/naive.ts";

const twoFailures = greenhouseAutomation("Two failures", {
  trigger: { expect: ["pump.failed"], threshold: 2, within: 60 },
});

const idOf = (number: number): string => `00000000-0000-4000-8000-00000000000${number}`;

function failure(number: number, received: Micros, follows: string | null = null): Event {
  const wire = {
    ...{ id: idOf(number), occurred: formatTime(start), event: "pump.failed", follows },
    ...{ resource: { "prefect.resource.id": "pump.north" }, related: [], payload: {} },
  };
  return eventOf(wire, received);
}

function startRun(): CoreRun {
  const run = new CoreRun(0);
  run.take({ kind: "automation-put", position: "1-0", received: start, automation: twoFailures });
  return run;
}

function send(run: CoreRun, position: number, event: Event): void {
  run.take({ kind: "event", position: `${position}-0`, received: event.received, event });
}

// Followers of one leader that occurred at the same time go in the order in which they came. The state's fields come back
// in any order. Taken in that order, the second follower would go first, and a different event would fire.
test("followers that occurred at the same time keep their order across a restart", () => {
  const run = startRun();
  send(run, 2, failure(2, start + second, idOf(1)));
  send(run, 3, failure(3, start + second, idOf(1)));
  run.interrupt("restart");
  const leader = { ...failure(1, start + 2 * second), name: "pump.started" };
  send(run, 4, leader);
  expect(run.fired().map(({ event }) => event?.id)).toEqual([idOf(3)]);
});

// Redis's clock may step back while the engine is away; log time never does.
test("an entry from before the watermark counts as received at the watermark, even right after a restart", () => {
  const run = startRun();
  send(run, 2, failure(1, start + 10 * second));
  run.interrupt("restart");
  expect(run.watermark).toBe(start + 10 * second);
  send(run, 3, failure(2, start + 4 * second));
  expect(run.fired().map(({ triggered }) => triggered)).toEqual([start + 10 * second]);
});

// Version 1 kept one firing, or null, where version 2 keeps a list. An upgrade must not lose what was remembered.
test("a composite's firings that version 1 has stored still count", () => {
  const run = new CoreRun(0);
  const automation = greenhouseAutomation("Failed, then dry", {
    trigger: {
      type: "sequence",
      within: 60,
      triggers: [{ expect: ["pump.failed"] }, { expect: ["soil.dry"] }],
    },
  });
  run.take({ kind: "automation-put", position: "1-0", received: start, automation });
  send(run, 2, failure(1, start));
  run.fired();
  const first = {
    ...{ id: idOf(8), path: "0", state: "Triggered", triggered: start, happened: start, order: 1 },
    ...{ labels: {}, arrival: "2-0", window: null, late: false, firings: [] },
  };
  storeAsVersion1(run, { firings: [first, null] }, failure(1, start));
  run.interrupt("restart");
  send(run, 3, { ...failure(2, start + second), name: "soil.dry" });
  expect(run.fired().map(({ firings: used }) => used.map(({ event }) => event?.id))).toEqual([
    [idOf(1), idOf(2)],
  ]);
});

// In version 1, the state of a key with `after` was its window alone, and a Proactive one held no events.
test.each([{ posture: "Reactive" }, { posture: "Proactive" }])(
  "an open window of a $posture trigger that version 1 has stored is still open",
  ({ posture }) => {
    const trigger = { posture, after: ["pump.failed"], expect: ["pump.started"], within: 60 };
    const run = new CoreRun(0);
    const automation = greenhouseAutomation("After a failure", { trigger });
    run.take({ kind: "automation-put", position: "1-0", received: start, automation });
    send(run, 2, failure(1, start));
    run.advance(start + 1);
    run.fired();
    const window = { start, end: start + 60 * second, count: 0 };
    const proactive = { window: { ...window, opener: "2-0" }, last: "2-0", unresolved: null, seen: null };
    const reactive = { ...window, lastEventId: idOf(1) };
    storeAsVersion1(run, posture === "Reactive" ? reactive : proactive, failure(1, start));
    run.interrupt("restart");
    if (posture === "Reactive") send(run, 3, { ...failure(2, start + second), name: "pump.started" });
    run.advance(start + 60 * second);
    expect(run.fired().map(({ window: fired }) => fired?.end)).toEqual([start + 60 * second]);
  },
);

/** Replaces the state of the only key by what version 1 would have stored. */
function storeAsVersion1(run: CoreRun, state: object, { wire, received, lineage }: Event): void {
  const field = [...run.state.keys()].find((name) => name.startsWith("k:")) ?? "";
  run.state.set(field, JSON.stringify(state));
  run.state.set("e:2-0", JSON.stringify({ wire, received, lineage }));
  run.state.set("meta", (run.state.get("meta") ?? "").replace(/"version":\d+/, '"version":1'));
}

// Written by the last program with that version, in the middle of timelines drawn at random. Together they hold every kind of
// state. The firings are those of that program, which went on without a restart.
describe("a state that version 2 has stored", () => {
  const cases = JSON.parse(readFileSync(new URL("state-version-2.json", import.meta.url), "utf8")) as {
    readonly lateness: Micros;
    readonly until: Micros;
    readonly state: Record<string, string>;
    readonly seen: readonly [id: string, received: Micros][];
    readonly position: number;
    readonly timeline: readonly TimelineLine[];
    readonly firings: readonly string[];
  }[];

  test.each(cases.map((stored, index) => ({ ...stored, index })))(
    "$index goes on as it would have",
    (stored) => {
      const run = new CoreRun(stored.lateness);
      for (const [field, value] of Object.entries(stored.state)) run.state.set(field, value);
      run.restoreFrom(stored.seen);
      const steps = stepsOf({ automations: [], timeline: stored.timeline }, stored.position);
      for (const step of steps) {
        run.take(step);
        run.interrupt("drain");
      }
      run.interrupt("restart");
      run.advance(stored.until);
      expect(formatFiringsInFull(run.fired()).split("\n")).toEqual(stored.firings);
      expect(JSON.parse(run.state.get("meta") ?? "")).toMatchObject({ version: 3 });
    },
  );

  // An older program must not go on with fields that it cannot read.
  test("has the new version from its first change on", () => {
    for (const { lateness, state } of cases) {
      const run = new CoreRun(lateness);
      for (const [field, value] of Object.entries(state)) run.state.set(field, value);
      run.restoreFrom([]);
      run.interrupt("drain");
      expect(JSON.parse(run.state.get("meta") ?? "")).toMatchObject({ version: 3 });
    }
  });
});

test("a state that a newer version has stored is refused", () => {
  const run = startRun();
  run.fired();
  run.state.set("meta", (run.state.get("meta") ?? "").replace(/"version":\d+/, '"version":99'));
  expect(() => run.interrupt("restart")).toThrow("version 99");
});

test("the numbers of an event and of an action keep their digits across a restart", () => {
  const payload = '{"id":9400053101578681001,"price":0.1234567890123456789}';
  const parsed = parseExactJson(payload) as Record<string, unknown>;
  const run = new CoreRun(0);
  const automation = greenhouseAutomation("Never ended", {
    trigger: { posture: "Proactive", after: ["pump.failed"], expect: ["pump.mended"], within: 60 },
    actions: [{ type: "emit-event", event: "pump.lost", payload: parsed }],
  });
  run.take({ kind: "automation-put", position: "1-0", received: start, automation });
  const event = failure(1, start);
  send(run, 2, { ...event, wire: { ...event.wire, payload: parsed } });
  run.interrupt("restart");
  run.advance(start + 61 * second);
  const [firing] = run.fired();
  expect(JSON.stringify(firing?.event?.wire.payload)).toBe(payload);
  expect(JSON.stringify(firing?.automation.actions)).toContain(`"payload":${payload}`);
});
