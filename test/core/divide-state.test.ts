import { expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import { divideState, StatesDiffer } from "../../src/core/machine/divide-state.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { formatTime, minute, second } from "../../src/core/model/time.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";

const start = Date.UTC(2026, 2, 1) * 1_000;
const rules = Array.from({ length: 6 }, (_, index) =>
  greenhouseAutomation(`pump ${index}`, {
    trigger: {
      posture: "Proactive",
      expect: ["pump.beat"],
      for_each: ["prefect.resource.id"],
      within: 60,
      lateness: 0,
      refire: "once",
    },
  }),
);

function beat(index: number, follows: string | null = null): LogEntry {
  const received = start + index * second;
  const wire = {
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    occurred: formatTime(received),
    event: "pump.beat",
    resource: { "prefect.resource.id": `pump.${index % 3}` },
    related: [],
    payload: { note: "long ".repeat(1_000) }, // stored apart from the windows that refer to it
    follows,
  };
  return {
    kind: "event",
    position: `${received / 1_000}-0`,
    received,
    event: eventOf(wire, received, [], null),
  };
}

/** The states of two shards that have seen these entries. */
function statesAfter(entries: readonly LogEntry[]): Map<string, string>[] {
  return [0, 1].map((shard) => {
    const core = new Core();
    for (const automation of rules.filter(({ id }) => shardOf(id, 2) === shard)) {
      core.apply({ kind: "automation-put", position: `${start / 1_000}-0`, received: start, automation });
    }
    for (const entry of entries) core.apply(entry);
    const state = new Map<string, string>();
    for (const { field, value } of core.drain().dirty) if (value !== null) state.set(field, value);
    return state;
  });
}

function divided(states: readonly Map<string, string>[], count: number): Map<string, string>[] {
  const steps = divideState(states, count, (id) => shardOf(id, count));
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

test.each([1, 3, 5])("the states of two shards, divided among %i, fire the same", (count) => {
  const entries = [1, 2, 3, 4, 5].map((index) => beat(index));
  const before = statesAfter(entries);
  const firingsOf = (state: Map<string, string>) => {
    const core = Core.restore(state);
    core.advance(start + 10 * minute);
    return core.drain().firings.map(({ id, automation }) => `${automation.name} ${id}`);
  };
  const after = divided(before, count);
  expect(after.flatMap(firingsOf).sort()).toEqual(before.flatMap(firingsOf).sort());
  expect(after.flatMap(firingsOf)).toHaveLength(6 * 3);
});

// Nothing would ever delete it there.
test("an event is left out of the state of a shard that does not refer to it", () => {
  const [one = new Map<string, string>(), other = new Map<string, string>()] = statesAfter([beat(1)]);
  const eventsIn = (state: ReadonlyMap<string, string>) =>
    [...state.keys()].filter((field) => field.startsWith("e:"));
  expect(eventsIn(one)).toHaveLength(1);
  const shards = divided([one, other], 50);
  for (const state of shards) {
    expect(eventsIn(state)).toHaveLength(1);
    const unused = [...Core.restore(state).unusedFields()];
    const hasAutomation = [...state.keys()].some((field) => field.startsWith("a:"));
    expect(unused).toEqual(hasAutomation ? [] : eventsIn(state));
  }
});

test("a follower waits in every shard for its leader, and counts once in each automation", () => {
  const leader = beat(1);
  const follower = beat(2, leader.kind === "event" ? leader.event.id : "");
  const states = divided(statesAfter([follower]), 4);
  for (const state of states)
    expect([...state.keys()].filter((field) => field.startsWith("f:"))).toHaveLength(1);
});

// Otherwise an event would be counted twice for some automations, or never for others.
test("states are not divided while shards wait for different events", () => {
  const follower = beat(2, "00000000-0000-4000-8000-00000000ffff");
  const [one = new Map<string, string>()] = statesAfter([follower]);
  const [, other = new Map<string, string>()] = statesAfter([beat(2)]);
  expect(() => divided([one, other], 3)).toThrow(StatesDiffer);
});
