/** The map of automations: found without comparing every event with every trigger, and within bounds. */

import { describe, expect, test } from "vitest";
import type { Glob } from "../../src/core/model/glob.ts";
import { compileGlob } from "../../src/core/model/glob.ts";
import { latenessDefault } from "../../src/core/model/limits.ts";
import { finishAtOnce } from "../../src/core/model/steps.ts";
import { automationsIn, isCovered, possibleEvents } from "../../src/lint/consequences.ts";
import { findValue } from "../../src/lint/pattern-search.ts";
import { type MapBounds, mapSteps } from "../../src/lint/reaction-map.ts";
import { TriggerFinder } from "../../src/lint/trigger-finder.ts";
import { leavesOf, partOf } from "../../src/lint/triggers.ts";
import { unheardPatterns } from "../../src/lint/unheard.ts";
import fc from "../support/fast-check.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const bounds: MapBounds = { linksMax: 1_000, loopsMax: 100, isOver: () => false };
const mapOf = (automations: Parameters<typeof mapSteps>[0], changes: Partial<MapBounds> = {}) =>
  finishAtOnce(mapSteps(automations, latenessDefault, { ...bounds, ...changes }));

const anyPattern = fc.constantFrom(
  "pump.stopped",
  "pump.*",
  "*.stopped",
  "!vent.opened",
  "vent.opened",
  "*",
  "prefect-cloud.automation.triggered",
  "prefect-cloud.automation.action.*",
);
const anyMatch = fc.constantFrom<object>(
  {},
  { "prefect.resource.id": "pump.1" },
  { "prefect.resource.id": "prefect-cloud.automation.*" },
  { "prefect.resource.id": ["pump.1", "vent.*"] },
  { "prefect.resource.name": "rule 0" },
);
const anyEmission = fc.constantFrom(
  "pump.stopped",
  "vent.opened",
  "pump.{{ event.event }}",
  "{{ event.event }}",
);
const anyRules = fc
  .array(
    fc.record({
      expect: fc.array(anyPattern, { maxLength: 2 }),
      after: fc.array(anyPattern, { maxLength: 1 }),
      match: anyMatch,
      emits: fc.array(anyEmission, { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((rules) =>
    rules.map(({ expect, after, match, emits }, index) =>
      greenhouseAutomation(`rule ${index}`, {
        trigger: { expect, after, match },
        actions: emits.map((event) => ({
          type: "emit-event",
          event,
          resource: { "prefect.resource.id": "pump.1" },
        })),
      }),
    ),
  );

// It looks up triggers by names, beginnings and resources. One that it misses is a link that no one sees.
test("every trigger that covers an event is among those that the event is compared with", () => {
  fc.assert(
    fc.property(anyRules, (automations) => {
      const rules = automations.map((automation) => ({
        automation,
        part: partOf(automation.trigger, latenessDefault),
      }));
      const finder = new TriggerFinder(rules);
      const targets = automationsIn(rules);
      for (const rule of rules) {
        for (const event of possibleEvents(rule, targets)) {
          const found = finishAtOnce(finder.candidateSteps(event));
          const orders = found.map(({ order }) => order);
          expect(orders).toEqual([...new Set(orders)].sort((a, b) => a - b));
          const leaves = new Set(found.map(({ leaf }) => leaf));
          const covering = rules
            .flatMap(({ part }) => leavesOf(part))
            .filter((leaf) => isCovered(event, leaf, false));
          expect(covering.filter((leaf) => !leaves.has(leaf))).toEqual([]);
        }
      }
    }),
  );
});

describe("a map within bounds", () => {
  const ring = Array.from({ length: 12 }, (_, index) =>
    greenhouseAutomation(`rule ${index}`, {
      trigger: { expect: [`ball.${index}`] },
      actions: [
        { type: "emit-event", event: `ball.${(index + 1) % 12}`, resource: { "prefect.resource.id": "a" } },
      ],
    }),
  );

  test("has all links and loops, and says that it is complete", () => {
    const map = mapOf(ring);
    expect(map.links.flat()).toHaveLength(12);
    expect(map.loops.map(({ length }) => length)).toEqual([12]);
    expect(map.isComplete).toBe(true);
  });

  test.each<[string, Partial<MapBounds>]>([
    ["more links", { linksMax: 5 }],
    ["more loops", { loopsMax: 0 }],
    ["more time", { isOver: () => true }],
  ])("says that it is not complete when it needs %s", (_, changes) => {
    const map = mapOf(ring, changes);
    expect(map.isComplete).toBe(false);
    expect(map.rules).toHaveLength(12);
    expect(map.links.flat().length).toBeLessThanOrEqual(changes.linksMax ?? 12);
  });
});

// One such question took two seconds, in which a server does nothing else.
test("a search for a common value of many patterns is given up soon", () => {
  const patterns = Array.from({ length: 100 }, (_, index) =>
    compileGlob(`*${"abcdefghij"[index % 10]}*x${index}*`),
  );
  const started = process.threadCpuUsage();
  const answer = findValue([compileGlob("!*"), ...patterns], ([negated]) => negated === true);
  const { user, system } = process.threadCpuUsage(started);
  expect(answer).toEqual({ kind: "unknown" });
  expect((user + system) / 1_000).toBeLessThan(150);
});

describe("a trigger that waits for what never came", () => {
  const unheard = (trigger: object, ...recorded: string[]) => {
    const part = partOf(greenhouseAutomation("one", { trigger }).trigger, latenessDefault);
    return unheardPatterns(part, (patterns: readonly Glob[]) =>
      patterns.some((pattern) => recorded.some((name) => pattern.matches(name))),
    );
  };
  const proactive = { posture: "Proactive", expect: ["sensor.read"], within: 60 };

  test.each([
    ["any of its names is enough", { expect: ["pump.stopped", "pump.failed"] }, ["pump.failed"], []],
    ["none came", { expect: ["pump.stopped", "pump.f*"] }, ["vent.opened"], ["pump.stopped", "pump.f*"]],
    ["any event is expected", { match: { "prefect.resource.id": "pump.*" } }, [], []],
    ["after never came", { expect: ["a"], after: ["b"] }, ["a"], ["b"]],
    ["silence fires anyway", proactive, [], []],
    ["silence of sensors that no one has heard", { ...proactive, for_each: ["a"] }, [], ["sensor.read"]],
    ["silence after something", { ...proactive, for_each: ["a"], after: ["b"] }, ["sensor.read"], ["b"]],
    ["silence after what came", { ...proactive, for_each: ["a"], after: ["b"] }, ["b"], []],
  ])("is known by its patterns: %s", (_, trigger, recorded, expected) => {
    expect(unheard(trigger, ...recorded)).toEqual(expected);
  });

  test("needs as many of its children as it requires", () => {
    const children = { type: "compound", within: 60, triggers: [{ expect: ["a"] }, { expect: ["b"] }] };
    expect(unheard(children, "a")).toEqual(["b"]);
    expect(unheard({ ...children, require: "any" }, "a")).toEqual([]);
    expect(unheard({ ...children, require: "any" })).toEqual(["a", "b"]);
  });
});
