import { describe, expect, test } from "vitest";
import { formatTime } from "../../src/core/model/time.ts";
import { type AnyCase, anyCase, busy, drawnOut } from "../support/anything.ts";
import {
  CoreRun,
  coreFirings,
  firingsOf,
  type Interruption,
  shown,
  shownInFull,
  stepsOf,
} from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { expectSame } from "../support/minimal.ts";
import { timeOf } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

const anyHistory = fc.oneof(anyCase(busy), anyCase(drawnOut));
const anyInterruptions = fc.array(fc.constantFrom<Interruption>("none", "drain", "restart"), {
  minLength: 1,
  maxLength: 30,
  size: "max",
});
const anyCopies = fc.array(fc.tuple(fc.nat(24), fc.nat(24)));

const uninterrupted = (any: AnyCase) => shownInFull(firingsOf(any));

describe(`a replay gives the same firings (seed ${seed})`, () => {
  // The engine reads in batches as large as its backlog, and dies when it likes.
  test(
    "in any batches, with a restart between any two",
    () =>
      search(fc.tuple(anyHistory, anyInterruptions), ([any, interruptions]) =>
        expectSame(any, (same) => shownInFull(firingsOf(same, interruptions)), uninterrupted),
      ),
    searchTimeoutMs,
  );

  test(
    "with a restart after every entry",
    () =>
      search(anyHistory, (any) =>
        expectSame(any, (same) => shownInFull(firingsOf(same, ["restart"])), uninterrupted),
      ),
    searchTimeoutMs,
  );

  // An idle engine sleeps until the next deadline: nothing may be due before it.
  test(
    "step by step from deadline to deadline, and nothing happens in between",
    () => search(anyCase(busy), (any) => expectSame(any, firingsStepByStep, uninterrupted)),
    searchTimeoutMs,
  );

  test(
    "when events are sent again",
    () =>
      search(fc.tuple(anyCase(busy), anyCopies), ([any, copies]) =>
        expectSame(
          any,
          (same) => shown(coreFirings(withCopies(same, copies))),
          (same) => shown(coreFirings(same)),
        ),
      ),
    searchTimeoutMs,
  );
});

/** The same case, where some lines are sent again after a later one. */
function withCopies(any: AnyCase, copies: readonly (readonly [number, number])[]): AnyCase {
  const timeline = [...any.timeline];
  for (const [from, to] of copies) {
    const original = timeline[from];
    const place = timeline[Math.max(from, to)];
    if (original === undefined || place === undefined || !("event" in original)) continue;
    const received = formatTime(timeOf(place));
    timeline.splice(Math.max(from, to) + 1, 0, { ...original, received });
  }
  return { ...any, timeline };
}

function firingsStepByStep(any: AnyCase): string {
  const run = new CoreRun(any.lateness);
  for (const step of stepsOf(any)) {
    stepTo(run, step.received);
    run.take(step);
  }
  stepTo(run, any.until);
  return shownInFull(run.fired());
}

/** Advances as an idle engine does, looking a microsecond before each deadline whether anything happens early. */
function stepTo(run: CoreRun, time: number): void {
  for (;;) {
    const due = run.nextDeadline();
    if (due === null || due > time) break;
    const before = run.fired().length;
    if (due - 1 > run.watermark) run.advance(due - 1);
    expect(run.fired().length, "what fires fires at a deadline").toBe(before);
    run.advance(due);
    const next = run.nextDeadline() ?? Infinity;
    expect(next, "what was due is done").toBeGreaterThan(due);
  }
  if (time > run.watermark) run.advance(time);
}
