import { describe, expect, test } from "vitest";
import { chooseInOrder, type Happening, latestStart } from "../../src/core/machine/sequence.ts";
import { EventSchema } from "../../src/core/model/event.ts";
import { rememberedFiringsMax } from "../../src/core/model/limits.ts";
import { formatTime, type Micros, second } from "../../src/core/model/time.ts";
import { type AnyCase, automationWith, start, uuidOf } from "../support/anything.ts";
import { CoreRun, coreFirings, formatFirings, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { expectSame } from "../support/minimal.ts";
import { naiveFirings, timeOf } from "../support/naive/naive.ts";
import { search, searchTimeoutMs, seed } from "../support/search.ts";

interface Draft {
  readonly event: string;
  readonly occurred: number;
  readonly delay: number;
}

// Few names and little time, so that events fit several steps, happen at the same time and miss `within` narrowly.
const anyDrafts = (occurred: fc.Arbitrary<number>, delay: fc.Arbitrary<number>) =>
  fc.array(fc.record({ event: fc.constantFrom("x", "y", "z"), occurred, delay }), {
    minLength: 2,
    maxLength: 14,
    size: "max",
  });

const anySequence = fc.record({
  type: fc.constant("sequence"),
  within: fc.constantFrom(null, 0, 5, 10, 20),
  triggers: fc.array(fc.record({ expect: fc.constantFrom(["x"], ["x"], ["y"], ["z"], ["x", "y"], ["*"]) }), {
    minLength: 1,
    maxLength: 5,
  }),
});

function caseOf(trigger: Record<string, unknown>, drafts: readonly Draft[], lateness: Micros): AnyCase {
  const lines = drafts.map(({ event, occurred, delay }, number) => ({
    ...EventSchema.parse({
      event,
      occurred: formatTime(start + occurred * second),
      resource: { "prefect.resource.id": "device.1" },
      id: uuidOf(number),
    }),
    received: formatTime(start + (occurred + delay) * second),
  }));
  const timeline = [{ tick: formatTime(start) }, ...lines.sort((a, b) => timeOf(a) - timeOf(b))];
  return { automations: [automationWith(trigger)], timeline, until: start + 200 * second, lateness };
}

// A sequence once missed 3 to 7 % of three steps in order and 27 % of five. The naive evaluator tries every choice.
describe(`a sequence fires at the first moment at which some choice is in order (seed ${seed})`, () => {
  test.each([
    { when: "events arrive in order", delay: fc.constant(0) },
    { when: "events are delayed within the lateness", delay: fc.nat(5) },
    { when: "events are delayed further", delay: fc.nat(25) },
  ])(
    "when $when",
    ({ delay }) =>
      search(fc.tuple(anySequence, anyDrafts(fc.nat(40), delay)), ([sequence, drafts]) =>
        expectSame(
          caseOf(sequence, drafts, 5 * second),
          (scenario) => formatFirings(coreFirings(scenario)),
          ({ automations, timeline, until, lateness }) =>
            formatFirings(naiveFirings(automations, timeline, { until, lateness })),
        ),
      ),
    searchTimeoutMs,
  );

  // What is forgotten to stay within the bounds must not be needed by anything that arrives in time.
  test(
    "when far more happens than is remembered",
    () =>
      search(
        fc.tuple(
          fc.array(fc.constantFrom("x", "y", "z"), { maxLength: 6 }),
          fc.constantFrom("x", "y", "z"),
          fc.array(fc.constantFrom("x", "x", "x", "y", "z"), { minLength: 20, maxLength: 60, size: "max" }),
          fc.constantFrom(["x", "y", "z"], ["x", "y", "z", "x"], ["y", "x", "z", "y"]),
          fc.constantFrom(40, 70, 100, null),
        ),
        ([before, repeated, after, steps, within]) => {
          const many = Array<string>(2 * rememberedFiringsMax).fill(repeated);
          const drafts = [...before, ...many, ...after].map((event, occurred) => ({
            ...{ event, occurred, delay: 0 },
          }));
          const sequence = { type: "sequence", within, triggers: steps.map((name) => ({ expect: [name] })) };
          expectSame(
            caseOf(sequence, drafts, 0),
            (scenario) => formatTimes(coreFirings(scenario)),
            (scenario) => formatTimes(latestInOrder(scenario)),
          );
        },
      ),
    searchTimeoutMs,
  );
});

interface Times {
  readonly triggered: Micros;
}

function formatTimes(firings: readonly Times[]): string {
  return firings.map(({ triggered }) => (triggered - start) / second).join(" ");
}

/** When a sequence of different events that arrive in order fires: it needs only the latest start for each step. */
function latestInOrder({ automations, timeline }: AnyCase): Times[] {
  const trigger = automations[0]?.trigger;
  if (trigger?.type !== "sequence") return [];
  const { within } = trigger;
  const names = trigger.triggers.map((step) => (step.type === "event" ? step.expect[0] : ""));
  let starts: (Micros | null)[] = names.map(() => null);
  const fired: Times[] = [];
  for (const line of timeline) {
    if (!("event" in line)) continue;
    const at = timeOf(line);
    // From the last step, so that one event does not advance two of them.
    for (let step = names.length - 1; step >= 0; step--) {
      if (names[step] === line.event) starts[step] = step === 0 ? at : (starts[step - 1] ?? null);
    }
    const begun = names.at(-1) === line.event ? starts.at(-1) : null;
    if (begun === null || begun === undefined) continue;
    if (within !== null && at - begun > within * second) continue;
    fired.push({ triggered: at });
    starts = names.map(() => null);
  }
  return fired;
}

test("a sequence remembers a bounded number of firings, however many happen", () => {
  const trigger = {
    type: "sequence",
    within: null,
    triggers: [{ expect: ["x"] }, { expect: ["x", "y"] }, { expect: ["z"] }],
  };
  const drafts = [...Array(500).keys()].map((number) => ({
    event: number % 2 === 0 ? "x" : "y",
    occurred: number,
    delay: 0,
  }));
  const run = new CoreRun(0);
  for (const step of stepsOf(caseOf(trigger, drafts, 0))) run.take(step);
  run.fired();
  const field = [...run.state.keys()].find((name) => name.startsWith("k:")) ?? "";
  // The first line is the state, and each of the others an event that it refers to.
  const storedEvents = run.state.get(field)?.split("\n").slice(1) ?? [];
  expect(storedEvents.length).toBeGreaterThan(rememberedFiringsMax);
  expect(storedEvents.length).toBeLessThanOrEqual(2 * rememberedFiringsMax);
});

// The choice is a matching for each instant, and a greedy walk back in time. Each is easy to get subtly wrong.
describe(`the choice of a sequence agrees with trying every choice (seed ${seed})`, () => {
  const anySteps = fc
    .array(
      fc.uniqueArray(fc.record({ happened: fc.nat(6), order: fc.nat(8) }), {
        selector: ({ order }) => order,
        maxLength: 5,
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((steps) => {
      // One event happened at one time, whatever the step.
      const times = new Map(steps.flat().map(({ order, happened }) => [order, happened]));
      return steps.map((firings) =>
        firings
          .map(({ order }) => ({ order, happened: times.get(order) ?? 0 }))
          .sort((a, b) => a.happened - b.happened || a.order - b.order),
      );
    });

  test(
    "about whether there is one, and which ends last",
    () =>
      search(fc.tuple(anySteps, fc.constantFrom(null, 0, 2, 4)), ([steps, within]) => {
        const all = everyChoice(steps).filter((choice) => within === null || span(choice) <= within);
        const ends = all.map((choice) => choice.at(-1)?.happened ?? 0);
        for (const around of [0, 3, 6]) {
          const possible = ends.filter((end) => end >= around && (within === null || end <= around + within));
          const chosen = chooseInOrder(steps, within, around);
          expect(chosen?.at(-1)?.happened).toBe(possible.length === 0 ? undefined : Math.max(...possible));
          if (chosen !== null) expect(all).toContainEqual(chosen);
        }
      }),
    searchTimeoutMs,
  );

  test(
    "about how late it can begin",
    () =>
      search(anySteps, (steps) => {
        const begins = everyChoice(steps).map(([first]) => first?.happened ?? 0);
        const begun = latestStart(steps)?.[0]?.happened;
        expect(begun).toBe(begins.length === 0 ? undefined : Math.max(...begins));
      }),
    searchTimeoutMs,
  );
});

function everyChoice([firings, ...rest]: readonly (readonly Happening[])[]): Happening[][] {
  if (firings === undefined) return [[]];
  return everyChoice(rest).flatMap((choice) =>
    firings
      .filter(({ order, happened }) => {
        const [next] = choice;
        return (next?.happened ?? happened) >= happened && choice.every((other) => other.order !== order);
      })
      .map((firing) => [firing, ...choice]),
  );
}

function span(choice: readonly Happening[]): Micros {
  return (choice.at(-1)?.happened ?? 0) - (choice[0]?.happened ?? 0);
}
