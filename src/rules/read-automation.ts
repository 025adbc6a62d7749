/** Reads one automation: a document of a rule file, or an item of its `automations:` list. */

import { type Automation, AutomationSchema } from "../core/model/automation.ts";
import { automationIdOf, triggerIdOf } from "../core/model/automation-ids.ts";
import type { Micros } from "../core/model/time.ts";
import { withTriggerIds } from "../core/model/trigger.ts";
import type { Environment } from "../templates/environment.ts";
import { resolveReferences, textMistakes } from "./action-texts.ts";
import type { Place } from "./diagnostic.ts";
import type { RuleMapping, RuleMistake } from "./rule-tree.ts";
import { validate } from "./validate.ts";

export interface ReadContext {
  readonly workspace: string;
  /** The file's name, as diagnostics and the API show it. */
  readonly file: string;
  readonly env: Environment;
  /** Becomes `created` and `updated`. */
  readonly now: Micros;
}

/** A name and its place. */
export interface NamedPlace {
  readonly text: string;
  readonly place: Place;
}

export interface ReadAutomation {
  /** Null when there are mistakes. */
  readonly automation: Automation | null;
  readonly mistakes: readonly RuleMistake[];
  /** Its name, even when something else is wrong. */
  readonly name: NamedPlace | null;
  /** The tree that it was read from, with references to the environment resolved. Do not use it if there are mistakes. */
  readonly resolved: RuleMapping;
}

/** The name in a mapping; null when there is none or it is not text. */
export function nameIn(root: RuleMapping): NamedPlace | null {
  const node = root.entries.get("name")?.node;
  return node?.kind === "scalar" && typeof node.value === "string"
    ? { text: node.value, place: node.place }
    : null;
}

export function readAutomation(tree: RuleMapping, context: ReadContext): ReadAutomation {
  const { root, secrets, mistakes, unresolved } = resolveReferences(tree, context.env);
  const inTexts = textMistakes(root, secrets);
  const named = nameIn(root);
  const name = named?.text === "" ? null : named;
  const { value: definition, mistakes: inShape } = validate(AutomationSchema, root, unresolved);
  const all = [...mistakes, ...inTexts, ...inShape];
  if (definition === null || all.length > 0) return { automation: null, mistakes: all, name, resolved: root };

  const id = automationIdOf(context.workspace, definition.name);
  const automation: Automation = {
    ...definition,
    trigger: withTriggerIds(definition.trigger, (path) => triggerIdOf(id, path)),
    id,
    source: { kind: "file", file: context.file, enabled: definition.enabled },
    secrets: Object.fromEntries(secrets),
    created: context.now,
    updated: context.now,
  };
  return { automation, mistakes: [], name, resolved: root };
}
