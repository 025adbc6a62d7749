/**
 * Divides the states of several shards among other shards, when their number changes.
 *
 * What belongs to an automation goes with it. Events are part of every state that may refer to them: restore a core from the
 * state, and leave out what `Core.unusedFields` names.
 */

import { assert } from "../model/assert.ts";
import { type Consequences, divideConsequences } from "./loop-guard.ts";
import { automationOfField, type StateFields, type StateMeta } from "./state.ts";

/**
 * The shards have seen different things, so one state cannot stand for them. Redis's clock stepped back recently: until the
 * events pass that waited for others at that time, some shards have evaluated an event for which others still wait.
 */
export class StatesDiffer extends Error {
  override readonly name = "StatesDiffer";
}

/**
 * What shards have in common, such as the followers that wait and the ids of recent events, is that of the first of them. Of the numbers that it refers
 * to, only the order counts.
 *
 * @param states of all shards, each at the same position of the log and the same watermark
 * @param shardOf the new shard of an automation
 * @returns the states of the new shards, in short steps
 * @throws StatesDiffer
 */
export function* divideState(
  states: readonly StateFields[],
  shardCount: number,
  shardOf: (automationId: string) => number,
): Generator<void, Map<string, string>[]> {
  const divided = Array.from({ length: shardCount }, () => new Map<string, string>());
  const metas = states.flatMap((state) => {
    const meta = state.get("meta");
    return meta === undefined ? [] : [JSON.parse(meta) as StateMeta];
  });
  const [first] = metas;
  if (first === undefined) return divided; // no shard has ever seen anything
  assert(metas.length === states.length, "a shard has a state, and another has none");
  assert(
    metas.every(({ watermark }) => watermark === first.watermark),
    "all shards must have reached the same time",
  );
  const meta: StateMeta = {
    ...first,
    version: Math.max(...metas.map(({ version }) => version)),
    // No later evaluation may have the number of an earlier one of the same automation.
    evaluationCount: Math.max(...metas.map(({ evaluationCount }) => evaluationCount)),
  };
  for (const state of divided) state.set("meta", JSON.stringify(meta));

  const consequences = new Map<string, Consequences[]>();
  const followers = followersOf(states[0] ?? new Map());
  for (const [index, state] of states.entries()) {
    const own = followersOf(state);
    if (own.size !== followers.size || [...own.keys()].some((field) => !followers.has(field))) {
      throw new StatesDiffer(
        "Shards wait for different events, because Redis's clock stepped back. Try again in 15 minutes",
      );
    }
    for (const [field, value] of state) {
      yield;
      if (field === "meta") continue;
      const automationId = automationOfField(field);
      if (automationId !== null) divided[shardOf(automationId)]?.set(field, value);
      else if (field.startsWith("l:")) {
        const root = field.slice(2);
        consequences.set(root, [...(consequences.get(root) ?? []), JSON.parse(value) as Consequences]);
      } else if (field.startsWith("e:") || index === 0) for (const part of divided) part.set(field, value);
    }
  }
  for (const [root, found] of consequences) {
    yield;
    for (const [shard, part] of divideConsequences(found, shardOf))
      divided[shard]?.set(`l:${root}`, JSON.stringify(part));
  }
  return divided;
}

function followersOf(state: StateFields): Map<string, string> {
  return new Map([...state].filter(([field]) => field.startsWith("f:")));
}
