import { describe, expect, test } from "vitest";
import { formatTime } from "../../src/core/model/time.ts";
import { type AnyCase, anyCase, busy, longRunning, withBeats } from "../support/anything.ts";
import {
  CoreRun,
  coreFirings,
  firingsOf,
  formatFirings,
  formatFiringsInFull,
  type Interruption,
  stepsOf,
} from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { expectSame } from "../support/minimal.ts";
import { timeOf } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

const anyHistory = fc.oneof(anyCase(busy), anyCase(longRunning), withBeats(anyCase(busy)));
const anyInterruptions = fc.array(fc.constantFrom<Interruption>("none", "drain", "restart"), {
  minLength: 1,
  maxLength: 30,
  size: "max",
});
const anyCopies = fc.array(fc.tuple(fc.nat(24), fc.nat(24)));

const uninterrupted = (scenario: AnyCase) => formatFiringsInFull(firingsOf(scenario));

describe(`a replay gives the same firings (seed ${seed})`, () => {
  // The engine reads in batches as large as its backlog, and may die at any time.
  test(
    "in any batches, with a restart between any two",
    () =>
      search(fc.tuple(anyHistory, anyInterruptions), ([scenario, interruptions]) =>
        expectSame(scenario, (same) => formatFiringsInFull(firingsOf(same, interruptions)), uninterrupted),
      ),
    searchTimeoutMs,
  );

  test(
    "with a restart after every entry",
    () =>
      search(anyHistory, (scenario) =>
        expectSame(scenario, (same) => formatFiringsInFull(firingsOf(same, ["restart"])), uninterrupted),
      ),
    searchTimeoutMs,
  );

  // A short event is stored with each window that refers to it, a long one once for all of them.
  test(
    "with a restart after every entry, when some events are long",
    () =>
      search(anyHistory, (scenario) =>
        expectSame(
          scenario,
          (same) => formatFiringsInFull(firingsOf(withLongEvents(same), ["restart", "drain"])),
          uninterrupted,
        ),
      ),
    searchTimeoutMs,
  );

  // An idle engine sleeps until the next deadline: nothing may be due before it.
  test(
    "from deadline to deadline, with nothing in between",
    () =>
      search(fc.oneof(anyCase(busy), withBeats(anyCase(busy))), (scenario) =>
        expectSame(scenario, firingsStepByStep, uninterrupted),
      ),
    searchTimeoutMs,
  );

  test(
    "when events are sent again",
    () =>
      search(fc.tuple(anyCase(busy), anyCopies), ([scenario, copies]) =>
        expectSame(
          scenario,
          (same) => formatFirings(coreFirings(withCopies(same, copies))),
          (same) => formatFirings(coreFirings(same)),
        ),
      ),
    searchTimeoutMs,
  );
});

/** The same case, with every other event too long to be stored with a window. */
function withLongEvents(scenario: AnyCase): AnyCase {
  const timeline = scenario.timeline.map((line, index) =>
    "event" in line && index % 2 === 0 ? { ...line, payload: { note: "x".repeat(2_000) } } : line,
  );
  return { ...scenario, timeline };
}

/** The same case with some events sent again after a later line. */
function withCopies(scenario: AnyCase, copies: readonly (readonly [number, number])[]): AnyCase {
  const timeline = [...scenario.timeline];
  for (const [from, to] of copies) {
    const original = timeline[from];
    const place = timeline[Math.max(from, to)];
    if (original === undefined || place === undefined || !("event" in original)) continue;
    const received = formatTime(timeOf(place));
    timeline.splice(Math.max(from, to) + 1, 0, { ...original, received });
  }
  return { ...scenario, timeline };
}

function firingsStepByStep(scenario: AnyCase): string {
  const run = new CoreRun(scenario.lateness);
  for (const step of stepsOf(scenario)) {
    stepTo(run, step.received);
    run.take(step);
  }
  stepTo(run, scenario.until);
  return formatFiringsInFull(run.fired());
}

/** Advances as an idle engine does, and checks a microsecond before each deadline that nothing fires early. */
function stepTo(run: CoreRun, time: number): void {
  for (;;) {
    const due = run.nextDeadline();
    if (due === null || due > time) break;
    const before = run.fired().length;
    if (due - 1 > run.watermark) run.advance(due - 1);
    expect(run.fired().length, "nothing fires before a deadline").toBe(before);
    run.advance(due);
    const next = run.nextDeadline() ?? Infinity;
    expect(next, "everything due is done").toBeGreaterThan(due);
  }
  if (time > run.watermark) run.advance(time);
}
