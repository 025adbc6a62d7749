/** Checks of a template before anything is rendered. */

import { nearMiss } from "../core/model/near-miss.ts";
import type {
  AnyNode,
  AppliedOperation,
  AssignmentTarget,
  CallNode,
  For,
  Identifier,
  Program,
  SetStatement,
  With,
} from "./ast.ts";
import { walk } from "./ast.ts";
import { constants, functions } from "./evaluator.ts";
import { filters } from "./filters.ts";
import { loopMethods, mappingMethods, numberMethods, textMethods } from "./methods.ts";
import { remedyFor } from "./remedies.ts";
import { problemAt } from "./template-error.ts";
import { checkTypes } from "./type-check.ts";
import { tests } from "./value-tests.ts";

/** The variables in the templates of an action. */
export const contextNames = ["automation", "event", "labels", "firing", "firings", "events"] as const;

const fixedMethods: ReadonlySet<string> = new Set([
  ...textMethods.keys(),
  ...mappingMethods.keys(),
  ...numberMethods.keys(),
  ...loopMethods.keys(),
]);

/** Everything that is certainly wrong, in one line: filters, tests, functions and names that do not exist, in order. */
export function programProblem(
  source: string,
  program: Program,
  names: readonly string[] = contextNames,
): string | null {
  const found = new Map<string, Found>();
  /** @param what is wrong: reported once, at its first place */
  const refuse = (what: string, at: number, problem: () => string) => {
    if (at < (found.get(what)?.at ?? Number.POSITIVE_INFINITY)) found.set(what, { at, problem });
  };
  const declared = new Set<string>(["loop"]);
  const read: Identifier[] = [];
  const notVariables = new Set<unknown>();
  walk(program, (node) => {
    for (const { name, at } of filtersOf(node)) {
      if (!filters.has(name))
        refuse(
          `filter ${name}`,
          at,
          () => `there is no filter ${name}${instead("filter", name, filters.keys())}`,
        );
    }
    if (node.type === "Test") {
      const { name, at } = (node as unknown as { test: AppliedOperation }).test;
      if (!tests.has(name))
        refuse(`test ${name}`, at, () => `there is no test ${name}${instead("test", name, tests.keys())}`);
    } else if (node.type === "Member") {
      const { property, computed } = node as unknown as { property: unknown; computed: boolean };
      if (!computed) notVariables.add(property);
    } else if (node.type === "For" || node.type === "Set") {
      declare((node as unknown as For | SetStatement).target, declared);
    } else if (node.type === "With") {
      for (const { target } of (node as unknown as With).names) declare(target, declared);
    } else if (node.type === "Call") {
      const { callee, at } = node as unknown as CallNode;
      if (callee.type === "Identifier") {
        notVariables.add(callee);
        const name = callee.value;
        if (!functions.has(name))
          refuse(
            `function ${name}`,
            at,
            () => `there is no function ${name}${instead("function", name, functions)}`,
          );
      } else if (callee.type === "Member" && callee.property.type === "Identifier" && !callee.computed) {
        const name = callee.property.value;
        if (!fixedMethods.has(name))
          refuse(
            `method ${name}`,
            callee.property.at,
            () => `there is no method ${name}${instead("method", name, fixedMethods)}`,
          );
      } else refuse("call", at, () => "only functions and methods can be called, and only by name");
    } else if (node.type === "Identifier") read.push(node as Identifier);
  });
  const known = new Set<string>([...names, ...constants.keys(), ...declared]);
  for (const identifier of read) {
    const { value: name, at } = identifier;
    if (known.has(name) || notVariables.has(identifier)) continue;
    refuse(
      `name ${name}`,
      at,
      () => `there is no ${name}${didYouMean(name, known)}; a template sees ${names.join(", ")}`,
    );
  }
  // With other variables in the place of unknown ones, there is no telling what a value is.
  if (found.size === 0) checkTypes(program, names, (at, problem) => refuse(problem, at, () => problem));
  return inOneLine(source, [...found.values()]);
}

interface Found {
  readonly at: number;
  /** Called only for problems that are shown, because looking for a similar name takes time. */
  readonly problem: () => string;
}

/** Problems in the order of their places, each problem once. */
function inOneLine(source: string, found: readonly Found[]): string | null {
  if (found.length === 0) return null;
  const first = found.toSorted((a, b) => a.at - b.at).slice(0, problemCountMax);
  return first.map(({ at, problem }) => problemAt(source, at, problem())).join("; ");
}

/** The rest would not be read. */
const problemCountMax = 20;

function filtersOf(node: AnyNode): readonly AppliedOperation[] {
  const { filter, filters: several } = node as {
    filter?: AppliedOperation;
    filters?: readonly AppliedOperation[];
  };
  if (node.type === "Filter" && filter !== undefined) return [filter];
  return node.type === "FilterBlock" || node.type === "Set" ? (several ?? []) : [];
}

function declare(target: AssignmentTarget, names: Set<string>): void {
  walk(target, (node) => {
    if (node.type === "Identifier") names.add((node as Identifier).value);
  });
}

function instead(kind: Parameters<typeof remedyFor>[0], name: string, known: Iterable<string>): string {
  return remedyFor(kind, name) ?? didYouMean(name, known);
}

function didYouMean(unknown: string, known: Iterable<string>): string {
  const suggestion = nearMiss(unknown, known);
  return suggestion === null ? "" : ` (did you mean ${suggestion.word}?)`;
}
