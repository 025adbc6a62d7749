import { expect, test } from "vitest";
import { explainEvent } from "../../src/core/machine/explain.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import type { Automation } from "../../src/core/model/automation.ts";
import { type AnyCase, anyCase, anyTrigger, busy } from "../support/anything.ts";
import { coreFirings, formatCase, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { numRuns, seed } from "../support/search.ts";

// An explanation that could disagree with what happened would be worse than none.
test(`an explanation reports a firing or a resolution exactly when there was one (seed ${seed})`, () => {
  fc.assert(
    fc.property(anyCase(busy, anyTrigger), (scenario) => {
      const firings = coreFirings(scenario);
      for (const [automation, eventId] of pairsOf(scenario)) {
        const explanation = explainEvent(logOf(scenario), eventId, automation, {
          until: scenario.until,
          latenessDefault: scenario.lateness,
        });
        const own = firings.filter(
          (firing) => firing.event === eventId && firing.automation === automation.name,
        );
        const resolved = explanation?.triggers.some(({ decisions }) =>
          decisions.some(({ path, outcome }) => path === "" && outcome === "resolved"),
        );
        if (!isPutOnce(scenario, automation)) continue;
        expect(resolved, formatCase(scenario)).toBe(own.some(({ state }) => state === "Resolved"));
        expect(explanation?.fired, formatCase(scenario)).toBe(own.some(({ state }) => state === "Triggered"));
      }
    }),
    { numRuns: Math.ceil(numRuns / 5), seed },
  );
});

function pairsOf(scenario: AnyCase): [Automation, string][] {
  const entries = logOf(scenario);
  const automations = entries.flatMap((entry) => (entry.kind === "automation-put" ? [entry.automation] : []));
  const eventIds = entries.flatMap((entry) => (entry.kind === "event" ? [entry.event.id] : []));
  return automations.flatMap((automation) =>
    [...new Set(eventIds)].map((id): [Automation, string] => [automation, id]),
  );
}

/** Whether the automation never changes. If it does, a firing may come from a version that was not asked about. */
function isPutOnce(scenario: AnyCase, automation: Automation): boolean {
  const puts = logOf(scenario).filter(
    (entry) => entry.kind === "automation-put" && entry.automation.id === automation.id,
  );
  return puts.length === 1;
}

function logOf(scenario: AnyCase): LogEntry[] {
  return stepsOf(scenario).filter((step) => step.kind !== "tick");
}
