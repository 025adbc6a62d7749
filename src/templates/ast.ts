/** The nodes of a parsed template, and a walk over them. */

import type { AnyNumber } from "../core/json/exact-number.ts";

/** Where a node begins in the template, in UTF-16 units. */
interface PlacedNode {
  readonly at: number;
}

export interface Identifier extends PlacedNode {
  readonly type: "Identifier";
  readonly value: string;
}

export interface CallNode extends PlacedNode {
  readonly type: "Call";
  readonly callee: Expression;
  readonly args: readonly Argument[];
}

export interface KeywordArgument extends PlacedNode {
  readonly type: "KeywordArgument";
  readonly name: string;
  readonly value: Expression;
}

export type Argument = Expression | KeywordArgument;

/** `object.name`, `object.0`, `object[property]` or `object[start:stop]`. */
export interface Member extends PlacedNode {
  readonly type: "Member";
  readonly object: Expression;
  readonly property: Expression | Slice;
  /** `object[property]` rather than `object.property`. */
  readonly computed: boolean;
}

export interface Slice extends PlacedNode {
  readonly type: "Slice";
  readonly start: Expression | null;
  readonly stop: Expression | null;
  readonly step: Expression | null;
}

export interface Literal extends PlacedNode {
  readonly type: "Literal";
  readonly value: string | AnyNumber;
  /** Whether the source of a string holds a reference to the environment. */
  readonly refers: boolean;
}

export interface ListNode extends PlacedNode {
  readonly type: "List" | "Tuple";
  readonly items: readonly Expression[];
}

export interface MappingNode extends PlacedNode {
  readonly type: "Mapping";
  readonly entries: readonly { readonly key: Expression; readonly value: Expression }[];
}

/** A filter or a test with its arguments. */
export interface AppliedOperation extends PlacedNode {
  readonly name: string;
  readonly args: readonly Argument[];
}

export interface FilterNode extends PlacedNode {
  readonly type: "Filter";
  readonly operand: Expression;
  readonly filter: AppliedOperation;
}

export interface TestNode extends PlacedNode {
  readonly type: "Test";
  readonly operand: Expression;
  readonly negated: boolean;
  readonly test: AppliedOperation;
}

export interface Unary extends PlacedNode {
  readonly type: "Unary";
  readonly operator: "not" | "-" | "+";
  readonly operand: Expression;
}

export interface Binary extends PlacedNode {
  readonly type: "Binary";
  readonly operator: string;
  readonly left: Expression;
  readonly right: Expression;
}

/** `a < b`, or a chain such as `a < b <= c`, which is true if each pair compares so. */
export interface Comparison extends PlacedNode {
  readonly type: "Comparison";
  readonly first: Expression;
  readonly rest: readonly { readonly operator: string; readonly operand: Expression }[];
}

/** `value if test else otherwise`; without `else`, a missing value. */
export interface Conditional extends PlacedNode {
  readonly type: "Conditional";
  readonly test: Expression;
  readonly value: Expression;
  readonly otherwise: Expression | null;
}

export type Expression =
  | Identifier
  | CallNode
  | Member
  | Literal
  | ListNode
  | MappingNode
  | Unary
  | Binary
  | Comparison
  | FilterNode
  | TestNode
  | Conditional;

/** A name, names in parentheses or separated by commas, or an entry of a namespace. */
export type AssignmentTarget = Identifier | Member | (ListNode & { readonly type: "Tuple" });

export interface TextStatement extends PlacedNode {
  readonly type: "Text";
  readonly value: string;
  /** Whether it holds a reference to the environment. */
  readonly refers: boolean;
}

export interface Print extends PlacedNode {
  readonly type: "Print";
  readonly value: Expression;
}

export interface For extends PlacedNode {
  readonly type: "For";
  readonly target: AssignmentTarget;
  readonly iterable: Expression;
  /** `for … if filter`. */
  readonly filter: Expression | null;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export interface SetStatement extends PlacedNode {
  readonly type: "Set";
  readonly target: AssignmentTarget;
  /** Null for a block: then the text of the body is assigned, after the filters. */
  readonly value: Expression | null;
  readonly body: readonly Statement[];
  readonly filters: readonly AppliedOperation[];
}

export interface If extends PlacedNode {
  readonly type: "If";
  readonly test: Expression;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export interface FilterBlock extends PlacedNode {
  readonly type: "FilterBlock";
  readonly filters: readonly AppliedOperation[];
  readonly body: readonly Statement[];
}

export interface With extends PlacedNode {
  readonly type: "With";
  readonly names: readonly { readonly target: AssignmentTarget; readonly value: Expression }[];
  readonly body: readonly Statement[];
}

export interface JumpStatement extends PlacedNode {
  readonly type: "Break" | "Continue";
}

export type Statement = TextStatement | Print | For | SetStatement | If | FilterBlock | With | JumpStatement;

export interface Program {
  readonly type: "Program";
  readonly body: readonly Statement[];
}

export interface AnyNode {
  readonly type: string;
}

/**
 * How deep a template may be nested. Code that walks over templates makes one call per level, and the stack has room for
 * far more. A chain such as `a ~ b ~ c` has one level per term.
 */
export const depthMax = 500;

/** A chain of attributes, such as `firing.window.count`. */
export interface AttributePath {
  readonly owner: Expression;
  /** Outermost first. */
  readonly names: readonly string[];
  /** Where each name is. */
  readonly places: readonly number[];
}

export function pathOf(node: Expression): AttributePath {
  const names: string[] = [];
  const places: number[] = [];
  let owner = node;
  while (owner.type === "Member" && !owner.computed && owner.property.type === "Identifier") {
    names.push(owner.property.value);
    places.push(owner.property.at);
    owner = owner.object;
  }
  return { owner, names: names.reverse(), places: places.reverse() };
}

/** Visits this node and every node below it, in no particular order. */
export function walk(node: unknown, visit: (node: AnyNode) => void): void {
  const open: unknown[] = [node];
  for (let next = open.pop(); open.length > 0 || next !== undefined; next = open.pop()) {
    if (Array.isArray(next)) open.push(...next);
    else if (typeof next === "object" && next !== null) {
      const { type } = next as { type?: unknown };
      if (typeof type === "string") visit(next as AnyNode);
      for (const value of Object.values(next)) if (typeof value === "object") open.push(value);
    }
  }
}
