/** Builds the tree of nodes that runs a trigger. */

import type { Automation } from "../model/automation.ts";
import { Schedule } from "../model/schedule.ts";
import type { Micros } from "../model/time.ts";
import type { EventTriggerDefinition, TriggerDefinition } from "../model/trigger.ts";
import { CompositeTrigger } from "./composite.ts";
import { type CompiledEventTrigger, compileEventTrigger } from "./event-trigger.ts";
import { keyLabels } from "./key.ts";
import type { Machine, NodePlace, TriggerNode } from "./node.ts";
import { OpenedTrigger } from "./opened-reactive.ts";
import { ProactiveTrigger } from "./proactive.ts";
import { SlidingTrigger, TallyTrigger } from "./reactive.ts";
import { ScheduledReactiveTrigger } from "./scheduled-reactive.ts";

export type EventTriggerNode = TriggerNode & { readonly compiled: CompiledEventTrigger };

export interface TriggerTree {
  readonly root: TriggerNode;
  /** By path. */
  readonly nodes: ReadonlyMap<string, TriggerNode>;
}

/** Builds the tree for an automation's trigger, with no state yet. */
export function buildTrigger(automation: Automation, latenessDefault: Micros, machine: Machine): TriggerTree {
  const nodes = new Map<string, TriggerNode>();
  const build = (definition: TriggerDefinition, place: Omit<NodePlace, "labels">): TriggerNode => {
    const labels = keyLabels(place.parent?.labels ?? [], definition.for_each ?? []);
    const node =
      definition.type === "event"
        ? buildEventTrigger(definition, { ...place, labels }, latenessDefault, machine)
        : new CompositeTrigger({ ...place, labels }, definition, machine);
    nodes.set(place.path, node);
    if (node instanceof CompositeTrigger && definition.type !== "event") {
      node.children = definition.triggers.map((child, childIndex) => {
        const path = place.path === "" ? String(childIndex) : `${place.path}.${childIndex}`;
        return build(child, { automationId: automation.id, path, parent: node, childIndex });
      });
    }
    return node;
  };
  const root = build(automation.trigger, {
    automationId: automation.id,
    path: "",
    parent: null,
    childIndex: 0,
  });
  return { root, nodes };
}

function buildEventTrigger(
  definition: EventTriggerDefinition,
  place: NodePlace,
  latenessDefault: Micros,
  machine: Machine,
): EventTriggerNode {
  const compiled = compileEventTrigger(definition, latenessDefault);
  if (definition.posture === "Proactive") return new ProactiveTrigger(place, compiled, machine);
  const { schedule } = definition;
  if (schedule !== undefined) {
    return new ScheduledReactiveTrigger(
      place,
      compiled,
      machine,
      new Schedule(schedule.cron, schedule.timezone),
    );
  }
  if (compiled.after.length > 0) return new OpenedTrigger(place, compiled, machine);
  return compiled.within === 0
    ? new TallyTrigger(place, compiled, machine)
    : new SlidingTrigger(place, compiled, machine);
}
