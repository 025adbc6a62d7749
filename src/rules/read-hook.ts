/** Reads one hook of a rule file, with every mistake in it. */

import { type Hook, hookContextNames, hookSchemas } from "../core/model/hook.ts";
import { firstReferenceIn, mentionsReferences } from "../core/model/reference.ts";
import { type Environment, substitute } from "../templates/environment.ts";
import { templateProblem } from "../templates/template.ts";
import { type NamedPlace, nameIn } from "./read-automation.ts";
import { mapEntries, mapScalars, type RuleMapping, type RuleMistake, type RuleNode } from "./rule-tree.ts";
import { validate } from "./validate.ts";

export interface ReadHook {
  /** Null when there are mistakes. */
  readonly hook: Hook | null;
  readonly mistakes: readonly RuleMistake[];
  /** Its name, even when something else is wrong. */
  readonly name: NamedPlace | null;
}

export function readHook(
  tree: RuleMapping,
  context: { readonly env: Environment; readonly file: string },
): ReadHook {
  const mistakes: RuleMistake[] = [];
  const unresolved = new Set<RuleNode>();
  const root = mapEntries(tree, (key, node) =>
    mapScalars(node, (scalar) => {
      const report = (message: string) => mistakes.push({ place: scalar.place, message });
      if (typeof scalar.value !== "string") return scalar;
      if (key === "template") {
        const problem = templateMistake(scalar.value);
        if (problem !== null) report(problem);
        return scalar;
      }
      if (!mentionsReferences(scalar.value)) return scalar;
      const { text, problems } = substitute(scalar.value, context.env);
      problems.forEach(report);
      const filled = { ...scalar, value: text, written: scalar.value };
      if (problems.length > 0) unresolved.add(filled);
      return filled;
    }),
  );
  const name = nameIn(root);
  const schema = hookSchemas[root.entries.get("template")?.node.kind ?? "scalar"];
  const { value: definition, mistakes: inShape } = validate<Omit<Hook, "source">>(schema, root, unresolved);
  const all = [...mistakes, ...inShape];
  if (definition === null || all.length > 0) return { hook: null, mistakes: all, name };
  return { hook: { ...definition, source: { kind: "file", file: context.file } }, mistakes: [], name };
}

/** The result of a hook's template goes into events, which must not contain values from the environment. */
function templateMistake(source: string): string | null {
  const reference = firstReferenceIn(source);
  if (reference === null) return templateProblem(source, hookContextNames);
  return `${reference} cannot be used in a hook's template: events are readable by everyone; write the value itself`;
}
