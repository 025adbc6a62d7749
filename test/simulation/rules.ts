/** Automations and events of a small greenhouse, drawn at random. */

import type { Automation } from "../../src/core/model/automation.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import { formatTime, second } from "../../src/core/model/time.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import type { Random } from "../support/random.ts";

const names = ["pump.beat", "pump.failed", "vent.opened", "vent.closed"];
const perResource = ["prefect.resource.id"];

/** Drawn so that windows end, overlap and are met within a few minutes. */
export function randomAutomation(random: Random, name: string): Automation {
  const trigger = random.pick<() => object>([
    () => ({
      posture: "Reactive",
      expect: [random.pick(names)],
      for_each: random.chance(0.5) ? perResource : [],
      threshold: random.integer(1, 4),
      within: random.pick([0, 5, 30]),
    }),
    () => ({
      posture: "Reactive",
      after: ["pump.failed"],
      expect: ["pump.beat"],
      for_each: perResource,
      threshold: random.integer(1, 2),
      within: random.pick([10, 40]),
    }),
    () => ({
      posture: "Proactive",
      expect: ["pump.beat"],
      for_each: random.chance(0.7) ? perResource : [],
      within: random.integer(10, 30),
      refire: random.pick(["once", "every-window"]),
    }),
    () => ({
      posture: "Proactive",
      after: ["vent.opened"],
      expect: ["vent.closed"],
      for_each: perResource,
      within: random.integer(10, 30),
    }),
    () => ({
      type: "sequence",
      within: 60,
      triggers: [{ expect: ["vent.opened"] }, { expect: ["pump.failed"], threshold: 2, within: 30 }],
    }),
    () => ({ expect: ["prefect-cloud.automation.triggered"], threshold: random.integer(1, 3), within: 0 }),
  ])();
  return greenhouseAutomation(name, {
    enabled: random.chance(0.9),
    trigger,
    actions_on_resolve: [{ type: "do-nothing" }],
  });
}

/** @param nowMs the sender's time; some events arrive late, and some follow another */
export function randomEvent(random: Random, nowMs: number, earlier: readonly WireEvent[]): WireEvent {
  const delay = random.chance(0.2) ? random.integer(0, 15_000) : random.integer(0, 500);
  return {
    id: random.uuid(),
    occurred: formatTime(Math.floor(((nowMs - delay) / 1_000) * second)),
    event: random.pick(names),
    resource: { "prefect.resource.id": `greenhouse.${random.integer(1, 3)}` },
    related: [],
    payload: {},
    follows: earlier.length > 0 && random.chance(0.1) ? random.pick(earlier.slice(-5)).id : null,
  };
}
