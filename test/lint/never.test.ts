import { expect, test } from "vitest";
import { AutomationSchema } from "../../src/core/model/automation.ts";
import { second } from "../../src/core/model/time.ts";
import { neverFires } from "../../src/lint/never.ts";
import { partOf } from "../../src/lint/triggers.ts";
import { anyCase, anyTrigger, busy } from "../support/anything.ts";
import { coreFirings, formatCase, formatFirings } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { numRuns, seed } from "../support/search.ts";
import { warningsFor } from "./support.ts";

type WrittenTrigger = Record<string, unknown>;

/** The same trigger with some parts changed so that they may never fire. */
function spoiled(trigger: WrittenTrigger, choices: readonly number[]): WrittenTrigger {
  const [choice = 0, ...rest] = choices;
  if (Array.isArray(trigger["triggers"])) {
    const triggers = trigger["triggers"] as WrittenTrigger[];
    if (choice < 4) return { ...trigger, triggers: triggers.map((child) => spoiled(child, rest)) };
    const pinned = triggers.map((child, index) =>
      Array.isArray(child["triggers"])
        ? child
        : {
            ...child,
            match: { "prefect.resource.id": index % 2 === 0 ? "device.1" : ["device.2", "device.[!1]"] },
          },
    );
    return { ...trigger, for_each: ["prefect.resource.id"], triggers: pinned };
  }
  if (choice === 1) return { ...trigger, expect: ["!*"] };
  if (choice === 2) return { ...trigger, match: { house: [] } };
  if (choice === 3 && trigger["posture"] === "Reactive" && !trigger["schedule"])
    return { ...trigger, within: 0, expect: ["pump.on", "vent.open"], after: ["*.o[np]*"] };
  if (choice === 4 && !trigger["schedule"]) return { ...trigger, after: ["!*"] };
  return trigger;
}

const anySpoiled = fc
  .tuple(anyTrigger, fc.array(fc.nat(6), { minLength: 4, maxLength: 4 }))
  .map(([trigger, choices]) => spoiled(trigger, choices));

function isFlagged(trigger: WrittenTrigger): boolean {
  return neverFires(partOf(AutomationSchema.parse({ name: "one", trigger }).trigger, 5 * second));
}

// What a warning says about a rule must be true: someone may delete the rule because of it.
test(`a rule that is said to never fire never fires (seed ${seed})`, () => {
  const silent = fc.property(anyCase(busy, anySpoiled.filter(isFlagged)), (scenario) => {
    const firings = coreFirings(scenario);
    expect(firings, `${formatCase(scenario)}\n${formatFirings(firings)}`).toEqual([]);
  });
  fc.assert(silent, { numRuns, seed });
}, 120_000);

test("few random rules are said to never fire, but many spoiled ones are", () => {
  const shareOf = (triggers: fc.Arbitrary<WrittenTrigger>) =>
    fc.sample(triggers, { numRuns: 500, seed: 1 }).filter(isFlagged).length / 500;
  expect(shareOf(anyTrigger)).toBeLessThan(0.15);
  expect(shareOf(anySpoiled)).toBeGreaterThan(0.2);
});

const expectsPump = { expect: ["pump.*"], match: { "prefect.resource.id": "pump.*" } };

test.each([
  [
    "an empty list of a related resource",
    { expect: ["a"], match_related: [{ role: "x" }, { name: [] }] },
    ["TL101"],
  ],
  ["an empty resource id", { expect: ["a"], match: { "prefect.resource.id": "" } }, ["TL102"]],
  ["a class without members", { expect: ["pump.[9-1]"] }, ["TL102"]],
  ["openers that match no event", { expect: ["a"], after: ["!*"], within: 60 }, ["TL102"]],
  [
    "expected names within a wider pattern in after",
    { expect: ["a.b", "a.c*"], after: ["a.*"] },
    ["TL103", "TL204"],
  ],
  ["several names, each in after", { expect: ["a", "b"], after: ["a", "b"] }, ["TL103"]],
  [
    "steps for different values, in patterns",
    {
      type: "sequence",
      within: 60,
      for_each: ["house"],
      triggers: [
        { expect: ["a"], match: { house: "n*" } },
        { expect: ["b"], match: { house: ["south", "!n*"] } },
      ],
    },
    ["TL203", "TL104"],
  ],
  [
    "a child of a composite",
    { type: "compound", within: 60, triggers: [{ expect: ["a"] }, { expect: ["!*"] }] },
    ["TL102"],
  ],
])("a warning says that a rule never fires: %s", (_what, trigger, codes) => {
  expect(warningsFor(trigger).toSorted()).toEqual(codes.toSorted());
});

test.each([
  ["with a window, a name in both after and expect counts", { expect: ["a"], after: ["a"], within: 60 }],
  ["an expected name that after leaves out counts", { expect: ["a", "b"], after: ["a"] }],
  [
    "any of the children may fire, each with its own keys",
    {
      type: "compound",
      require: "any",
      within: 60,
      for_each: ["house"],
      triggers: [
        { expect: ["a"], match: { house: "north" } },
        { expect: ["b"], match: { house: "south" } },
      ],
    },
  ],
  [
    "children that share a value share a key",
    {
      type: "compound",
      within: 60,
      for_each: ["house"],
      triggers: [
        { expect: ["a"], match: { house: ["north", "east"] } },
        { expect: ["b"], match: { house: ["south", "e*"] } },
      ],
    },
  ],
  [
    "a child that takes either of two values shares one of them",
    {
      type: "compound",
      within: 60,
      for_each: ["house"],
      triggers: [
        {
          type: "compound",
          require: "any",
          within: 60,
          triggers: [
            { expect: ["a"], match: { house: "north" } },
            { expect: ["b"], match: { house: "south" } },
          ],
        },
        { expect: ["c"], match: { house: "south" } },
      ],
    },
  ],
  [
    "a key from related resources is not the label of the same name",
    {
      type: "compound",
      within: 60,
      for_each: ["related:house:name"],
      triggers: [
        { expect: ["a"], match: { "related:house:name": "north" } },
        { expect: ["b"], match: { "related:house:name": "south" } },
      ],
    },
  ],
  ["a negated name leaves other names", { ...expectsPump, expect: ["!pump.on"] }],
  ["an empty label may be matched", { expect: ["a"], match: { house: "" } }],
])("no warning says that a rule never fires: %s", (_what, trigger) => {
  expect(warningsFor(trigger)).toEqual([]);
});
