import { describe, test } from "vitest";
import {
  type AnyCase,
  anyCase,
  anyComposite,
  anyEventTrigger,
  anyTrigger,
  busy,
  longRunning,
  withBeats,
} from "../support/anything.ts";
import { coreFirings, formatFirings } from "../support/core-runner.ts";
import { expectSame } from "../support/minimal.ts";
import { naiveFirings } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

// Two independent readings of one specification. The naive one is too simple to be wrong in the same way.
describe(`the core fires when the naive evaluator does (seed ${seed})`, () => {
  test.each([
    { kind: "event triggers", cases: anyCase(busy, anyEventTrigger) },
    { kind: "composite triggers", cases: anyCase(busy, anyComposite) },
    { kind: "hours of followers, repeats and changes", cases: anyCase(longRunning, anyTrigger) },
    { kind: "event triggers and outages of the API", cases: withBeats(anyCase(busy, anyEventTrigger)) },
    { kind: "composite triggers and outages of the API", cases: withBeats(anyCase(busy, anyComposite)) },
  ])(
    "for $kind",
    ({ cases }) => search(cases, (scenario) => expectSame(scenario, inCore, inNaive)),
    searchTimeoutMs,
  );
});

function inCore(scenario: AnyCase): string {
  return formatFirings(coreFirings(scenario));
}

function inNaive({ automations, timeline, until, lateness }: AnyCase): string {
  return formatFirings(naiveFirings(automations, timeline, { until, lateness }));
}
