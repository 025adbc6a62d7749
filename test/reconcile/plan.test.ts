/** What a plan decides, for both sources of rules. carry-out.test.ts tests that plans are carried out. */

import { describe, expect, test } from "vitest";
import type { Automation, AutomationSource } from "../../src/core/model/automation.ts";
import {
  type DesiredRules,
  type PlanOptions,
  planChanges,
  type StoredRules,
} from "../../src/reconcile/plan.ts";
import { loadText } from "../rules/support.ts";

const pumps = "{name: pumps, trigger: {expect: [pump.stopped]}}";

const fromFile = (enabled = true): AutomationSource => ({ kind: "file", file: "rules/own.yaml", enabled });
const fromApply = (enabled = true): AutomationSource => ({
  kind: "api",
  applied: { file: "rules/sent.yaml", enabled },
});

function automation(text: string, source: AutomationSource, rest: Partial<Automation> = {}): Automation {
  const [loaded] = loadText(`automations: [${text}]`, { now: 5 }).automations;
  return { ...loaded!, source, ...rest };
}

const nothing: StoredRules = { automations: [], destinations: [], hooks: [] };
const holding = (...automations: Automation[]): StoredRules => ({ ...nothing, automations });
const wanting = (...automations: Automation[]): DesiredRules => ({ automations, destinations: [] });

const files = { from: "watched files", prune: true } as const;
const apply = { from: "apply", prune: false } as const;
const sides: { side: PlanOptions; source: (enabled?: boolean) => AutomationSource }[] = [
  { side: files, source: fromFile },
  { side: apply, source: fromApply },
];

describe.each(sides)("rules of $side.from", ({ side, source }) => {
  test("keep the owner and the time of creation of the stored automation; the time of change only increases", async () => {
    const stored = automation(pumps, source(), { owner: "deployment", created: 1, updated: 9 });
    const rule = automation(pumps.replace("trigger", "tags: [a], trigger"), source());
    const [change] = (await planChanges(holding(stored), wanting(rule), side)).automations;
    expect(change).toMatchObject({
      kind: "change",
      fields: ["tags"],
      windows: "kept",
      after: { owner: "deployment", created: 1, updated: 10, tags: ["a"] },
    });
  });

  test("that have not changed change nothing", async () => {
    const stored = automation(pumps, source(), { created: 1, updated: 2 });
    const plan = await planChanges(holding(stored), wanting(automation(pumps, source())), side);
    expect(plan.automations).toEqual([{ kind: "unchanged", after: stored }]);
    expect([plan.refusals, plan.warnings]).toEqual([[], []]);
  });

  test("are planned in the order of their names", async () => {
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) =>
      automation(`{name: ${name}, trigger: {}}`, source()),
    );
    const plan = await planChanges(holding(c!, a!), wanting(d!, c!, b!), { ...side, prune: true });
    const planned = plan.automations.map((change) =>
      change.kind === "delete" ? `delete ${change.before.name}` : `${change.kind} ${change.after.name}`,
    );
    expect(planned).toEqual(["delete a", "create b", "unchanged c", "create d"]);
  });

  test("do not conflict with other names", async () => {
    const byHand = automation("{name: by-hand, trigger: {}}", { kind: "api" });
    const { refusals, warnings } = await planChanges(
      holding(byHand),
      wanting(automation(pumps, source())),
      side,
    );
    expect([refusals, warnings]).toEqual([[], []]);
  });

  // No earlier rule is known, so the present one counts.
  test("decide whether an automation is enabled if no rule defined it before", async () => {
    const byHand = automation(pumps, { kind: "api" }, { enabled: false });
    const [change] = (await planChanges(holding(byHand), wanting(automation(pumps, source())), side))
      .automations;
    expect(change).toMatchObject({ kind: "change", after: { enabled: true } });
  });

  test.each([
    [pumps.replace("stopped", "stuck"), "reset"],
    [pumps.replace("trigger", "enabled: false, trigger"), "reset"],
    [pumps.replace("trigger", "description: Pumps, trigger"), "kept"],
  ])("that change to %s: windows are %s", async (text, windows) => {
    const rule = automation(text, source(!text.includes("enabled: false")));
    const plan = await planChanges(holding(automation(pumps, source())), wanting(rule), side);
    expect(plan.automations).toMatchObject([{ kind: "change", windows }]);
  });

  test("delete automations that were removed from them, but none of the other source or the API", async () => {
    const own = automation("{name: gone, trigger: {}}", source());
    const other = automation("{name: other, trigger: {}}", side === files ? fromApply() : fromFile());
    const byHand = automation("{name: by-hand, trigger: {}}", { kind: "api" });
    const stored = holding(own, other, byHand);
    expect((await planChanges(stored, wanting(), { ...side, prune: true })).automations).toEqual([
      { kind: "delete", before: own },
    ]);
    expect((await planChanges(stored, wanting(), { ...side, prune: false })).automations).toEqual([]);
  });
});

// Otherwise the pause would be lost: each side would consider only rules from its own kind of source.
test("a rule that moves from `apply` to a watched file stays paused", async () => {
  const paused = automation(pumps, fromApply(), { enabled: false });
  const [change] = (await planChanges(holding(paused), wanting(automation(pumps, fromFile())), files))
    .automations;
  expect(change).toMatchObject({ kind: "change", fields: ["source"], after: { enabled: false } });
});

describe("a name that is taken", () => {
  const byHand = automation(pumps, { kind: "api" }, { id: "00000000-0000-4000-8000-000000000001" });

  test("by the API makes `apply` fail, but watched files only warn, so that their alarms do not fall silent", async () => {
    const sentence = expect.stringContaining(`"pumps" is also the name of automation ${byHand.id}`);
    const refused = await planChanges(holding(byHand), wanting(automation(pumps, fromApply())), apply);
    expect([refused.refusals, refused.warnings]).toEqual([[sentence], []]);
    const warned = await planChanges(holding(byHand), wanting(automation(pumps, fromFile())), files);
    expect([warned.refusals, warned.warnings]).toEqual([[], [sentence]]);
  });

  test("by a watched file makes `apply` fail", async () => {
    const plan = await planChanges(
      holding(automation(pumps, fromFile())),
      wanting(automation(pumps, fromApply())),
      apply,
    );
    expect(plan.refusals).toEqual([expect.stringContaining("is already defined in rules/own.yaml")]);
  });
});

describe("destinations", () => {
  const text = "destinations: [{name: ops, type: slack, url: 'https://slack.example/a'}]";
  const [ops] = loadText(text, { now: 5 }).destinations;
  const ofFile = { ...ops!, created: 1, updated: 9 };
  const ofApi = { ...ofFile, source: { kind: "api" } as const };
  const changed = { ...ops!, definition: { ...ops!.definition, description: "Operations" } };
  const plan = (stored: typeof ofFile, wanted: (typeof ofFile)[], options: PlanOptions) =>
    planChanges({ ...nothing, destinations: [stored] }, { automations: [], destinations: wanted }, options);

  test("keep their time of creation, and the time of change only increases", async () => {
    expect((await plan(ofFile, [changed], files)).destinations).toMatchObject([
      { kind: "change", after: { created: 1, updated: 10 } },
    ]);
    expect((await plan(ofFile, [ops!], files)).destinations).toEqual([{ kind: "unchanged", after: ofFile }]);
  });

  test("that were removed from watched files are deleted; `apply` deletes none, and those of the API stay", async () => {
    expect((await plan(ofFile, [], files)).destinations).toEqual([{ kind: "delete", before: ofFile }]);
    expect((await plan(ofFile, [], { ...apply, prune: true })).destinations).toEqual([]);
    expect((await plan(ofApi, [], files)).destinations).toEqual([]);
  });

  test("of a watched file replace those of the API; `apply` never replaces those of a file", async () => {
    expect(await plan(ofApi, [ops!], files)).toMatchObject({
      refusals: [],
      destinations: [{ kind: "change" }],
    });
    const refused = await plan(ofFile, [{ ...ops!, source: { kind: "api" } }], apply);
    expect(refused.refusals).toEqual([expect.stringMatching(/^Destination "ops" is already defined in /)]);
  });

  test("that no one else defines do not conflict", async () => {
    const sent = { ...ops!, source: { kind: "api" } as const };
    expect((await plan(ofApi, [sent], apply)).refusals).toEqual([]);
    expect((await plan(ofFile, [], apply)).refusals).toEqual([]);
    expect(await plan(ofFile, [ops!], files)).toMatchObject({ refusals: [], warnings: [] });
  });
});

describe("hooks", () => {
  const hooksIn = (...names: string[]) =>
    loadText(
      `hooks: [${names.map((name) => `{name: ${name}, template: {event: ${name}.opened, resource: {prefect.resource.id: ${name}}}}`).join(", ")}]`,
      { now: 5 },
    ).hooks;
  const plan = (stored: DesiredRules["hooks"] & object, hooks: DesiredRules["hooks"] & object) =>
    planChanges({ ...nothing, hooks: stored }, { automations: [], destinations: [], hooks }, files).then(
      (planned) => planned.hooks,
    );

  test("are replaced as a whole when one of them differs, and only then", async () => {
    const [door, gate] = hooksIn("door", "gate");
    const changed = { ...gate!, description: "The gate" };
    expect(await plan([door!, gate!], [gate!, door!])).toBeNull();
    expect(await plan([door!, gate!], [door!, changed])).toEqual([door, changed]);
    expect(await plan([door!, gate!], [door!])).toEqual([door]);
    expect(await plan([door!], [gate!])).toEqual([gate]);
  });
});
