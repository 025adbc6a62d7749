/**
 * Predicts the events that an automation's firings will cause, and which triggers certainly cover them.
 *
 * The value of a text is known in one of three ways. It is written out. Or it comes from an event from outside, for
 * example if the triggering event's own resource is used; then every value that the trigger covers is possible. Or it is a
 * template; then only the text around the placeholders is known, and only what is true for every possible result is
 * claimed.
 */

import type { ActionDefinition } from "../core/model/action.ts";
import type { Automation } from "../core/model/automation.ts";
import { compileGlob, type Glob } from "../core/model/glob.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import type { Specification } from "../core/model/specification.ts";
import { isTemplate } from "../templates/template.ts";
import { actionListsOf } from "./actions.ts";
import { alwaysWithin, findCommonValue } from "./pattern-search.ts";
import { type EventPart, leavesOf, type TriggerPart } from "./triggers.ts";

type Values =
  | { readonly kind: "written"; readonly value: string }
  | { readonly kind: "outside"; readonly patterns: readonly Glob[] }
  | { readonly kind: "template"; readonly glob: Glob };

interface PossibleResource {
  readonly labels: ReadonlyMap<string, Values>;
  /** True for a resource from outside, which may have any other label. */
  readonly isOpen: boolean;
}

export interface PossibleEvent {
  /** As messages show it. */
  readonly shown: string;
  readonly name: Values;
  readonly resource: PossibleResource;
  readonly related: readonly PossibleResource[];
  /** The event of Tripline's own that comes as often: itself, or that its action was executed. */
  readonly countedAs: { readonly name: string; readonly resourceId: string };
}

/** An automation and its compiled trigger. */
export interface CompiledRule {
  readonly automation: Automation;
  readonly part: TriggerPart;
}

/** Automations by what actions call them. */
interface Targets {
  readonly byId: ReadonlyMap<string, Automation>;
  readonly byName: ReadonlyMap<string, Automation>;
}

/** What pause-automation and resume-automation may refer to. */
export function automationsIn(rules: readonly CompiledRule[]): Targets {
  const automations = rules.map(({ automation }) => automation);
  return {
    byId: new Map(automations.map((automation) => [automation.id, automation])),
    byName: new Map(automations.map((automation) => [automation.name, automation])),
  };
}

/** The events that the automation's firings and actions may append to the log. */
export function* possibleEvents(rule: CompiledRule, targets: Targets): Generator<PossibleEvent> {
  const { automation, part } = rule;
  yield lifecycleEvent(automation, part, "triggered");
  if (isProactiveRoot(part)) yield lifecycleEvent(automation, part, "resolved");
  let index = 0;
  for (const { actions } of actionListsOf(automation)) {
    for (const action of actions) {
      const outcomes =
        action.type === "do-nothing" ? ["triggered", "executed"] : ["triggered", "executed", "failed"];
      for (const outcome of outcomes) yield actionEvent(rule, action, index, outcome);
      const countedAs = actionCount(automation, index, "executed");
      if (action.type === "emit-event") yield* emittedEvents(action, rule, countedAs);
      if (action.type === "pause-automation" || action.type === "resume-automation")
        yield updatedEvent(action, targets, countedAs);
      index++;
    }
  }
}

/** The event's name, if it is known; or else a pattern that it matches, as triggers have them. */
export function nameText({ name }: PossibleEvent): string {
  if (name.kind === "written") return name.value;
  return name.kind === "template"
    ? name.glob.pattern
    : name.patterns.map(({ pattern }) => pattern).join(" or ");
}

/** A text with templates as a pattern of what it may become; another text as it is. */
export function patternOf(text: string): string {
  return isTemplate(text) ? templateGlob(text).pattern : text;
}

/**
 * True when the trigger certainly covers the event.
 *
 * @param canFire true to count only events that can cause a firing, so that the chain goes on: a Reactive trigger fires
 *   with an event that it expects, and not with one that opens its window
 */
export function isCovered(
  event: PossibleEvent,
  { compiled, definition }: EventPart,
  canFire: boolean,
): boolean {
  const { expect, after, match, related } = compiled;
  const isExpected = expect.length === 0 || mayMatch(event.name, expect);
  const opens = (!canFire || definition.posture === "Proactive") && mayMatch(event.name, after);
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
  if (values.kind === "template") return alwaysWithin(values.glob, patterns);
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

// The events that core/machine/consequence.ts makes. Null stands for a value that is known only when it happens.
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
  const countedAs = { name, resourceId: `prefect-cloud.automation.${automation.id}` };
  const related = [eventResource("triggering-event")];
  return { shown: name, name: written(name), resource, related, countedAs };
}

function actionEvent(
  { automation, part }: CompiledRule,
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
    ...(outcome === "triggered" ? {} : { "prefect-cloud.action.template": "failed" }),
  });
  const owner = resourceOf({
    "prefect.resource.id": id,
    "prefect.resource.role": "automation",
    "prefect.resource.name": automation.name,
    "prefect-cloud.name": automation.name,
    "prefect-cloud.posture": postureOf(part),
  });
  const related = [owner, eventResource("triggering-event"), eventResource("automation-triggered-event")];
  const countedAs = actionCount(automation, index, outcome);
  return { shown: name, name: written(name), resource, related, countedAs };
}

function actionCount({ id }: Automation, index: number, outcome: string): PossibleEvent["countedAs"] {
  const resourceId = `prefect-cloud.automation.${id}.action.${index}`;
  return { name: `prefect-cloud.automation.action.${outcome}`, resourceId };
}

type PauseOrResume = Extract<ActionDefinition, { type: "pause-automation" | "resume-automation" }>;

function updatedEvent(
  action: PauseOrResume,
  { byId, byName }: Targets,
  countedAs: PossibleEvent["countedAs"],
): PossibleEvent {
  const name = "prefect-cloud.automation.updated";
  const target = byId.get(action.automation_id ?? "") ?? byName.get(action.automation ?? "");
  const id = target?.id ?? action.automation_id ?? null;
  const known = id === null ? null : `prefect-cloud.automation.${id}`;
  const labels = {
    "prefect.resource.id": known,
    "prefect.resource.name": target?.name ?? action.automation ?? null,
  };
  return { shown: name, name: written(name), resource: resourceOf(labels), related: [], countedAs };
}

type Emission = Extract<ActionDefinition, { type: "emit-event" }>;

/** The emitted event, once for each trigger of the tree that may provide the triggering event. */
function* emittedEvents(
  action: Emission,
  { automation, part }: CompiledRule,
  countedAs: PossibleEvent["countedAs"],
): Generator<PossibleEvent> {
  for (const leaf of leavesOf(part)) {
    const rendered = (text: string): Values => valuesOf(text, leaf);
    const resource: PossibleResource =
      action.resource === undefined
        ? {
            labels: new Map(leaf.compiled.match.map(({ label, patterns }) => [label, outside(patterns)])),
            isOpen: true,
          }
        : renderedResource(action.resource, rendered);
    const related = action.related.map((labels) => renderedResource(labels, rendered));
    const shown = `the event ${JSON.stringify(action.event)} of ${JSON.stringify(automation.name)}`;
    yield { shown, name: rendered(action.event), resource, related, countedAs };
  }
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

/** The possible values of a text of an action, if its firing comes from this trigger. */
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

/** A pattern for the results of a template: the texts between its placeholders stay as they are. */
function templateGlob(text: string): Glob {
  if (text.includes("{%") || text.startsWith("!")) return anything;
  const source = replaceReferences(text, { escaped: unescapeReference });
  return compileGlob(
    textPieces(source)
      .map((piece) => piece.replaceAll(/[*?[]/g, "[$&]"))
      .join("*"),
  );
}

/** The texts around the expressions and comments of a template. */
function textPieces(source: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = source.indexOf("{"); at !== -1; at = source.indexOf("{", at + 1)) {
    const close = { "{": "}}", "#": "#}" }[source[at + 1] ?? ""];
    if (close === undefined) continue;
    const end = source.indexOf(close, at + 2);
    if (end === -1) break;
    pieces.push(source.slice(start, at));
    start = end + 2;
    at = end + 1;
  }
  return [...pieces, source.slice(start)];
}
