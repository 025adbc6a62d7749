/** Compares two answers to a case; where they differ, makes the case small, so that a person sees what it is about. */

import { expect } from "vitest";
import { second } from "../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../src/core/model/trigger.ts";
import type { AnyCase } from "./anything.ts";
import { shownCase } from "./core-runner.ts";
import { type TimelineLine, timeOf } from "./naive/naive.ts";

/** Expects the same of both; a difference is shown on the smallest case that has one. */
export function expectSame(
  any: AnyCase,
  actual: (any: AnyCase) => string,
  expected: (any: AnyCase) => string,
): void {
  if (actual(any) === expected(any)) return;
  const smallest = minimal(any, (smaller) => actual(smaller) !== expected(smaller));
  expect(actual(smallest), shownCase(smallest)).toBe(expected(smallest));
}

/** A smallest case that still fails: nothing more can be left out of it, or made plain, one piece at a time. */
function minimal(any: AnyCase, fails: (any: AnyCase) => boolean): AnyCase {
  for (const smaller of smallerCases(any)) {
    if (fails(smaller)) return minimal(smaller, fails);
  }
  return any;
}

function* smallerCases(any: AnyCase): Generator<AnyCase> {
  const { automations, timeline, until } = any;
  const [last] = timeline.slice(-1);
  const rest = last === undefined ? 0 : until - timeOf(last);
  if (rest > second) yield { ...any, until: until - Math.floor(rest / 2) };
  for (const index of automations.keys()) yield { ...any, automations: automations.toSpliced(index, 1) };
  for (const index of timeline.keys()) yield { ...any, timeline: timeline.toSpliced(index, 1) };
  for (const [index, automation] of automations.entries()) {
    for (const trigger of plainerTriggers(automation.trigger)) {
      yield { ...any, automations: automations.with(index, { ...automation, trigger }) };
    }
  }
  for (const [index, line] of timeline.entries()) {
    for (const plainer of plainerLines(line)) yield { ...any, timeline: timeline.with(index, plainer) };
  }
}

function* plainerLines(line: TimelineLine): Generator<TimelineLine> {
  if ("event" in line) {
    if (line.related.length > 0) yield { ...line, related: [] };
    if (line.follows !== null) yield { ...line, follows: null };
  }
  if ("put" in line) {
    for (const trigger of plainerTriggers(line.put.trigger)) yield { ...line, put: { ...line.put, trigger } };
  }
}

function* plainerTriggers(trigger: TriggerDefinition): Generator<TriggerDefinition> {
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
      for (const plainer of plainerTriggers(child)) {
        yield { ...trigger, triggers: trigger.triggers.with(index, plainer) };
      }
    }
    return;
  }
  if (Object.keys(trigger.match).length > 0) yield { ...trigger, match: {} };
  if (Object.keys(trigger.match_related).length > 0) yield { ...trigger, match_related: {} };
  if (trigger.lateness !== undefined) yield without(trigger, "lateness");
  if (trigger.refire !== undefined) yield without(trigger, "refire");
  if (trigger.threshold !== 1) yield { ...trigger, threshold: 1 };
  if (trigger.expect.length > 0) yield { ...trigger, expect: trigger.expect.slice(1) };
  if (trigger.after.length > 1) yield { ...trigger, after: trigger.after.slice(1) };
}

function without<T extends object>(fields: T, name: keyof T): T {
  const { [name]: _left, ...rest } = fields;
  return rest as T;
}
