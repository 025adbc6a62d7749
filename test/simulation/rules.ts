/** Automations and events of a small greenhouse, drawn at random. */

import type { Automation } from "../../src/core/model/automation.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import { formatTime, second } from "../../src/core/model/time.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import type { Random } from "../support/random.ts";

const names = ["pump.beat", "pump.failed", "vent.opened", "vent.closed"];
const perResource = ["prefect.resource.id"];

/** Drawn so that windows end, overlap and are met within a few minutes. */
export function randomAutomation(random: Random, name: string, origins: readonly string[]): Automation {
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
    actions: randomActions(random, origins),
    actions_on_resolve: randomActions(random, origins),
  });
}

/** How long a delivery is tried, by the path of its URL, so that a receiver knows what each request was allowed. */
export const retryPolicies = {
  "/always": {},
  "/twice": { attempts: 2 },
  "/four-times": { attempts: 4 },
  "/a-minute": { for: "60s" },
  "/until-400": { give_up_on: [400] },
} as const;

/** @param origins of the receivers that webhooks go to */
function randomActions(random: Random, origins: readonly string[]): object[] {
  return Array.from({ length: random.pick([1, 1, 1, 2]) }, () => {
    if (random.chance(0.1)) return { type: "do-nothing" };
    if (random.chance(0.05)) {
      return {
        type: "emit-event",
        event: "vent.opened",
        resource: { "prefect.resource.id": "greenhouse.1" },
      };
    }
    const path = random.chance(0.6)
      ? "/always"
      : random.pick(Object.keys(retryPolicies) as (keyof typeof retryPolicies)[]);
    const timeout = random.pick([5, 10]);
    return {
      type: "call-webhook",
      url: `${random.pick(origins)}${path}`,
      retry: retryPolicies[path],
      timeout,
    };
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
