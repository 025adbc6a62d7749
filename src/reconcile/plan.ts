/**
 * Plans the changes that make a workspace match the rules. It compares, in slices, and writes nothing.
 *
 * Rules come from two sides. *Watched files* are everything that a server's `--rules` name, so a rule that is removed from
 * them is deleted. *Applied* rules were sent by `tripline apply` and are deleted only on request. Neither side deletes what
 * the other owns, or what was created over the API.
 */

import {
  type Automation,
  type AutomationSource,
  canonicalJson,
  sameTrigger,
} from "../core/model/automation.ts";
import type { Destination } from "../core/model/destination.ts";
import type { Hook } from "../core/model/hook.ts";
import { mapInSlices } from "../retry/slices.ts";

/** Everything that the rules of a workspace declare, with ids and defaults filled in. */
export interface DesiredRules {
  readonly automations: readonly Automation[];
  readonly destinations: readonly Destination[];
  /** If left out, the hooks stay as they are. */
  readonly hooks?: readonly Hook[];
}

/** What a workspace has now. */
export interface StoredRules {
  readonly automations: readonly Automation[];
  readonly destinations: readonly Destination[];
  readonly hooks: readonly Hook[];
}

export interface PlanOptions {
  readonly from: "watched files" | "apply";
  /** Whether to delete automations of the same side that are no longer desired. Watched files always do. */
  readonly prune: boolean;
}

export type AutomationChange =
  | { readonly kind: "create"; readonly after: Automation }
  | { readonly kind: "unchanged"; readonly after: Automation }
  | {
      readonly kind: "change";
      readonly before: Automation;
      readonly after: Automation;
      /** What the rule declares, before it is merged with the stored automation. */
      readonly rule: Automation;
      readonly fields: readonly ChangedField[];
      readonly windows: "kept" | "reset";
    }
  | { readonly kind: "delete"; readonly before: Automation };

export type DestinationChange =
  | { readonly kind: "create" | "unchanged"; readonly after: Destination }
  | { readonly kind: "change"; readonly before: Destination; readonly after: Destination }
  | { readonly kind: "delete"; readonly before: Destination };

export interface Plan {
  readonly from: PlanOptions["from"];
  /** Ordered by name. */
  readonly automations: readonly AutomationChange[];
  readonly destinations: readonly DestinationChange[];
  /** All hooks after the change; null if they stay as they are. */
  readonly hooks: readonly Hook[] | null;
  readonly hooksBefore: readonly Hook[];
  /** Sentences that say why the plan must not be carried out; usually empty. */
  readonly refusals: readonly string[];
  /** Sentences about changes that will be made but are probably mistakes; usually empty. */
  readonly warnings: readonly string[];
}

const comparedFields = [
  "description",
  "enabled",
  "tags",
  "trigger",
  "actions",
  "actions_on_trigger",
  "actions_on_resolve",
  "secrets",
  "source",
] as const satisfies readonly (keyof Automation)[];

export type ChangedField = (typeof comparedFields)[number];

/**
 * Plans how to get from what is stored to what is desired.
 *
 * Pass all rules of one side together: a missing rule counts as removed.
 */
export async function planChanges(
  stored: StoredRules,
  desired: DesiredRules,
  options: PlanOptions,
): Promise<Plan> {
  const { from } = options;
  const conflicts = [...automationConflicts(stored, desired), ...destinationConflicts(stored, desired, from)];
  return {
    from,
    automations: await automationChanges(stored, desired, options),
    destinations: await destinationChanges(stored, desired, from),
    hooks: changedHooks(stored, desired),
    hooksBefore: stored.hooks,
    refusals: from === "apply" ? conflicts : [],
    // Refusing a whole directory of rules, because one of its names was taken over the API, would silence its alarms.
    warnings: from === "apply" ? [] : conflicts,
  };
}

/**
 * Merges a rule into the stored automation. Returns the stored automation itself if nothing differs.
 *
 * An automation that was paused or resumed over the API stays so until the rule's own `enabled` changes, even if the rule
 * moves from `tripline apply` to a watched file.
 */
export function mergeRule(current: Automation, rule: Automation): Automation {
  const enabled = declaredEnabled(current.source) === rule.enabled ? current.enabled : rule.enabled;
  const owner = current.owner === undefined ? {} : { owner: current.owner };
  const after = { ...rule, ...owner, enabled, created: current.created };
  const { updated } = current;
  if (canonicalJson({ ...after, updated }) === canonicalJson(current)) return current;
  // Later than before even if the clock stepped back, because clients sort by it.
  return { ...after, updated: Math.max(rule.updated, updated + 1) };
}

/** Whether an automation belongs to this side. Only its own side may delete it. */
function belongsTo(from: PlanOptions["from"], source: AutomationSource): boolean {
  return from === "watched files"
    ? source.kind === "file"
    : source.kind === "api" && source.applied !== undefined;
}

/** The names of the automations that a plan changes in this way. */
export function namesOf(plan: Plan, kind: AutomationChange["kind"]): string[] {
  return plan.automations.filter((change) => change.kind === kind).map(nameOf);
}

/** The `enabled` that the rule last declared; undefined for an automation without a rule. */
function declaredEnabled(source: AutomationSource): boolean | undefined {
  return source.kind === "file" ? source.enabled : source.applied?.enabled;
}

async function automationChanges(
  stored: StoredRules,
  desired: DesiredRules,
  { from, prune }: PlanOptions,
): Promise<AutomationChange[]> {
  const known = new Map(stored.automations.map((automation) => [automation.id, automation]));
  const desiredIds = new Set(desired.automations.map(({ id }) => id));
  const changes = await mapInSlices(desired.automations, (rule): AutomationChange => {
    const before = known.get(rule.id);
    if (before === undefined) return { kind: "create", after: rule };
    const after = mergeRule(before, rule);
    if (after === before) return { kind: "unchanged", after };
    const fields = comparedFields.filter(
      (field) => canonicalJson(before[field]) !== canonicalJson(after[field]),
    );
    // The core decides in the same way when the change reaches it.
    const keepsWindows = before.enabled === after.enabled && sameTrigger(before.trigger, after.trigger);
    return { kind: "change", before, after, rule, fields, windows: keepsWindows ? "kept" : "reset" };
  });
  const leftOver = stored.automations.filter(
    ({ id, source }) => belongsTo(from, source) && !desiredIds.has(id),
  );
  const deletions = prune ? leftOver.map((before): AutomationChange => ({ kind: "delete", before })) : [];
  return [...changes, ...deletions].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function nameOf(change: AutomationChange): string {
  return change.kind === "delete" ? change.before.name : change.after.name;
}

/** A destination that is removed from watched files is deleted; `apply` never deletes one. */
async function destinationChanges(
  stored: StoredRules,
  desired: DesiredRules,
  from: PlanOptions["from"],
): Promise<DestinationChange[]> {
  const known = new Map(stored.destinations.map((destination) => [destination.id, destination]));
  const desiredIds = new Set(desired.destinations.map(({ id }) => id));
  const changes = await mapInSlices(desired.destinations, (rule): DestinationChange => {
    const before = known.get(rule.id);
    if (before === undefined) return { kind: "create", after: rule };
    const { created, updated } = before;
    if (canonicalJson({ ...rule, created, updated }) === canonicalJson(before)) {
      return { kind: "unchanged", after: before };
    }
    const after = { ...rule, created, updated: Math.max(rule.updated, updated + 1) };
    return { kind: "change", before, after };
  });
  const leftOver = stored.destinations.filter(
    ({ id, source }) => source.kind === "file" && !desiredIds.has(id),
  );
  const deletions = from === "watched files" ? leftOver : [];
  return [...changes, ...deletions.map((before): DestinationChange => ({ kind: "delete", before }))];
}

function changedHooks(stored: StoredRules, { hooks }: DesiredRules): readonly Hook[] | null {
  if (hooks === undefined) return null;
  const known = new Map(stored.hooks.map((hook) => [hook.name, canonicalJson(hook)]));
  const isSame =
    known.size === hooks.length && hooks.every((hook) => known.get(hook.name) === canonicalJson(hook));
  return isSame ? null : hooks;
}

/** Finds other automations with the name of a rule: both would fire. */
function automationConflicts({ automations }: StoredRules, desired: DesiredRules): string[] {
  const rules = new Map(desired.automations.map((rule) => [rule.name, rule]));
  return automations.flatMap(({ name, id, source }) => {
    const rule = rules.get(name);
    if (rule === undefined) return [];
    if (source.kind === "file") {
      return rule.source.kind === "file"
        ? []
        : [`${JSON.stringify(name)} is already defined in ${source.file}, which the server watches`];
    }
    if (rule.id === id) return [];
    return [
      `${JSON.stringify(name)} is also the name of automation ${id}, which was created over the API; delete or rename it`,
    ];
  });
}

function destinationConflicts(
  { destinations }: StoredRules,
  desired: DesiredRules,
  from: PlanOptions["from"],
): string[] {
  // A watched file replaces what was created over the API under the same name.
  if (from === "watched files") return [];
  const ids = new Set(desired.destinations.map(({ id }) => id));
  return destinations.flatMap(({ id, definition, source }) => {
    if (source.kind !== "file" || !ids.has(id)) return [];
    const name = JSON.stringify(definition.name);
    return [`Destination ${name} is already defined in ${source.file}, which the server watches`];
  });
}
