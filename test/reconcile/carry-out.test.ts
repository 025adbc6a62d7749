import { afterAll, beforeAll, expect, test } from "vitest";
import type { Automation } from "../../src/core/model/automation.ts";
import { applyRules, carryOut, readStored } from "../../src/reconcile/carry-out.ts";
import { namesOf, type Plan, planChanges } from "../../src/reconcile/plan.ts";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { loadText } from "../rules/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: ReturnType<typeof connect>;
let workspaceCount = 0;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});

afterAll(async () => {
  await redis.quit();
  await server.stop();
});

const watched = { from: "watched files", prune: true } as const;

function newLog() {
  const workspace = `rules-${workspaceCount++}`;
  const log = new Log(redis, workspace);
  const load = (text: string, now = 1) => {
    const rules = loadText(text, { workspace, now, env: { TOKEN: `${now}` } });
    expect(rules.diagnostics).toEqual([]);
    return rules;
  };
  const apply = async (text: string, now = 1) => applied(await applyRules(log, load(text, now), watched));
  return { log, load, apply };
}

function applied(plan: Plan) {
  return {
    created: namesOf(plan, "create"),
    changed: namesOf(plan, "change"),
    deleted: namesOf(plan, "delete"),
    unchanged: namesOf(plan, "unchanged"),
  };
}

const list = (...rules: string[]): string => `automations:\n${rules.map((rule) => `  - ${rule}\n`).join("")}`;
const pumps = "{name: pumps, trigger: {expect: [pump.stopped]}}";
const vents = "{name: vents, trigger: {expect: [vent.stuck]}}";

async function byName(log: Log): Promise<Record<string, Automation>> {
  return Object.fromEntries((await log.automations()).map((automation) => [automation.name, automation]));
}

test("applying the same rules again, at another time, appends nothing to the log", async () => {
  const { log, apply } = newLog();
  expect(await apply(list(pumps, vents))).toMatchObject({ created: ["pumps", "vents"] });
  const position = await log.lastPosition();
  expect(await apply(list(pumps, vents), 2)).toEqual({
    created: [],
    changed: [],
    deleted: [],
    unchanged: ["pumps", "vents"],
  });
  expect(await log.lastPosition()).toBe(position);
});

test("new rules are created, different ones changed, missing ones deleted, and the time of creation stays", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps, vents), 1);
  const changedVents = vents.replace("trigger", "description: Vents, trigger");
  const applied = await apply(list(changedVents, "{name: sensors, trigger: {}}"), 2);
  expect(applied).toEqual({ created: ["sensors"], changed: ["vents"], deleted: ["pumps"], unchanged: [] });
  const stored = await byName(log);
  expect(Object.keys(stored).sort()).toEqual(["sensors", "vents"]);
  expect(stored["vents"]).toMatchObject({ description: "Vents", created: 1, updated: 2 });
});

test("a different value in the environment is a change", async () => {
  const { apply } = newLog();
  const rule = list("{name: a, trigger: {}, actions: [{type: call-webhook, url: 'http://x/${env.TOKEN}'}]}");
  await apply(rule, 1);
  expect(await apply(rule, 1)).toMatchObject({ changed: [] });
  expect(await apply(rule, 2)).toMatchObject({ changed: ["a"] });
});

test("automations created through the API are left alone", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps));
  const [fromFile] = await log.automations();
  const id = "00000000-0000-4000-8000-000000000001";
  await log.putAutomations([{ ...(fromFile as Automation), id, source: { kind: "api" } }]);
  await apply(list(vents));
  expect((await log.automations()).map((automation) => automation.id)).toContain(id);
});

// Otherwise any edit in the directory, or a restart, would resume what someone paused for a reason.
test("a pause through the API lasts until the file changes `enabled`", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps));
  const { id } = (await byName(log))["pumps"]!;
  await log.updateAutomation(id, (current) => ({ ...current, enabled: false }));

  expect(await apply(list(pumps))).toMatchObject({ unchanged: ["pumps"] });
  await apply(list(pumps.replace("trigger", "description: Pumps, trigger")));
  expect((await byName(log))["pumps"]).toMatchObject({ description: "Pumps", enabled: false });

  await apply(list(pumps.replace("trigger", "enabled: false, trigger")));
  expect((await byName(log))["pumps"]).toMatchObject({ enabled: false });
  await apply(list(pumps));
  expect((await byName(log))["pumps"]).toMatchObject({ enabled: true });
});

test("a pause between planning and carrying out is not lost", async () => {
  const { log, load, apply } = newLog();
  await apply(list(pumps));
  const { id } = (await byName(log))["pumps"]!;
  const rules = load(list(pumps.replace("trigger", "description: Pumps, trigger")));
  const plan = await planChanges(await readStored(log), rules, watched);
  await log.updateAutomation(id, (current) => ({ ...current, enabled: false }));
  await carryOut(plan, log);
  expect((await byName(log))["pumps"]).toMatchObject({ description: "Pumps", enabled: false });
});

// Another server that watches the same files may have been first.
test("a change that has been made since planning is not made again", async () => {
  const { log, load, apply } = newLog();
  await apply(list(pumps));
  const text = list(pumps.replace("trigger", "description: Pumps, trigger"));
  const plan = await planChanges(await readStored(log), load(text, 2), watched);
  await apply(text, 2);
  const position = await log.lastPosition();
  await carryOut(plan, log);
  expect(await log.lastPosition()).toBe(position);
});

test("a rule that was deleted since planning starts over and is not paused", async () => {
  const { log, load, apply } = newLog();
  await apply(list(pumps), 1);
  const { id } = (await byName(log))["pumps"]!;
  await log.updateAutomation(id, (current) => ({ ...current, enabled: false }));
  const rules = load(list(pumps.replace("trigger", "description: Pumps, trigger")), 2);
  const plan = await planChanges(await readStored(log), rules, watched);
  await log.deleteAutomations([id]);
  await carryOut(plan, log);
  expect((await byName(log))["pumps"]).toMatchObject({ enabled: true, created: 2 });
});

test("`apply` does not change what a watched file has defined since planning", async () => {
  const { log, load, apply } = newLog();
  const applying = { from: "apply", prune: false } as const;
  const sent = (text: string) => {
    const { automations, destinations } = load(text);
    const source = { kind: "api", applied: { file: "rules/pumps.yaml", enabled: true } } as const;
    return { automations: automations.map((rule) => ({ ...rule, source })), destinations };
  };
  await applyRules(log, sent(list(pumps)), applying);
  const changed = sent(list(pumps.replace("trigger", "description: Sent, trigger")));
  const plan = await planChanges(await readStored(log), changed, applying);
  await apply(list(pumps.replace("trigger", "description: Watched, trigger")));
  await carryOut(plan, log);
  expect((await byName(log))["pumps"]).toMatchObject({ description: "Watched", source: { kind: "file" } });
});

test("`apply` changes automations, but a plan that is refused changes nothing", async () => {
  const { log, load, apply } = newLog();
  const applying = { from: "apply", prune: true } as const;
  const sent = (text: string) => {
    const { automations, destinations } = load(text);
    const source = { kind: "api", applied: { file: "rules/pumps.yaml", enabled: true } } as const;
    return { automations: automations.map((rule) => ({ ...rule, source })), destinations };
  };
  await applyRules(log, sent(list(pumps)), applying);
  await applyRules(log, sent(list(pumps.replace("trigger", "description: Sent, trigger"))), applying);
  expect((await byName(log))["pumps"]).toMatchObject({ description: "Sent" });
  await apply(list(vents));
  const position = await log.lastPosition();
  const { refusals } = await applyRules(log, sent(list(vents)), applying);
  expect(refusals).toHaveLength(1);
  expect(await log.lastPosition()).toBe(position);
  expect(Object.keys(await byName(log)).sort()).toEqual(["pumps", "vents"]);
});

test("destinations are stored, changed and deleted with their files", async () => {
  const { log, apply } = newLog();
  const ops = "destinations: [{name: ops, type: slack, url: 'https://slack.example/a'}]";
  const stored = async () => (await log.destinations.list()).map(({ definition }) => definition);
  await apply(ops);
  expect(await stored()).toMatchObject([{ name: "ops", url: "https://slack.example/a" }]);
  await apply(ops.replace("/a", "/b"));
  expect(await stored()).toMatchObject([{ name: "ops", url: "https://slack.example/b" }]);
  await apply("automations: []");
  expect(await stored()).toEqual([]);
});

test("hooks are replaced by those of the files, and stay if none are given", async () => {
  const { log, load, apply } = newLog();
  const hook = "hooks: [{name: door, template: {event: door.opened, resource: {prefect.resource.id: door}}}]";
  await apply(hook);
  expect((await log.hooks.list()).map(({ name }) => name)).toEqual(["door"]);
  await applyRules(log, { automations: [], destinations: [] }, { from: "apply", prune: true });
  expect(await log.hooks.list()).toHaveLength(1);
  expect((await applyRules(log, load(hook), watched)).hooks).toBeNull();
  await apply("automations: []");
  expect(await log.hooks.list()).toEqual([]);
});
