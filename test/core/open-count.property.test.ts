import { expect, test } from "vitest";
import { second } from "../../src/core/model/time.ts";
import { type AnyCase, anyCase, busy, longRunning, withBeats } from "../support/anything.ts";
import { CoreRun, type Interruption, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

const anyHistory = fc.oneof(anyCase(busy), anyCase(longRunning), withBeats(anyCase(busy)));
const anyInterruptions = fc.array(fc.constantFrom<Interruption>("none", "drain", "restart"), {
  minLength: 1,
  maxLength: 30,
  size: "max",
});

// The numbers are kept up to date change by change. One that is forgotten would be wrong until the next restart.
test(
  `how many windows are open, and which are unresolved, agrees with the windows themselves (seed ${seed})`,
  () =>
    search(fc.tuple(anyHistory, anyInterruptions), ([scenario, interruptions]) =>
      compare(scenario, interruptions),
    ),
  searchTimeoutMs,
);

function compare(scenario: AnyCase, interruptions: readonly Interruption[]): void {
  const run = new CoreRun(scenario.lateness);
  const latest = new Map<string, { open: number; unresolved: number }>();
  const unresolvedFields = new Set<string>();
  for (const [index, step] of stepsOf(scenario).entries()) {
    run.take(step);
    // Windows that end within a second stop counting at its end.
    run.advance(Math.ceil(run.watermark / second) * second);
    const interruption = interruptions[index % interruptions.length] ?? "none";
    run.interrupt(interruption);
    if (interruption === "restart") {
      latest.clear();
      unresolvedFields.clear();
    }
    for (const [id, numbers] of run.core.takeOpenCounts()) latest.set(id, numbers);
    for (let changes = run.core.takeUnresolved(2); changes.size > 0; changes = run.core.takeUnresolved(2)) {
      for (const [field, isUnresolved] of changes) {
        if (isUnresolved) unresolvedFields.add(field);
        else unresolvedFields.delete(field);
      }
    }
    for (const { id, trigger } of run.core.automations()) {
      const { open, unresolved } = latest.get(id) ?? { open: 0, unresolved: 0 };
      const windows = [...run.core.windowsOf(id)];
      expect(unresolved).toBe(windows.filter((window) => window.unresolved).length);
      expect([...unresolvedFields].filter((field) => field.startsWith(`k:${id}:`))).toHaveLength(unresolved);
      // An event whose time has yet to settle may be about to open one, which does not count yet.
      expect(open).toBeLessThanOrEqual(windows.length);
      // Of a schedule, several windows of a key may be listed, which count as one; of a composite, one ends a moment later.
      if (trigger.type !== "event" || trigger.schedule !== undefined) continue;
      expect(open).toBeGreaterThanOrEqual(windows.filter(({ settlingCount }) => settlingCount === 0).length);
    }
  }
}
