/**
 * The texts of actions: which hold templates, which hold references that stay, and where secrets go.
 *
 * References in an action's settings (its type, its timeout, …) are filled in when the rules are loaded. In all
 * other texts of an action they stay as references and their values go into `secrets`, apart from the definition.
 */

import { type Environment, isReference, keepReferences, substitute } from "../templates/environment.ts";
import {
  type Mistake,
  mapEntries,
  mapScalars,
  type RuleMapping,
  type RuleNode,
  type RuleScalar,
} from "./rule-tree.ts";

export const actionLists: readonly string[] = ["actions", "actions_on_trigger", "actions_on_resolve"];
const settings: readonly string[] = [
  "type",
  "method",
  "timeout",
  "source",
  "automation_id",
  "automation",
  "destination",
  "block_document_id",
];

/** True for the fields of an action whose texts are templates. */
export function isTemplateField(field: string): boolean {
  return !settings.includes(field) && field !== "secret";
}

/** What is wrong with a template, or null; by default with one of an action, else with one that sees other names. */
export type CheckTemplate = (source: string, names?: readonly string[]) => string | null;

export interface Resolved {
  readonly root: RuleMapping;
  readonly secrets: ReadonlyMap<string, string>;
  readonly mistakes: readonly Mistake[];
  /** The scalars whose references could not be resolved. */
  readonly unresolved: ReadonlySet<RuleNode>;
}

/** Resolves every reference to the environment in an automation, each in its way. */
export function resolveReferences(automation: RuleMapping, env: Environment): Resolved {
  const secrets = new Map<string, string>();
  const mistakes: Mistake[] = [];
  const unresolved = new Set<RuleNode>();

  const resolve = (scalar: RuleScalar, how: typeof substitute, isShown: boolean): RuleScalar => {
    if (typeof scalar.value !== "string" || !scalar.value.includes("${env.")) return scalar;
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
      if (settings.includes(key)) return mapScalars(node, fill);
      const isLiteralSecret =
        key === "secret" && !(node.kind === "scalar" && isReference(String(node.value)));
      return isLiteralSecret ? node : mapScalars(node, keep);
    }),
  );
  const outside = mapEntries(inAction, (key, node) =>
    actionLists.includes(key) ? node : mapScalars(node, fill),
  );
  // Last, because the names that are taken are known only now.
  const root = mapActions(outside, (action, place) =>
    mapEntries(action, (key, node) => {
      if (key !== "secret" || node.kind !== "scalar" || typeof node.value !== "string") return node;
      if (isReference(node.value) || node.value === "") return node;
      const { value, ...rest } = resolve(node, substitute, false);
      let name = `SECRET_OF_${place.toUpperCase()}`;
      while (secrets.has(name)) name += "_";
      secrets.set(name, String(value));
      return { ...rest, value: `\${env.${name}}` };
    }),
  );
  return { root, secrets, mistakes, unresolved };
}

/** The mistakes in the texts of actions that no schema can see: in templates and addresses. */
export function textMistakes(
  automation: RuleMapping,
  secrets: ReadonlyMap<string, string>,
  checkTemplate: CheckTemplate,
): Mistake[] {
  const mistakes: Mistake[] = [];
  const values = Object.fromEntries(secrets);
  mapActions(automation, (action) =>
    mapEntries(action, (key, node) => {
      if (settings.includes(key)) return node;
      return mapScalars(node, (scalar) => {
        if (typeof scalar.value !== "string") return scalar;
        const problem =
          key === "secret"
            ? secretProblem(scalar.value, values)
            : (checkTemplate(scalar.value) ?? (key === "url" ? urlProblem(scalar.value, values) : null));
        if (problem !== null) mistakes.push({ place: scalar.place, message: problem });
        return scalar;
      });
    }),
  );
  return mistakes;
}

function urlProblem(text: string, values: Environment): string | null {
  if (/\{[{%#]/.test(text)) return null; // known only when it is rendered
  const { text: url, problems } = substitute(text, values);
  if (problems.length > 0) return null; // reported where references are resolved
  const { protocol } = URL.parse(url) ?? { protocol: "" };
  if (["http:", "https:"].includes(protocol)) return null;
  const found = url === text ? JSON.stringify(text) : `${text} (its value is none)`;
  return `url should be an address that begins with http:// or https://; found ${found}`;
}

function secretProblem(text: string, values: Environment): string | null {
  const { text: secret, problems } = substitute(text, values);
  if (problems.length > 0) return null;
  if (secret === "") {
    return `secret should not be empty; found ${text === "" ? "nothing" : `${text}, which is empty`}; set it, or remove secret`;
  }
  if (!secret.startsWith("whsec_") || /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret)) return null;
  return "secret begins with whsec_, but what follows is not base64; copy it again, or use a secret without whsec_";
}

/** @param change is told where the action stands: `actions_0` is the first of `actions` */
function mapActions(
  automation: RuleMapping,
  change: (action: RuleMapping, place: string) => RuleNode,
): RuleMapping {
  return mapEntries(automation, (key, node) => {
    if (!actionLists.includes(key) || node.kind !== "list") return node;
    const items = node.items.map((item, index) =>
      item.kind === "mapping" ? change(item, `${key}_${index}`) : item,
    );
    return { ...node, items };
  });
}
