/** What a template asks of a firing, as far as that can be seen without rendering it. */

import { parse, tokenize } from "@huggingface/jinja";
import type { AnyNode } from "./template-ast.ts";
import { walk } from "./template-ast.ts";
import { mappingMethods } from "./template-filters.ts";

export interface TemplateUses {
  /** It prints a part of the event, and does not ask before whether there is one. */
  readonly needsEvent: boolean;
  /** The labels that it reads from `labels` by name. */
  readonly labels: readonly string[];
}

/** Looks at a template in which `templateProblem` finds nothing wrong. */
export function templateUses(source: string): TemplateUses {
  if (!/\{[{%]/.test(source)) return { needsEvent: false, labels: [] };
  const program: unknown = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  const labels = new Set<string>();
  walk(program, (node) => {
    const label = memberOf(node, "labels");
    if (label !== null && !mappingMethods.has(label)) labels.add(label);
  });
  return { needsEvent: needsEvent(program), labels: [...labels] };
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

/** True when a part of the event is read where nothing around it asked, or provided for its being absent. */
function needsEvent(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(needsEvent);
  if (node instanceof Map) return needsEvent([...node].flat());
  if (typeof node !== "object" || node === null) return false;
  const parts = node as Readonly<Record<string, unknown>> & AnyNode;
  if (readsEvent(parts)) return true;
  // A condition only asks; a filter `default`, and `or`, provide for what is absent.
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
  walk(node, (one) => {
    const isEvent =
      one.type === "Identifier" && ["event", "triggering_event"].includes(String((one as Valued).value));
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
