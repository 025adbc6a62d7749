import { describe, expect, test } from "vitest";
import { firingEvent } from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import type { Firing } from "../../src/core/machine/firing.ts";
import type { Automation } from "../../src/core/model/automation.ts";
import { eventOf, type WireEvent } from "../../src/core/model/event.ts";
import { second } from "../../src/core/model/time.ts";
import { findLoops, reactionsAmong } from "../../src/lint/loops.ts";
import { partOf } from "../../src/lint/triggers.ts";
import fc from "../support/fast-check.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { numRuns, seed } from "../support/search.ts";
import { warningsIn } from "./support.ts";

function loopsAmong(automations: readonly Automation[]): string[][] {
  const rules = automations.map((automation) => ({
    automation,
    part: partOf(automation.trigger, 5 * second),
  }));
  const reactions = reactionsAmong(rules, Number.POSITIVE_INFINITY);
  if (reactions === null) throw new Error("there is no bound");
  return findLoops(reactions).map(({ automation, others = [] }) =>
    [automation, ...others].map(({ name }) => name),
  );
}

const names = ["vent.opened", "house.cooled", "pump.started"];
const triggered = "prefect-cloud.automation.triggered";
const ids = ["device.1", "device.2"];
const echo = '{{ event.resource["prefect.resource.id"] }}';

function anyAutomations(resourceIds: readonly (string | null)[], countMax: number) {
  const anyRule = fc.record({
    expect: fc.oneof(fc.subarray(names, { minLength: 1, maxLength: 2 }), fc.constant([triggered])),
    match: fc.constantFrom(...ids, "device.*", null),
    watched: fc.nat(countMax - 1),
    emits: fc.array(fc.record({ event: fc.constantFrom(...names), id: fc.constantFrom(...resourceIds) }), {
      maxLength: 2,
    }),
  });
  return fc.array(anyRule, { minLength: 1, maxLength: countMax }).map((rules) =>
    rules.map(({ expect, match, watched, emits }, number) => {
      const specification = expect.includes(triggered)
        ? { "prefect.resource.name": `rule ${watched}` }
        : match === null
          ? {}
          : { "prefect.resource.id": match };
      return greenhouseAutomation(`rule ${number}`, {
        trigger: { expect, match: specification },
        actions: emits.map(({ event, id }) => ({
          type: "emit-event",
          event,
          ...(id === null ? {} : { resource: { "prefect.resource.id": id } }),
        })),
      });
    }),
  );
}

/**
 * Runs every event from outside, and all that follows from it.
 *
 * @returns the names of the automations that the engine kept from reacting to their own firings
 */
function cutAmong(automations: readonly Automation[]): Set<string> {
  const cut = new Set<string>();
  for (const event of [...names, triggered]) {
    for (const id of ids) {
      for (const name of event === triggered ? automations.map((automation) => automation.name) : [""]) {
        const core = new Core({ stored: false });
        let position = 0;
        const next = () => ({ position: `${++position}-0`, received: position });
        for (const automation of automations) core.apply({ kind: "automation-put", ...next(), automation });
        const first = { event, resource: { "prefect.resource.id": id, "prefect.resource.name": name } };
        const queue: { wire: WireEvent; lineage: readonly string[] }[] = [
          { wire: wireOf(first, 0), lineage: [] },
        ];
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
          const entry = next();
          core.apply({ kind: "event", ...entry, event: eventOf(item.wire, entry.received, item.lineage) });
          const { firings, loopCuts } = core.drain();
          for (const { automation } of loopCuts) cut.add(automation.name);
          for (const firing of firings) {
            const { lineage } = firing;
            queue.push({ wire: firingEvent(firing), lineage });
            for (const emitted of emittedBy(firing))
              queue.push({ wire: wireOf(emitted, ++position), lineage });
          }
        }
      }
    }
  }
  return cut;
}

function emittedBy({ automation, event }: Firing): Pick<WireEvent, "event" | "resource">[] {
  const resource = event?.wire.resource ?? {};
  return automation.actions.flatMap((action) => {
    if (action.type !== "emit-event") return [];
    const id = action.resource?.["prefect.resource.id"]?.replace(echo, resource["prefect.resource.id"] ?? "");
    return [{ event: action.event, resource: id === undefined ? resource : { "prefect.resource.id": id } }];
  });
}

function wireOf(fields: Pick<WireEvent, "event" | "resource">, number: number): WireEvent {
  const id = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
  return { ...fields, occurred: "1970-01-01T00:00:00Z", related: [], payload: {}, id, follows: null };
}

// The linter's graph says what could happen. Here it happens.
describe("loops", () => {
  test(`are found exactly where the engine cuts one (seed ${seed})`, () => {
    const agrees = fc.property(anyAutomations(ids, 5), (automations) => {
      const inLoops = new Set(loopsAmong(automations).flat());
      expect([...inLoops].sort()).toEqual([...cutAmong(automations)].sort());
    });
    fc.assert(agrees, { numRuns: numRuns / 5, seed });
  }, 120_000);

  test(`are found if the triggering event's resource is passed on (seed ${seed})`, () => {
    const agrees = fc.property(anyAutomations([...ids, echo, null], 3), (automations) => {
      const loops = loopsAmong(automations);
      const cut = cutAmong(automations);
      for (const name of cut) expect(loops.flat()).toContain(name);
      for (const loop of loops)
        expect(
          loop.some((name) => cut.has(name)),
          loop.join(" → "),
        ).toBe(true);
    });
    fc.assert(agrees, { numRuns: numRuns / 5, seed });
  }, 120_000);
});

interface Rule {
  readonly trigger: object;
  readonly actions?: readonly object[];
  readonly actions_on_resolve?: readonly object[];
}

function loopWarnings(rules: Readonly<Record<string, Rule>>): string[] {
  const automations = Object.entries(rules).map(([name, rule]) => ({ name, actions: [], ...rule }));
  return warningsIn(JSON.stringify({ automations }))
    .filter(({ code }) => code === "TL301")
    .map(({ reason }) => reason);
}

const emit = (event: string, resource?: object) => ({
  type: "emit-event",
  event,
  ...(resource && { resource }),
});

test("a loop is reported once, in full, with the events that close it", () => {
  const [reason, ...others] = loopWarnings({
    c: { trigger: { expect: ["y"] }, actions: [emit("z")] },
    a: { trigger: { expect: ["z"] }, actions: [emit("x")] },
    b: { trigger: { expect: ["x"] }, actions: [emit("y")] },
  });
  expect(others).toEqual([]);
  expect(reason).toContain("c → a → b → c");
  expect(reason).toContain('a causes the event "x"');
});

test.each<[string, Readonly<Record<string, Rule>>]>([
  ["its own firing", { a: { trigger: { expect: [triggered] } } }],
  [
    "its own firing, by its name",
    { a: { trigger: { expect: [triggered], match: { "prefect.resource.name": "a" } } } },
  ],
  [
    "its own action",
    { a: { trigger: { expect: ["*.action.executed"] }, actions: [{ type: "do-nothing" }] } },
  ],
  [
    "its own resolution",
    { a: { trigger: { posture: "Proactive", after: ["x"], expect: ["y", "*.resolved"], within: 60 } } },
  ],
  [
    "an event it emits when it is resolved",
    {
      a: {
        trigger: { posture: "Proactive", expect: ["beat"], within: 60 },
        actions_on_resolve: [emit("beat")],
      },
    },
  ],
  [
    "the lifecycle event of an automation that it pauses",
    {
      a: {
        trigger: { expect: ["prefect-cloud.automation.updated"] },
        actions: [{ type: "pause-automation", automation: "b" }],
      },
      b: { trigger: { expect: ["x"] }, actions: [{ type: "do-nothing" }] },
    },
  ],
  [
    "an event whose name begins as expected",
    { a: { trigger: { expect: ["x.*"] }, actions: [emit("x.{{ event.id }}")] } },
  ],
  [
    "an event about the same resource, by template",
    {
      a: {
        trigger: { expect: ["x"], match: { "prefect.resource.id": "p.*" } },
        actions: [emit("x", { "prefect.resource.id": echo })],
      },
    },
  ],
  [
    "an event of the same name",
    { a: { trigger: { expect: ["x", "y"] }, actions: [emit("{{ event.event }}")] } },
  ],
  [
    "an automation that is related to it",
    {
      a: {
        trigger: {
          expect: ["*.action.*"],
          match_related: { "prefect.resource.role": "automation", "prefect-cloud.name": "a" },
        },
        actions: [{ type: "do-nothing" }],
      },
    },
  ],
])("reacting to %s is a loop", (_what, rules) => {
  expect(loopWarnings(rules)).toHaveLength(1);
});

test.each<[string, Readonly<Record<string, Rule>>]>([
  [
    "an event whose name a template decides",
    { a: { trigger: { expect: ["x"] }, actions: [emit("{{ event.payload.next }}")] } },
  ],
  [
    "an event about a resource that a template decides",
    {
      a: {
        trigger: { expect: ["x"], match: { "prefect.resource.id": "p.1" } },
        actions: [emit("x", { "prefect.resource.id": "p.{{ event.payload.next }}" })],
      },
    },
  ],
  [
    "the failure of doing nothing",
    { a: { trigger: { expect: ["*.action.failed"] }, actions: [{ type: "do-nothing" }] } },
  ],
  [
    "another automation's firing",
    {
      a: { trigger: { expect: [triggered], match: { "prefect.resource.name": "b" } } },
      b: { trigger: { expect: ["x"] } },
    },
  ],
  [
    "a firing of all but itself",
    { a: { trigger: { expect: [triggered], match: { "prefect.resource.name": "!a" } } } },
  ],
  [
    "an event about another resource",
    {
      a: {
        trigger: { expect: ["x"], match: { "prefect.resource.id": "p.1" } },
        actions: [emit("x", { "prefect.resource.id": "p.2" })],
      },
    },
  ],
  [
    "an opener, where another event decides",
    {
      a: { trigger: { after: ["x"], expect: ["y"], within: 60 }, actions: [emit("z")] },
      b: { trigger: { expect: ["z"] }, actions: [emit("x")] },
    },
  ],
])("reacting to %s is not a loop, or not certainly one", (_what, rules) => {
  expect(loopWarnings(rules)).toEqual([]);
});

// The event has the text itself as its name, so it is known what reacts to it.
test("an escaped reference is read as its text", () => {
  const rules = { name: "a", trigger: { expect: ["x$${env.HOME}"] }, actions: [emit("x$${env.HOME}")] };
  expect(warningsIn(JSON.stringify(rules)).map(({ code }) => code)).toEqual(["TL301"]);
});
