import { describe, expect, test } from "vitest";
import { firingEvent, loopCutEvent } from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { eventOf, type WireEvent } from "../../src/core/model/event.ts";
import { consequencesPerAutomationMax, consequencesPerRootMax } from "../../src/core/model/limits.ts";
import { formatTime, type Micros, millisecond, parseTime } from "../../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../src/core/model/uuid.ts";

const start: Micros = parseTime("2026-03-01T00:00:00Z") ?? 0;

/**
 * Runs the core over a log with its own consequences in it, as the engine writes them. With `restarts`, the core is
 * restored after every entry.
 */
function firingsOfOneEvent(automations: readonly Automation[], { restarts }: { restarts: boolean }) {
  let core = new Core();
  const state = new Map<string, string>();
  const queue: { wire: WireEvent; lineage: readonly string[] }[] = [{ wire: pumpFailed, lineage: [] }];
  const firedNames: string[] = [];
  let cutCount = 0;
  let position = 0;
  for (const automation of automations) {
    core.apply({ kind: "automation-put", position: `${++position}-0`, received: start, automation });
  }
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const received = start + ++position * millisecond;
    const event = eventOf(next.wire, received, next.lineage);
    core.apply({ kind: "event", position: `${position}-0`, received, event });
    const { firings, loopCuts, dirty } = core.drain();
    for (const firing of firings) {
      firedNames.push(firing.automation.name);
      queue.push({ wire: firingEvent(firing), lineage: firing.lineage });
    }
    cutCount += loopCuts.length;
    for (const cut of loopCuts) queue.push({ wire: loopCutEvent(cut), lineage: cut.event.lineage });
    for (const { field, value } of dirty) value === null ? state.delete(field) : state.set(field, value);
    if (restarts) core = Core.restore(state);
  }
  return { firedNames, cutCount };
}

const pumpFailed: WireEvent = {
  id: uuid5(triplineNamespace, "pump failed"),
  occurred: formatTime(start),
  event: "pump.failed",
  resource: { "prefect.resource.id": "pump.1" },
  related: [],
  payload: {},
  follows: null,
};

function automationOf(name: string, trigger: object): Automation {
  const id = uuid5(triplineNamespace, name);
  const definition = AutomationSchema.parse({ name, trigger });
  return { ...definition, id, source: { kind: "api" }, secrets: {}, created: start, updated: start };
}

describe.each([{ restarts: false }, { restarts: true }])(
  "the loop guard (restarts: $restarts)",
  (options) => {
    test("keeps an automation from reacting to its own firing, and reports the cut", () => {
      const { firedNames, cutCount } = firingsOfOneEvent([automationOf("audit", {})], options);
      expect(firedNames).toEqual(["audit"]);
      expect(cutCount).toBe(1);
    });

    test("lets a chain of different automations run to its end", () => {
      const firingOf = (name: string) => ({
        expect: ["prefect-cloud.automation.triggered"],
        match: { "prefect.resource.name": name },
      });
      const chain = [
        automationOf("first", { expect: ["pump.failed"] }),
        automationOf("second", firingOf("first")),
        automationOf("third", firingOf("second")),
        automationOf("fourth", firingOf("third")),
      ];
      expect(firingsOfOneEvent(chain, options)).toEqual({
        firedNames: ["first", "second", "third", "fourth"],
        cutCount: 0,
      });
    });

    // Without a bound, twelve rules that match everything would fire about a billion times for one event.
    test.each([2, 3, 12, 100])(
      "bounds how often %d automations that match everything trigger each other",
      (count) => {
        const everything = Array.from({ length: count }, (_, index) => automationOf(`audit ${index}`, {}));
        const { firedNames, cutCount } = firingsOfOneEvent(everything, options);
        expect(firedNames.length).toBeGreaterThan(count);
        expect(firedNames.length).toBeLessThanOrEqual(count + consequencesPerRootMax);
        expect(cutCount).toBeLessThanOrEqual(count);
        for (const { name } of everything) {
          expect(firedNames.filter((fired) => fired === name).length).toBeLessThanOrEqual(
            consequencesPerAutomationMax + 1,
          );
        }
      },
    );
  },
);
