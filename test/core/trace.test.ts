import { describe, expect, test } from "vitest";
import { firingEvent, invocationsOf, tracesOf } from "../../src/core/machine/consequence.ts";
import type { Firing, TriggerFiring } from "../../src/core/machine/firing.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { readStoredTrace, readTraceContext, traceHeaders } from "../../src/core/model/trace-context.ts";
import { type AnyCase, anyCase, busy, longRunning } from "../support/anything.ts";
import {
  CoreRun,
  firingsOf,
  formatFiringsInFull,
  type Interruption,
  stepsOf,
} from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { expectSame } from "../support/minimal.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

/** A different trace for each event. */
function traceFor(eventId: string): string {
  return `00-${eventId.replaceAll("-", "")}-00000000000000aa-01 vendor=${eventId.slice(-3)}`;
}

function tracedFirings(scenario: AnyCase, interruptions: readonly Interruption[]): readonly Firing[] {
  const run = new CoreRun(scenario.lateness);
  for (const [index, step] of stepsOf(scenario).entries()) {
    if (step.kind !== "event") run.take(step);
    else {
      const { wire, received, lineage, id } = step.event;
      run.take({ ...step, event: eventOf(wire, received, lineage, traceFor(id)) });
    }
    run.interrupt(interruptions[index % interruptions.length] ?? "none");
  }
  run.advance(scenario.until);
  return run.fired();
}

function eventTraces(firing: TriggerFiring): [id: string, trace: string | null][] {
  const { event, firings } = firing;
  const own: [string, string | null][] = event === null ? [] : [[event.id, event.trace]];
  return [...own, ...firings.flatMap(eventTraces)];
}

describe(`a trace (seed ${seed})`, () => {
  const anyHistory = fc.oneof(anyCase(busy), anyCase(longRunning));
  const anyInterruptions = fc.array(fc.constantFrom<Interruption>("none", "drain", "restart"), {
    minLength: 1,
    maxLength: 30,
    size: "max",
  });

  // If a trace could change a firing, switching tracing on would raise or lose alarms.
  test(
    "changes no firing and survives a restart",
    () =>
      search(fc.tuple(anyHistory, anyInterruptions), ([scenario, interruptions]) => {
        expectSame(
          scenario,
          (same) => formatFiringsInFull(tracedFirings(same, interruptions)),
          (same) => formatFiringsInFull(firingsOf(same)),
        );
        for (const firing of tracedFirings(scenario, interruptions)) {
          for (const [id, trace] of eventTraces(firing)) expect(trace).toBe(traceFor(id));
        }
      }),
    searchTimeoutMs,
  );

  test(
    "changes only the trace in what follows from a firing",
    () =>
      search(anyHistory, (scenario) => {
        const plain = firingsOf(scenario);
        const traced = tracedFirings(scenario, ["none"]);
        expect(traced.map(firingEvent)).toEqual(plain.map(firingEvent));
        const invocations = traced.flatMap((firing) => invocationsOf(firing));
        expect(invocations.map(({ trace: _, ...rest }) => rest)).toEqual(
          plain.flatMap((firing) => invocationsOf(firing)),
        );
      }),
    searchTimeoutMs,
  );
});

describe("the trace behind a firing", () => {
  const base = {
    id: "f",
    triggerId: "t",
    happened: 0,
    labels: {},
    late: false,
    firings: [],
    state: "Triggered",
  } as const;
  const eventWith = (trace: string) => ({ trace }) as unknown as TriggerFiring["event"];
  const window = { start: 0, end: 10, threshold: 1 };
  const presence = (trace: string, triggered = 0): TriggerFiring => ({
    ...base,
    triggered,
    event: eventWith(trace),
    window: { ...window, count: 1 },
  });
  const absence = (lastSeen: string, triggered = 0): TriggerFiring => ({
    ...base,
    triggered,
    event: eventWith(lastSeen),
    window: { ...window, count: 0 },
  });
  const composite = (...firings: TriggerFiring[]): TriggerFiring => ({
    ...base,
    triggered: 9,
    event: eventWith("latest"),
    window: null,
    firings,
  });

  test.each([
    ["is that of its event", presence("a"), { parent: "a", links: [] }],
    ["of an absence is new, and links to the last event seen", absence("a"), { parent: null, links: ["a"] }],
    [
      "of a resolution is that of the event that came back",
      { ...absence("a"), state: "Resolved" as const },
      { parent: "a", links: [] },
    ],
    [
      "of a composite is that of the child that fired last",
      composite(presence("b", 2), presence("a", 1)),
      { parent: "b", links: ["a", "latest"] },
    ],
    [
      "of a composite that an absence completes is new",
      composite(presence("a", 1), absence("b", 2)),
      { parent: null, links: ["a", "b", "latest"] },
    ],
  ])("%s", (_, firing, expected) => {
    expect(tracesOf(firing)).toEqual(expected);
  });
});

describe("trace headers", () => {
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  test.each([
    [parent, null, parent],
    [` ${parent} `, " a=1,b=2 ", `${parent} a=1,b=2`],
    ["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", null, parent],
    [parent, "x".repeat(513), parent],
    [parent, `${"x".repeat(509)}=12`, `${parent} ${"x".repeat(509)}=12`],
    [parent, "a=\r\nx-evil: 1", parent],
  ])("%j with the state %j are read as %j", (traceparent, tracestate, expected) => {
    expect(readTraceContext(traceparent, tracestate)).toBe(expected);
  });

  test.each([
    null,
    "",
    "00",
    parent.toUpperCase(),
    `${parent}-more`,
    parent.replace("00-", "ff-"),
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    `${parent}\r\nx-evil: 1`,
  ])("such as %j are ignored", (traceparent) => {
    expect(readTraceContext(traceparent)).toBeNull();
    expect(readStoredTrace(traceparent ?? undefined)).toBeNull();
  });

  test("are sent as they were received", () => {
    for (const tracestate of [undefined, "a=1, b=2"]) {
      const trace = readTraceContext(parent, tracestate);
      expect(readStoredTrace(trace ?? "")).toBe(trace);
      expect(traceHeaders(trace)).toEqual({
        traceparent: parent,
        ...(tracestate === undefined ? {} : { tracestate }),
      });
    }
    expect(traceHeaders(null)).toEqual({});
  });
});
