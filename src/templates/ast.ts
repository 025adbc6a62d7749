/** The nodes of the Jinja parser that templates may use, and a walk over them. */

interface Token {
  readonly value: string;
}

export interface Identifier {
  readonly type: "Identifier";
  readonly value: string;
}

export interface CallNode {
  readonly type: "CallExpression";
  readonly callee: Expression;
  readonly args: readonly Argument[];
}

export interface KeywordArgument {
  readonly type: "KeywordArgumentExpression";
  readonly key: Identifier;
  readonly value: Expression;
}

export type Argument = Expression | KeywordArgument;

export interface Member {
  readonly type: "MemberExpression";
  readonly object: Expression;
  readonly property: Expression | Slice;
  /** `object[property]` rather than `object.property`. */
  readonly computed: boolean;
}

export interface Slice {
  readonly type: "SliceExpression";
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}

export type Expression =
  | Identifier
  | CallNode
  | Member
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "ArrayLiteral" | "TupleLiteral"; readonly value: readonly Expression[] }
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Expression, Expression> }
  | { readonly type: "UnaryExpression"; readonly operator: Token; readonly argument: Expression }
  | {
      readonly type: "BinaryExpression";
      readonly operator: Token;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly type: "FilterExpression";
      readonly operand: Expression;
      readonly filter: Identifier | CallNode;
    }
  | {
      readonly type: "TestExpression";
      readonly operand: Expression;
      readonly negate: boolean;
      readonly test: Identifier;
    }
  | {
      readonly type: "Ternary";
      readonly condition: Expression;
      readonly trueExpr: Expression;
      readonly falseExpr: Expression;
    }
  // `value if test`; in the head of a loop, a filter.
  | { readonly type: "SelectExpression"; readonly lhs: Expression; readonly test: Expression };

export interface For {
  readonly type: "For";
  readonly loopvar: Expression;
  readonly iterable: Expression;
  readonly body: readonly Statement[];
  readonly defaultBlock: readonly Statement[];
}

export interface SetStatement {
  readonly type: "Set";
  readonly assignee: Expression;
  readonly value: Expression | null;
  readonly body: readonly Statement[];
}

export type Statement =
  | Expression
  | For
  | SetStatement
  | {
      readonly type: "If";
      readonly test: Expression;
      readonly body: readonly Statement[];
      readonly alternate: readonly Statement[];
    }
  | {
      readonly type: "FilterStatement";
      readonly filter: Identifier | CallNode;
      readonly body: readonly Statement[];
    }
  | { readonly type: "Break" | "Continue" | "Comment" };

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
const depthMax = 500;

/**
 * Visits this node and every node below it, in no particular order.
 *
 * @throws RangeError when the nodes are nested too deeply
 */
export function walk(node: unknown, visit: (node: AnyNode) => void, depth = 0): void {
  if (depth > depthMax) throw new RangeError("the template is nested too deeply");
  if (Array.isArray(node)) {
    for (const item of node) walk(item, visit, depth + 1);
  } else if (node instanceof Map) {
    walk([...node].flat(), visit, depth + 1);
  } else if (typeof node === "object" && node !== null) {
    const { type } = node as { type?: unknown };
    if (typeof type === "string") visit(node as AnyNode);
    for (const [key, value] of Object.entries(node)) {
      // An operator is a token and not a node, although `and` has the type of a name.
      if (key !== "operator") walk(value, visit, depth + 1);
    }
  }
}
