/** Brings the log's automations to what the rule files say. */

import { randomUUID } from "node:crypto";
import { type Automation, canonicalJson } from "../core/model/automation.ts";
import { automationEvent } from "../core/model/automation-view.ts";
import { millisecond } from "../core/model/time.ts";
import type { NewEvent, Tell } from "../store/log.ts";

/** What this needs of the log. */
export interface AutomationStore {
  automations(): Promise<readonly Automation[]>;
  putAutomations(automations: readonly Automation[], tell: Tell): Promise<void>;
  deleteAutomations(ids: readonly string[], events: ReadonlyMap<string, NewEvent>): Promise<number>;
  updateAutomation(
    id: string,
    change: (current: Automation) => Automation,
    tell: Tell,
  ): Promise<Automation | null>;
}

/** The names of what was done. */
export interface AppliedRules {
  readonly created: readonly string[];
  readonly changed: readonly string[];
  readonly deleted: readonly string[];
  readonly unchanged: readonly string[];
}

/**
 * Puts the automations that are new or changed and deletes those whose definition is gone from the files. What is
 * equal is left alone, so that applying the same rules again appends nothing to the log; so are automations that
 * were created over the API. Applying again after a failure completes what was begun.
 *
 * All rule files of a workspace have to be given together: what is not in `rules` is taken as removed.
 *
 * @param rules of `loadRules`, without diagnostics
 */
export async function applyRules(
  store: AutomationStore,
  rules: readonly Automation[],
): Promise<AppliedRules> {
  const stored = new Map((await store.automations()).map((automation) => [automation.id, automation]));
  const wanted = new Set(rules.map(({ id }) => id));
  const created = rules.filter(({ id }) => !stored.has(id));
  const known = rules.filter(({ id }) => stored.has(id));
  const changed = known.filter((rule) => isChanged(stored.get(rule.id)!, rule));
  const deleted = [...stored.values()].filter(({ id, source }) => source.kind === "file" && !wanted.has(id));

  const told = (change: "created" | "updated" | "deleted") => (automation: Automation) => ({
    event: automationEvent(change, automation, { id: randomUUID(), at: Date.now() * millisecond }),
  });
  if (created.length > 0) await store.putAutomations(created, told("created"));
  for (const rule of changed) {
    // Compared with what is stored at that moment: somebody may be pausing it just now.
    const updated = await store.updateAutomation(
      rule.id,
      (current) => merged(current, rule),
      told("updated"),
    );
    if (updated === null) await store.putAutomations([rule], told("created"));
  }
  const events = new Map(deleted.map((automation) => [automation.id, told("deleted")(automation)]));
  if (deleted.length > 0) await store.deleteAutomations([...events.keys()], events);
  return {
    created: namesOf(created),
    changed: namesOf(changed),
    deleted: namesOf(deleted),
    unchanged: namesOf(known.filter((rule) => !changed.includes(rule))),
  };
}

/**
 * The file's definition, in the life of the stored automation. Pausing or resuming over the API lasts until the file
 * itself says something else about `enabled` than before.
 */
function merged(current: Automation, rule: Automation): Automation {
  const filesWord = current.source.kind === "file" ? current.source.enabled : undefined;
  const enabled = filesWord === rule.enabled ? current.enabled : rule.enabled;
  return { ...rule, enabled, created: current.created };
}

function isChanged(current: Automation, rule: Automation): boolean {
  const { updated } = current;
  return canonicalJson({ ...merged(current, rule), updated }) !== canonicalJson(current);
}

function namesOf(automations: readonly Automation[]): string[] {
  return automations.map(({ name }) => name);
}
