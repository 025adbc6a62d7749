/**
 * The texts of actions: templates, references to the environment, and secrets.
 *
 * References in an action's settings (its type, its timeout, …) are filled in when the rules are loaded. In all other
 * texts of an action they stay references, and their values go into `secrets`, apart from the definition.
 */

import { type ActionDefinition, fieldKind } from "../core/model/action.ts";
import { type Automation, actionLists } from "../core/model/automation.ts";
import { mentionsReferences, referenceTo, soleReferenceIn } from "../core/model/reference.ts";
import { actionTextProblem } from "../templates/action-checks.ts";
import { type Environment, keepReferences, substitute } from "../templates/environment.ts";
import {
  mapEntries,
  mapScalars,
  type RuleMapping,
  type RuleMistake,
  type RuleNode,
  type RuleScalar,
} from "./rule-tree.ts";

/** By the text of a key, whatever it is. */
const holdsActions: ReadonlySet<string> = new Set(actionLists);

/** Of the names that secrets get which are written out in a rule. */
const literalPrefix = "SECRET_OF_";

export interface Resolved {
  readonly root: RuleMapping;
  readonly secrets: ReadonlyMap<string, string>;
  readonly mistakes: readonly RuleMistake[];
  /** The scalars whose references could not be resolved. */
  readonly unresolved: ReadonlySet<RuleNode>;
}

/** Resolves every reference to the environment in an automation, or keeps it and puts its value into `secrets`. */
export function resolveReferences(automation: RuleMapping, env: Environment): Resolved {
  const secrets = new Map<string, string>();
  const mistakes: RuleMistake[] = [];
  const unresolved = new Set<RuleNode>();

  const resolve = (scalar: RuleScalar, how: typeof substitute, isShown: boolean): RuleScalar => {
    if (typeof scalar.value !== "string" || !mentionsReferences(scalar.value)) return scalar;
    const { text, problems } = how(scalar.value, env);
    const resolved = { ...scalar, value: text, ...(isShown ? { written: scalar.value } : {}) };
    for (const message of problems) mistakes.push({ place: scalar.place, message });
    if (problems.length > 0) unresolved.add(resolved);
    return resolved;
  };
  const fill = (scalar: RuleScalar) => resolve(scalar, substitute, true);
  const keep = (scalar: RuleScalar) => resolve(scalar, (text) => keepReferences(text, env, secrets), false);

  const inAction = mapActions(automation, (action) =>
    mapEntries(action, (key, node) => {
      const kind = fieldKind(key);
      if (kind === "setting") return mapScalars(node, fill);
      const isLiteralSecret =
        kind === "secret" && !(node.kind === "scalar" && soleReferenceIn(String(node.value)) !== null);
      return isLiteralSecret ? node : mapScalars(node, keep);
    }),
  );
  const outside = mapEntries(inAction, (key, node) =>
    holdsActions.has(key) ? node : mapScalars(node, fill),
  );
  // Last, because only now is it known which names are taken.
  const root = mapActions(outside, (action, place) =>
    mapEntries(action, (key, node) => {
      if (fieldKind(key) !== "secret" || node.kind !== "scalar" || typeof node.value !== "string")
        return node;
      if (soleReferenceIn(node.value) !== null || node.value === "") return node;
      const { value, ...rest } = resolve(node, substitute, false);
      let name = `${literalPrefix}${place.toUpperCase()}`;
      while (secrets.has(name)) name += "_";
      secrets.set(name, String(value));
      return { ...rest, value: referenceTo(name) };
    }),
  );
  return { root, secrets, mistakes, unresolved };
}

/** The values of secrets that a rule writes out, rather than refer to the environment. They must not be shown. */
export function literalSecretsOf({ secrets }: Pick<Automation, "secrets">): string[] {
  return Object.entries(secrets).flatMap(([name, value]) => (name.startsWith(literalPrefix) ? [value] : []));
}

/** The mistakes in the texts of actions that a schema cannot find, such as those in templates and URLs. */
export function textMistakes(automation: RuleMapping, secrets: ReadonlyMap<string, string>): RuleMistake[] {
  const mistakes: RuleMistake[] = [];
  const values = Object.fromEntries(secrets);
  mapActions(automation, (action) => {
    const type = action.entries.get("type")?.node;
    const actionType = (type?.kind === "scalar" ? type.value : null) as ActionDefinition["type"];
    return mapEntries(action, (key, node) => {
      if (fieldKind(key) === "setting") return node;
      return mapScalars(node, (scalar) => {
        if (typeof scalar.value !== "string") return scalar;
        const problem = actionTextProblem(actionType, { path: [key], text: scalar.value }, values);
        if (problem !== null)
          mistakes.push({ place: scalar.place, message: messageOf(problem, key, scalar.value) });
        return scalar;
      });
    });
  });
  return mistakes;
}

/** Adds what was found, if the problem does not already say it. */
function messageOf(problem: string, key: string, text: string): string {
  const refers = mentionsReferences(text);
  if (key === "secret" && problem.endsWith("empty")) {
    return `${problem}; found ${refers ? `${text}, which is empty` : "nothing"}; set it, or remove secret`;
  }
  if (key !== "url" || !problem.startsWith("url should")) return problem;
  return `${problem}; found ${refers ? `${text} (its value is not valid)` : JSON.stringify(text)}`;
}

/** @param change receives each action and its place: `actions_0` is the first of `actions` */
function mapActions(
  automation: RuleMapping,
  change: (action: RuleMapping, place: string) => RuleNode,
): RuleMapping {
  return mapEntries(automation, (key, node) => {
    if (!holdsActions.has(key) || node.kind !== "list") return node;
    const items = node.items.map((item, index) =>
      item.kind === "mapping" ? change(item, `${key}_${index}`) : item,
    );
    return { ...node, items };
  });
}
