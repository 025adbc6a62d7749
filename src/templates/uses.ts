/** Finds what a template needs from a firing, without rendering it. */

import { parse, tokenize } from "@huggingface/jinja";
import type { ReceivedEvent } from "../core/model/event.ts";
import type { ShownAutomation, ShownFiring } from "../core/model/invocation.ts";
import type { AnyNode, Member } from "./ast.ts";
import { walk } from "./ast.ts";
import { mappingMethods } from "./filters.ts";
import { isTemplate } from "./template.ts";

export interface TemplateUses {
  /** It prints a part of the event without checking first whether there is an event. */
  readonly needsEvent: boolean;
  /** The labels that it reads from `labels` by name. */
  readonly labels: readonly string[];
  /** Parts of the event, the automation or the firing that it reads by name, and that never exist. */
  readonly absent: readonly AbsentPart[];
}

export interface AbsentPart {
  readonly owner: string;
  readonly part: string;
  readonly known: readonly string[];
}

const eventParts = Object.keys({
  occurred: 0,
  event: 0,
  resource: 0,
  related: 0,
  payload: 0,
  id: 0,
  follows: 0,
  received: 0,
} satisfies Record<keyof ReceivedEvent, 0>);

const partsOf: Readonly<Record<string, readonly string[]>> = {
  event: eventParts,
  automation: Object.keys({
    id: 0,
    name: 0,
    description: 0,
    tags: 0,
    enabled: 0,
    posture: 0,
  } satisfies Record<keyof ShownAutomation, 0>),
  firing: Object.keys({
    id: 0,
    trigger_id: 0,
    trigger_states: 0,
    triggered: 0,
    triggering_labels: 0,
    triggering_event: 0,
    window: 0,
    late: 0,
    triggering_firings: 0,
  } satisfies Record<keyof ShownFiring, 0>),
  "firing.triggering_event": eventParts,
  "firing.window": Object.keys({ start: 0, end: 0, count: 0, threshold: 0 } satisfies Record<
    keyof NonNullable<ShownFiring["window"]>,
    0
  >),
};

/** Analyzes a template in which `templateProblem` finds nothing wrong. */
export function templateUses(source: string): TemplateUses {
  if (!isTemplate(source)) return { needsEvent: false, labels: [], absent: [] };
  const program: unknown = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  const labels = new Set<string>();
  const absent: AbsentPart[] = [];
  const renamed = namesGivenIn(program);
  walk(program, (node) => {
    const label = memberOf(node, "labels");
    if (label !== null && !mappingMethods.has(label)) labels.add(label);
    const [owner, part] = pathOf(node) ?? [];
    const known = owner === undefined || renamed.has(owner.split(".")[0]!) ? undefined : partsOf[owner];
    if (owner === undefined || part === undefined || known === undefined) return;
    if (!known.includes(part) && !mappingMethods.has(part)) absent.push({ owner, part, known });
  });
  return { needsEvent: needsEvent(program), labels: [...labels], absent };
}

/** `["firing.window", "count"]` for `firing.window.count`; null when the path contains anything but names. */
function pathOf(node: AnyNode): [owner: string, part: string] | null {
  if (node.type !== "MemberExpression") return null;
  const { object, property, computed } = node as unknown as Member;
  if (property.type !== (computed ? "StringLiteral" : "Identifier")) return null;
  if (object.type === "Identifier") return [object.value, property.value];
  const above = pathOf(object);
  return above === null ? null : [above.join("."), property.value];
}

/** The names that the template itself assigns, in a loop or with `set`. */
function namesGivenIn(program: unknown): Set<string> {
  const names = new Set<string>();
  walk(program, (node) => {
    const { loopvar, assignee } = node as unknown as { loopvar?: unknown; assignee?: unknown };
    for (const target of [loopvar, assignee])
      walk(target, (part) => {
        if (part.type === "Identifier") names.add(String((part as Valued).value));
      });
  });
  return names;
}

/** The name in `object.name` or `object["name"]`, or null. */
function memberOf(node: AnyNode, object: string): string | null {
  if (node.type !== "MemberExpression") return null;
  const { object: owner, property } = node as unknown as Record<"object" | "property", Valued>;
  if (owner.type !== "Identifier" || owner.value !== object) return null;
  const { computed } = node as unknown as { computed: boolean };
  if (property.type !== (computed ? "StringLiteral" : "Identifier")) return null;
  return String(property.value);
}

interface Valued extends AnyNode {
  readonly value?: unknown;
}

/** True when a part of the event is read and nothing around it checks for a missing event, or gives a default. */
function needsEvent(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(needsEvent);
  if (node instanceof Map) return needsEvent([...node].flat());
  if (typeof node !== "object" || node === null) return false;
  const parts = node as Readonly<Record<string, unknown>> & AnyNode;
  if (readsEvent(parts)) return true;
  // A condition only checks; the filter `default`, and `or`, give a default.
  if (["If", "Ternary", "SelectExpression"].includes(parts.type)) {
    const { test, condition, ...rest } = parts;
    return !mentionsEvent(test ?? condition) && needsEvent(Object.values(rest));
  }
  if (parts.type === "TestExpression") return false;
  if (parts.type === "BinaryExpression" && isLogical(parts["operator"])) return false;
  if (parts.type === "FilterExpression" && isDefault(parts["filter"])) return false;
  return Object.entries(parts).some(([key, part]) => key !== "operator" && needsEvent(part));
}

function readsEvent(node: AnyNode): boolean {
  if (node.type !== "MemberExpression") return false;
  const { object } = node as unknown as { object: Valued };
  return (
    (object.type === "Identifier" && object.value === "event") ||
    memberOf(object, "firing") === "triggering_event"
  );
}

function mentionsEvent(node: unknown): boolean {
  let mentioned = false;
  walk(node, (part) => {
    const isEvent =
      part.type === "Identifier" && ["event", "triggering_event"].includes(String((part as Valued).value));
    mentioned ||= isEvent;
  });
  return mentioned;
}

function isLogical(operator: unknown): boolean {
  return ["and", "or"].includes(String((operator as { value?: unknown }).value));
}

function isDefault(filter: unknown): boolean {
  const { callee = filter } = filter as { callee?: unknown };
  return ["default", "d"].includes(String((callee as Valued).value));
}
