/**
 * The events that an automation's firings cause, before any of them has happened, and which triggers surely cover
 * them.
 *
 * What a text will be is known in one of three ways. It is written out. Or an event from outside decides, as where
 * the triggering event's own resource is used: then every value that the trigger lets through can come about. Or
 * it is a template: then nothing is known but what is written around the placeholders, and only what holds for
 * whatever it may render to is claimed.
 */

import type { ActionDefinition } from "../core/model/action.ts";
import type { Automation } from "../core/model/automation.ts";
import { compileGlob, type Glob } from "../core/model/glob.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import type { Specification } from "../core/model/specification.ts";
import { isTemplate } from "../templates/template.ts";
import { actionListsOf } from "./actions.ts";
import { findCommonValue, surelyWithin } from "./pattern-search.ts";
import { type EventPart, leavesOf, type TriggerPart } from "./triggers.ts";

type Values =
  | { readonly kind: "written"; readonly value: string }
  | { readonly kind: "outside"; readonly patterns: readonly Glob[] }
  | { readonly kind: "template"; readonly glob: Glob };

interface PossibleResource {
  readonly labels: ReadonlyMap<string, Values>;
  /** It is a resource from outside, and may have any other label. */
  readonly isOpen: boolean;
}

export interface PossibleEvent {
  /** As messages show it. */
  readonly shown: string;
  readonly name: Values;
  readonly resource: PossibleResource;
  readonly related: readonly PossibleResource[];
}

/** An automation with its trigger made ready. */
export interface Ruled {
  readonly automation: Automation;
  readonly part: TriggerPart;
}

/** What the automation's firings, and their actions, may append to the log. */
export function possibleEvents(ruled: Ruled, all: readonly Ruled[]): PossibleEvent[] {
  const { automation, part } = ruled;
  const events = [lifecycleEvent(automation, part, "triggered")];
  if (isProactiveRoot(part)) events.push(lifecycleEvent(automation, part, "resolved"));
  let index = 0;
  for (const { actions } of actionListsOf(automation)) {
    for (const action of actions) {
      const outcomes =
        action.type === "do-nothing" ? ["triggered", "executed"] : ["triggered", "executed", "failed"];
      for (const outcome of outcomes) events.push(actionEvent(ruled, action, index, outcome));
      if (action.type === "emit-event") events.push(...emittedEvents(action, ruled));
      if (action.type === "pause-automation" || action.type === "resume-automation")
        events.push(updatedEvent(action, all));
      index++;
    }
  }
  return events;
}

/**
 * True when the trigger surely covers the event, as far as anything is sure of it.
 *
 * @param leads counts only an event that can bring about a firing, so that the line of causes goes on: a Reactive
 *   trigger fires with an event that it expects, whatever opened its window
 */
export function isCovered(
  event: PossibleEvent,
  { compiled, definition }: EventPart,
  leads: boolean,
): boolean {
  const { expect, after, match, related } = compiled;
  const isExpected = expect.length === 0 || mayMatch(event.name, expect);
  const opens = (!leads || definition.posture === "Proactive") && mayMatch(event.name, after);
  if (!(isExpected || opens) || !mayInclude(match, event.resource)) return false;
  return related.every(
    (specification) =>
      specification.length === 0 || event.related.some((resource) => mayInclude(specification, resource)),
  );
}

function mayInclude(specification: Specification, { labels, isOpen }: PossibleResource): boolean {
  return specification.every(({ label, patterns }) => {
    const values = labels.get(label) ?? (isOpen ? outside(null) : undefined);
    return values !== undefined && mayMatch(values, patterns);
  });
}

function mayMatch(values: Values, patterns: readonly Glob[]): boolean {
  if (patterns.length === 0) return false;
  if (values.kind === "written") return patterns.some((pattern) => pattern.matches(values.value));
  if (values.kind === "template") return surelyWithin(values.glob, patterns);
  return findCommonValue(values.patterns, patterns).kind === "found";
}

const anything = compileGlob("*");

function written(value: string): Values {
  return { kind: "written", value };
}

function outside(patterns: readonly Glob[] | null): Values {
  return { kind: "outside", patterns: patterns ?? [anything] };
}

function resourceOf(labels: Readonly<Record<string, string | null | undefined>>): PossibleResource {
  const known = Object.entries(labels).flatMap(([label, text]): [string, Values][] =>
    text === undefined ? [] : [[label, text === null ? { kind: "template", glob: anything } : written(text)]],
  );
  return { labels: new Map(known), isOpen: false };
}

function isProactiveRoot(part: TriggerPart): boolean {
  return part.kind === "event" && part.definition.posture === "Proactive";
}

// As core/consequence.ts makes them; null stands for what is only known when it happens.
function eventResource(role: string): PossibleResource {
  const { labels } = resourceOf({ "prefect.resource.role": role });
  const id: Values = { kind: "template", glob: compileGlob("prefect-cloud.event.*") };
  return { labels: new Map([...labels, ["prefect.resource.id", id]]), isOpen: false };
}

function postureOf(part: TriggerPart): string | undefined {
  return part.kind === "event" ? part.definition.posture : undefined;
}

function lifecycleEvent(automation: Automation, part: TriggerPart, what: string): PossibleEvent {
  const name = `prefect-cloud.automation.${what}`;
  const resource = resourceOf({
    "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
    "prefect.resource.name": automation.name,
    "prefect.posture": postureOf(part),
  });
  return { shown: name, name: written(name), resource, related: [eventResource("triggering-event")] };
}

function actionEvent(
  { automation, part }: Ruled,
  action: ActionDefinition,
  index: number,
  outcome: string,
): PossibleEvent {
  const name = `prefect-cloud.automation.action.${outcome}`;
  const id = `prefect-cloud.automation.${automation.id}`;
  const resource = resourceOf({
    "prefect.resource.id": `${id}.action.${index}`,
    "prefect.resource.name": automation.name,
    "prefect-cloud.action.type": action.type,
  });
  const owner = resourceOf({
    "prefect.resource.id": id,
    "prefect.resource.role": "automation",
    "prefect.resource.name": automation.name,
    "prefect-cloud.name": automation.name,
    "prefect-cloud.posture": postureOf(part),
  });
  const related = [owner, eventResource("triggering-event"), eventResource("automation-triggered-event")];
  return { shown: name, name: written(name), resource, related };
}

type PauseOrResume = Extract<ActionDefinition, { type: "pause-automation" | "resume-automation" }>;

function updatedEvent(action: PauseOrResume, all: readonly Ruled[]): PossibleEvent {
  const name = "prefect-cloud.automation.updated";
  const target = all.find(
    ({ automation }) => automation.id === action.automation_id || automation.name === action.automation,
  )?.automation;
  const id = target?.id ?? action.automation_id ?? null;
  const known = id === null ? null : `prefect-cloud.automation.${id}`;
  const labels = {
    "prefect.resource.id": known,
    "prefect.resource.name": target?.name ?? action.automation ?? null,
  };
  return { shown: name, name: written(name), resource: resourceOf(labels), related: [] };
}

type Emission = Extract<ActionDefinition, { type: "emit-event" }>;

/** One for each trigger of the tree that a triggering event may come from. */
function emittedEvents(action: Emission, { automation, part }: Ruled): PossibleEvent[] {
  return leavesOf(part).map((leaf) => {
    const rendered = (text: string): Values => valuesOf(text, leaf);
    const resource: PossibleResource =
      action.resource === undefined
        ? {
            labels: new Map(leaf.compiled.match.map(({ label, patterns }) => [label, outside(patterns)])),
            isOpen: true,
          }
        : renderedResource(action.resource, rendered);
    const related = action.related.map((one) => renderedResource(one, rendered));
    const shown = `the event ${JSON.stringify(action.event)} of ${JSON.stringify(automation.name)}`;
    return { shown, name: rendered(action.event), resource, related };
  });
}

function renderedResource(
  labels: Readonly<Record<string, string>>,
  rendered: (text: string) => Values,
): PossibleResource {
  return {
    labels: new Map(Object.entries(labels).map(([label, text]) => [label, rendered(text)])),
    isOpen: false,
  };
}

/** What a text of an action may become, when its firing comes from this trigger. */
function valuesOf(text: string, { compiled, definition, labels }: EventPart): Values {
  if (!isTemplate(text)) return written(replaceReferences(text, { escaped: unescapeReference }));
  if (/^\{\{\s*event\.event\s*\}\}$/.test(text)) {
    const names =
      definition.posture === "Reactive" ? compiled.expect : [...compiled.expect, ...compiled.after];
    return outside(compiled.expect.length === 0 ? null : names);
  }
  const [, from = "", label = ""] =
    /^\{\{\s*(event\.resource|labels)(?:\[["']([^"'\]]+)["']\]|\.\w+)\s*\}\}$/.exec(text) ?? [];
  if (label !== "" && (from !== "labels" || labels.includes(label)) && !label.startsWith("related:"))
    return outside(compiled.match.find((condition) => condition.label === label)?.patterns ?? null);
  return { kind: "template", glob: templateGlob(text) };
}

/** What a template renders to, as a pattern: the texts between its placeholders stay as they are. */
function templateGlob(text: string): Glob {
  if (text.includes("{%") || text.startsWith("!")) return anything;
  const source = replaceReferences(text, { escaped: unescapeReference });
  const pieces = source.split(/\{\{[\s\S]*?\}\}|\{#[\s\S]*?#\}/);
  return compileGlob(pieces.map((piece) => piece.replaceAll(/[*?[]/g, "[$&]")).join("*"));
}
