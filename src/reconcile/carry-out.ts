/** Carries out plans through the log. */

import { announceChange, announceDeletions } from "../store/announce.ts";
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
  "automations" | "putAutomations" | "updateAutomation" | "deleteAutomations" | "destinations" | "hooks"
>;

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
 * @throws RedisUnreachable; applying the rules again completes what was started
 */
export async function applyRules(
  store: RuleStore,
  desired: DesiredRules,
  options: PlanOptions,
): Promise<Plan> {
  const plan = planChanges(await readStored(store), desired, options);
  if (plan.refusals.length === 0) await carryOut(plan, store);
  return plan;
}

/**
 * Makes the changes of a plan, in this order: new destinations, automations, hooks, removed destinations. So an automation
 * never refers to a missing destination, and the first event of a new hook is seen by the rules that came with it.
 *
 * @throws RedisUnreachable
 */
export async function carryOut(plan: Plan, store: RuleStore): Promise<void> {
  const { automations, destinations, hooks, from } = plan;
  await store.destinations.put(
    destinations.flatMap((change) =>
      change.kind === "create" || change.kind === "change" ? [change.after] : [],
    ),
  );

  const created = automations.flatMap((change) => (change.kind === "create" ? [change.after] : []));
  await store.putAutomations(created, announceChange("created"));
  for (const change of automations) {
    if (change.kind !== "change") continue;
    const { rule } = change;
    // Merged with what is stored now: since the plan was made, it may have been paused, or defined by a watched file.
    const updated = await store.updateAutomation(
      rule.id,
      (current) => (from === "apply" && current.source.kind === "file" ? current : mergeRule(current, rule)),
      announceChange("updated"),
    );
    // Deleted since the plan was made, and a pause with it, so the rule starts over.
    if (updated === null) await store.putAutomations([rule], announceChange("created"));
  }
  const deleted = automations.flatMap((change) => (change.kind === "delete" ? [change.before] : []));
  await store.deleteAutomations(
    deleted.map(({ id }) => id),
    announceDeletions(deleted),
  );

  await store.destinations.delete(
    destinations.flatMap((change) => (change.kind === "delete" ? [change.before.id] : [])),
  );
  if (hooks !== null) await store.hooks.replaceAll(hooks);
}
