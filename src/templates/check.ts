/** Checks of a template before anything is rendered. */

import { nearMiss } from "../core/model/near-miss.ts";
import type { AnyNode, CallNode, Expression, For, Identifier, Member, Program, SetStatement } from "./ast.ts";
import { walk } from "./ast.ts";
import { constants, functions } from "./evaluator.ts";
import { filters, mappingMethods, tests, textMethods } from "./filters.ts";

/** The variables in the templates of an action. */
export const contextNames = ["automation", "event", "labels", "firing", "firings", "events"] as const;

const unsupported: ReadonlyMap<string, string> = new Map([
  ["Macro", "macros cannot be used in a template; write the text where it is needed"],
  ["CallStatement", "call blocks cannot be used in a template"],
  ["SpreadExpression", "* cannot be used on arguments"],
  ["KeywordSpreadExpression", "** cannot be used on arguments"],
]);

const fixedMethods: ReadonlySet<string> = new Set([...textMethods.keys(), ...mappingMethods.keys()]);

/** Everything that is certainly wrong, in one line: constructs, filters, tests, functions and names that do not exist. */
export function programProblem(program: Program, names: readonly string[] = contextNames): string | null {
  const nodes: AnyNode[] = [];
  walk(program, (node) => nodes.push(node));
  const notVariables = new Set<unknown>();
  const declared = new Set<string>(["loop"]);
  const problems = new Set<string>();
  const refuse = (problem: string) => {
    problems.add(problem);
  };

  for (const node of nodes) {
    const reason = unsupported.get(node.type);
    if (reason !== undefined) refuse(reason);
    if (node.type === "FilterExpression" || node.type === "FilterStatement") {
      const { filter } = node as unknown as { filter: Identifier | CallNode };
      const name = (filter.type === "CallExpression" ? filter.callee : filter) as Identifier;
      notVariables.add(name);
      if (!filters.has(name.value))
        refuse(`there is no filter ${name.value}${didYouMean(name.value, filters.keys())}`);
    } else if (node.type === "TestExpression") {
      const { test } = node as unknown as { test: Identifier };
      notVariables.add(test);
      if (!tests.has(test.value))
        refuse(`there is no test ${test.value}${didYouMean(test.value, tests.keys())}`);
    } else if (node.type === "MemberExpression") {
      const { property, computed } = node as unknown as Member;
      if (!computed) notVariables.add(property);
    } else if (node.type === "KeywordArgumentExpression") {
      notVariables.add((node as unknown as { key: Identifier }).key);
    } else if (node.type === "For") {
      declare((node as unknown as For).loopvar, declared);
    } else if (node.type === "Set") {
      declare((node as unknown as SetStatement).assignee, declared);
    }
  }
  for (const node of nodes) {
    if (node.type !== "CallExpression") continue;
    const { callee } = node as unknown as CallNode;
    if (callee.type === "Identifier" && !notVariables.has(callee)) {
      notVariables.add(callee);
      if (!functions.has(callee.value))
        refuse(`there is no function ${callee.value}${didYouMean(callee.value, functions)}`);
    } else if (
      callee.type === "MemberExpression" &&
      callee.property.type === "Identifier" &&
      !callee.computed
    ) {
      const name = callee.property.value;
      if (!fixedMethods.has(name)) refuse(`there is no method ${name}${didYouMean(name, fixedMethods)}`);
    }
  }
  const known = new Set<string>([...names, ...constants.keys(), ...declared]);
  for (const node of nodes) {
    if (node.type !== "Identifier" || notVariables.has(node)) continue;
    const name = (node as Identifier).value;
    if (known.has(name)) continue;
    refuse(`there is no ${name}${didYouMean(name, known)}; a template sees ${names.join(", ")}`);
  }
  return problems.size === 0 ? null : [...problems].join("; ");
}

function declare(target: Expression, names: Set<string>): void {
  if (target.type === "Identifier") names.add(target.value);
  if (target.type === "TupleLiteral") for (const item of target.value) declare(item, names);
}

function didYouMean(unknown: string, known: Iterable<string>): string {
  const suggestion = nearMiss(unknown, known);
  return suggestion === null ? "" : ` (did you mean ${suggestion.word}?)`;
}
