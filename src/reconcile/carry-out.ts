/** Carries out plans through the log. */

import { type Actor, ruleFiles } from "../core/model/actor.ts";
import { destinationChanges, hookChanges } from "../core/model/change-events.ts";
import { breathe, chunksOf, mapInSlices } from "../retry/slices.ts";
import { announceChange, announceDeletions, announceThing } from "../store/announce.ts";
import type { NewEvent } from "../store/entry.ts";
import type { Log } from "../store/log.ts";
import {
  type DesiredRules,
  mergeRule,
  type Plan,
  type PlanOptions,
  planChanges,
  type StoredRules,
} from "./plan.ts";

/** The part of `Log` that reconciling needs. */
export type RuleStore = Pick<
  Log,
  | "automations"
  | "putAutomations"
  | "updateAutomation"
  | "deleteAutomations"
  | "destinations"
  | "hooks"
  | "appendEvents"
>;

/** How many automations are created or deleted in one step, for which Redis and this process do nothing else. */
const automationsPerStep = 50;

/** Reads everything that rules can change in a workspace. @throws RedisUnreachable */
export async function readStored(store: RuleStore): Promise<StoredRules> {
  const [automations, destinations, hooks] = await Promise.all([
    store.automations(),
    store.destinations.list(),
    store.hooks.list(),
  ]);
  return { automations, destinations, hooks };
}

/**
 * Makes a plan and, unless it has refusals, carries it out. Rules that are already in place append nothing to the log.
 *
 * @param review called with the plan before it is carried out, while the windows are as they were
 * @throws RedisUnreachable; applying the rules again completes what was started
 */
export async function applyRules(
  store: RuleStore,
  desired: DesiredRules,
  options: PlanOptions,
  review?: (plan: Plan) => Promise<void>,
): Promise<Plan> {
  const plan = await planChanges(await readStored(store), desired, options);
  await review?.(plan);
  if (plan.refusals.length === 0) await carryOut(plan, store);
  return plan;
}

/**
 * Makes the changes of a plan, in this order: new destinations, automations, hooks, removed destinations. So an automation
 * never refers to a missing destination, and the first event of a new hook is seen by the rules that came with it.
 *
 * @param actor who makes them, for the events about them
 * @throws RedisUnreachable
 */
export async function carryOut(plan: Plan, store: RuleStore, actor: Actor = ruleFiles): Promise<void> {
  const { automations, destinations, hooks, from } = plan;
  await store.destinations.put(
    destinations.flatMap((change) =>
      change.kind === "create" || change.kind === "change" ? [change.after] : [],
    ),
  );

  const created = automations.flatMap((change) => (change.kind === "create" ? [change.after] : []));
  for (const some of chunksOf(created, automationsPerStep)) {
    await breathe();
    await store.putAutomations(some, announceChange("created", actor));
  }
  for (const change of automations) {
    if (change.kind !== "change") continue;
    const { rule } = change;
    // Merged with what is stored now: since the plan was made, it may have been paused, or defined by a watched file.
    const updated = await store.updateAutomation(
      rule.id,
      (current) => (from === "apply" && current.source.kind === "file" ? current : mergeRule(current, rule)),
      announceChange("updated", actor),
    );
    // Deleted since the plan was made, and a pause with it, so the rule starts over.
    if (updated === null) await store.putAutomations([rule], announceChange("created", actor));
  }
  const deleted = automations.flatMap((change) => (change.kind === "delete" ? [change.before] : []));
  for (const some of chunksOf(deleted, automationsPerStep)) {
    await breathe();
    await store.deleteAutomations(
      some.map(({ id }) => id),
      announceDeletions(some, actor),
    );
  }

  await store.destinations.delete(
    destinations.flatMap((change) => (change.kind === "delete" ? [change.before.id] : [])),
  );
  if (hooks !== null) await store.hooks.replaceAll(hooks);
  await store.appendEvents([...(await destinationEvents(plan, actor)), ...hookEvents(plan, actor)]);
}

async function destinationEvents({ destinations }: Plan, actor: Actor): Promise<NewEvent[]> {
  const events = await mapInSlices(destinations, (change): NewEvent[] => {
    if (change.kind === "unchanged") return [];
    const { id, definition } = change.kind === "delete" ? change.before : change.after;
    const thing = { what: "destination", id, name: definition.name } as const;
    const kind = ({ create: "created", change: "updated", delete: "deleted" } as const)[change.kind];
    const changes = change.kind === "change" ? destinationChanges(change.before, change.after) : [];
    return [announceThing(thing, kind, changes, actor)];
  });
  return events.flat();
}

function hookEvents({ hooks, hooksBefore }: Plan, actor: Actor): NewEvent[] {
  if (hooks === null) return [];
  const before = new Map(hooksBefore.map((hook) => [hook.name, hook]));
  const after = new Map(hooks.map((hook) => [hook.name, hook]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name): NewEvent[] => {
    const [old = null, now = null] = [before.get(name), after.get(name)];
    const changes = hookChanges(old, now);
    if (changes.length === 0) return [];
    const thing = { what: "hook", id: name, name } as const;
    const kind = old === null ? "created" : now === null ? "deleted" : "updated";
    return [announceThing(thing, kind, kind === "updated" ? changes : [], actor)];
  });
}
