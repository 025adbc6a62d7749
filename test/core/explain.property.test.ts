import { expect, test } from "vitest";
import { explainEvent } from "../../src/core/machine/explain.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import type { Automation } from "../../src/core/model/automation.ts";
import { type AnyCase, anyCase, anyTrigger, busy } from "../support/anything.ts";
import { coreFirings, shownCase, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { numRuns, seed } from "../support/search.ts";

// An explanation that could disagree with what happened would be worse than none.
test(`an explanation says fired, or resolved, exactly when the automation fired or was resolved (seed ${seed})`, () => {
  fc.assert(
    fc.property(anyCase(busy, anyTrigger), (any) => {
      const firings = coreFirings(any);
      for (const [automation, eventId] of pairsOf(any)) {
        const explanation = explainEvent(logOf(any), eventId, automation, {
          until: any.until,
          latenessDefault: any.lateness,
        });
        const own = firings.filter(
          (firing) => firing.event === eventId && firing.automation === automation.name,
        );
        const resolved = explanation?.triggers.some(({ decisions }) =>
          decisions.some(({ path, outcome }) => path === "" && outcome === "resolved"),
        );
        if (!isPutOnce(any, automation)) continue;
        expect(resolved, shownCase(any)).toBe(own.some(({ state }) => state === "Resolved"));
        expect(explanation?.fired, shownCase(any)).toBe(own.some(({ state }) => state === "Triggered"));
      }
    }),
    { numRuns: Math.ceil(numRuns / 5), seed },
  );
});

function pairsOf(any: AnyCase): [Automation, string][] {
  const entries = logOf(any);
  const automations = entries.flatMap((entry) => (entry.kind === "automation-put" ? [entry.automation] : []));
  const eventIds = entries.flatMap((entry) => (entry.kind === "event" ? [entry.event.id] : []));
  return automations.flatMap((automation) =>
    [...new Set(eventIds)].map((id): [Automation, string] => [automation, id]),
  );
}

/** An automation that changes on the way is not the one that was asked about. */
function isPutOnce(any: AnyCase, automation: Automation): boolean {
  const puts = logOf(any).filter(
    (entry) => entry.kind === "automation-put" && entry.automation.id === automation.id,
  );
  return puts.length === 1;
}

function logOf(any: AnyCase): LogEntry[] {
  return stepsOf(any).filter((step) => step.kind !== "tick");
}
