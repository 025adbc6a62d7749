/** Finds what a template needs from a firing, without rendering it. */

import type { AnyNode, Expression, Member } from "./ast.ts";
import { pathOf, walk } from "./ast.ts";
import { mappingMethods } from "./methods.ts";
import { isTemplate, programOf } from "./template.ts";

export interface TemplateUses {
  /** It prints a part of the event without checking first whether there is an event. */
  readonly needsEvent: boolean;
  /** The labels that it reads from `labels` by name. */
  readonly labels: readonly string[];
}

/** Analyzes a template in which `templateProblem` finds nothing wrong. */
export function templateUses(source: string): TemplateUses {
  if (!isTemplate(source)) return { needsEvent: false, labels: [] };
  const program = programOf(source);
  return { needsEvent: needsEvent(program), labels: labelsIn(program) };
}

/** Each label that is read by name. Of `labels.prefect.resource.id`, only the whole chain is one. */
function labelsIn(program: unknown): string[] {
  const labels = new Set<string>();
  const inner = new Set<unknown>();
  walk(program, (node) => {
    if (node.type !== "Member" && node.type !== "Call") return;
    if (node.type === "Call") return void inner.add((node as unknown as { callee: unknown }).callee);
  });
  const chains: { label: string; node: unknown }[] = [];
  walk(program, (node) => {
    if (node.type !== "Member") return;
    const { object, property, computed } = node as unknown as Member;
    if (!computed && object.type === "Member" && !object.computed) inner.add(object);
    const isRoot = object.type === "Identifier" && object.value === "labels";
    if (computed) {
      if (isRoot && property.type === "Literal") chains.push({ label: String(property.value), node });
      return;
    }
    const { owner, names } = pathOf(node as Expression);
    if (owner.type === "Identifier" && owner.value === "labels")
      chains.push({ label: names.join("."), node });
  });
  for (const { label, node } of chains) {
    const isMethod = inner.has(node) && mappingMethods.has(label);
    if (!isMethod && !inner.has(node)) labels.add(label);
  }
  return [...labels].sort();
}

/** True when a part of the event is read and nothing around it checks for a missing event, or gives a default. */
function needsEvent(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(needsEvent);
  if (typeof node !== "object" || node === null) return false;
  const parts = node as Readonly<Record<string, unknown>> & AnyNode;
  if (readsEvent(parts)) return true;
  // A condition only checks; the filter `default`, and `or`, give a default.
  if (parts.type === "If" || parts.type === "Conditional") {
    const { test, ...rest } = parts;
    return !mentionsEvent(test) && needsEvent(Object.values(rest));
  }
  if (parts.type === "Test") return false;
  if (parts.type === "Binary" && ["and", "or"].includes(String(parts["operator"]))) return false;
  if (parts.type === "Filter" && isDefault(parts["filter"])) return false;
  return Object.values(parts).some(needsEvent);
}

function readsEvent(node: AnyNode): boolean {
  if (node.type !== "Member") return false;
  const { object } = node as unknown as Member;
  return (
    (object.type === "Identifier" && object.value === "event") ||
    (object.type === "Member" &&
      object.property.type === "Identifier" &&
      object.property.value === "triggering_event")
  );
}

function mentionsEvent(node: unknown): boolean {
  let mentioned = false;
  walk(node, (part) => {
    const { value } = part as { value?: unknown };
    mentioned ||= part.type === "Identifier" && (value === "event" || value === "triggering_event");
  });
  return mentioned;
}

function isDefault(filter: unknown): boolean {
  const { name } = filter as { name?: unknown };
  return name === "default" || name === "d";
}
