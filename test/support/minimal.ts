/** Compares two results of a case. If they differ, it shrinks the case, so that a person can see why. */

import { expect } from "vitest";
import { second } from "../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../src/core/model/trigger.ts";
import type { AnyCase } from "./anything.ts";
import { formatCase } from "./core-runner.ts";
import { type TimelineLine, timeOf } from "./naive/naive.ts";

/** Expects the same result from both. A failure shows the smallest case that still differs. */
export function expectSame(
  scenario: AnyCase,
  actual: (scenario: AnyCase) => string,
  expected: (scenario: AnyCase) => string,
): void {
  if (actual(scenario) === expected(scenario)) return;
  const smallest = minimal(scenario, (smaller) => actual(smaller) !== expected(smaller));
  expect(actual(smallest), formatCase(smallest)).toBe(expected(smallest));
}

/** A smallest case that still fails: no single piece of it can be removed or simplified. */
function minimal(scenario: AnyCase, fails: (scenario: AnyCase) => boolean): AnyCase {
  for (const smaller of smallerCases(scenario)) {
    if (fails(smaller)) return minimal(smaller, fails);
  }
  return scenario;
}

function* smallerCases(scenario: AnyCase): Generator<AnyCase> {
  const { automations, timeline, until } = scenario;
  const [last] = timeline.slice(-1);
  const rest = last === undefined ? 0 : until - timeOf(last);
  if (rest > second) yield { ...scenario, until: until - Math.floor(rest / 2) };
  for (const index of automations.keys()) yield { ...scenario, automations: automations.toSpliced(index, 1) };
  for (const index of timeline.keys()) yield { ...scenario, timeline: timeline.toSpliced(index, 1) };
  for (const [index, automation] of automations.entries()) {
    for (const trigger of simplerTriggers(automation.trigger)) {
      yield { ...scenario, automations: automations.with(index, { ...automation, trigger }) };
    }
  }
  for (const [index, line] of timeline.entries()) {
    for (const simpler of simplerLines(line)) yield { ...scenario, timeline: timeline.with(index, simpler) };
  }
}

function* simplerLines(line: TimelineLine): Generator<TimelineLine> {
  if ("event" in line) {
    if (line.related.length > 0) yield { ...line, related: [] };
    if (line.follows !== null) yield { ...line, follows: null };
  }
  if ("put" in line) {
    for (const trigger of simplerTriggers(line.put.trigger)) yield { ...line, put: { ...line.put, trigger } };
  }
}

function* simplerTriggers(trigger: TriggerDefinition): Generator<TriggerDefinition> {
  if ((trigger.for_each ?? []).length > 0) yield { ...trigger, for_each: [] };
  if (trigger.type !== "event") {
    yield* trigger.triggers;
    for (const [index, child] of trigger.triggers.entries()) {
      if (
        trigger.triggers.length > 1 &&
        !(trigger.type === "compound" && typeof trigger.require === "number")
      ) {
        yield { ...trigger, triggers: trigger.triggers.toSpliced(index, 1) };
      }
      for (const simpler of simplerTriggers(child)) {
        yield { ...trigger, triggers: trigger.triggers.with(index, simpler) };
      }
    }
    return;
  }
  if (Object.keys(trigger.match).length > 0) yield { ...trigger, match: {} };
  if (Object.keys(trigger.match_related).length > 0) yield { ...trigger, match_related: {} };
  if (trigger.lateness !== undefined) yield without(trigger, "lateness");
  if (trigger.refire !== undefined) yield without(trigger, "refire");
  if (trigger.on_gap !== undefined) yield without(trigger, "on_gap");
  if (trigger.threshold !== 1) yield { ...trigger, threshold: 1 };
  if (trigger.expect.length > 0) yield { ...trigger, expect: trigger.expect.slice(1) };
  if (trigger.after.length > 1) yield { ...trigger, after: trigger.after.slice(1) };
}

function without<T extends object>(fields: T, name: keyof T): T {
  const { [name]: _left, ...rest } = fields;
  return rest as T;
}
