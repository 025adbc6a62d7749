import { describe, test } from "vitest";
import {
  type AnyCase,
  anyCase,
  anyComposite,
  anyEventTrigger,
  anyTrigger,
  busy,
  drawnOut,
} from "../support/anything.ts";
import { coreFirings, shown } from "../support/core-runner.ts";
import { expectSame } from "../support/minimal.ts";
import { naiveFirings } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

// Two readings of one specification, one of them too simple to be wrong in the same way.
describe(`the core fires when the naive evaluator does (seed ${seed})`, () => {
  test.each([
    { over: "event triggers", cases: anyCase(busy, anyEventTrigger) },
    { over: "composite triggers", cases: anyCase(busy, anyComposite) },
    { over: "hours of followers, repeats and changes", cases: anyCase(drawnOut, anyTrigger) },
  ])("over $over", ({ cases }) => search(cases, (any) => expectSame(any, inCore, inNaive)), searchTimeoutMs);
});

function inCore(any: AnyCase): string {
  return shown(coreFirings(any));
}

function inNaive({ automations, timeline, until, lateness }: AnyCase): string {
  return shown(naiveFirings(automations, timeline, { until, lateness }));
}
