/** Carries plans out through the log. */

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

/** What reconciling needs of the log. */
export type RuleStore = Pick<
  Log,
  "automations" | "putAutomations" | "updateAutomation" | "deleteAutomations" | "destinations" | "hooks"
>;

/** Reads what a workspace holds. @throws RedisUnreachable */
export async function readStored(store: RuleStore): Promise<StoredRules> {
  const [automations, destinations, hooks] = await Promise.all([
    store.automations(),
    store.destinations.list(),
    store.hooks.list(),
  ]);
  return { automations, destinations, hooks };
}

/**
 * Reads, plans and, unless the plan is refused, carries out. Rules that are already in place append nothing to the log.
 *
 * @throws RedisUnreachable; applying again then completes what was begun
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
 * Makes the changes of a plan. An automation never refers to a destination that is not there yet, or no longer; and the
 * first event that a hook makes meets the rules that came with it.
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
    // Merged with what is stored at that moment: it may have been paused since the plan was made, or a watched file may
    // define it now.
    const updated = await store.updateAutomation(
      rule.id,
      (current) => (from === "apply" && current.source.kind === "file" ? current : mergeRule(current, rule)),
      announceChange("updated"),
    );
    // Deleted since: what was paused is gone as well, so the rule begins a new life.
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
