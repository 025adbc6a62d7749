import { afterAll, beforeAll, expect, test } from "vitest";
import type { Automation } from "../../src/core/model/automation.ts";
import { applyRules } from "../../src/reconcile/apply.ts";
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

function newLog(): { log: Log; apply: (text: string, now?: number) => ReturnType<typeof applyRules> } {
  const workspace = `rules-${workspaceCount++}`;
  const log = new Log(redis, workspace);
  return {
    log,
    apply(text, now = 1) {
      const { automations, diagnostics } = loadText(text, { workspace, now, env: { TOKEN: `${now}` } });
      expect(diagnostics).toEqual([]);
      return applyRules(log, automations);
    },
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

test("what is new is created, what differs is changed, what is gone is deleted, and the time of creation stays", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps, vents), 1);
  const changedVents = vents.replace("trigger", "description: Vents, trigger");
  const applied = await apply(list(changedVents, "{name: sensors, trigger: {}}"), 2);
  expect(applied).toEqual({ created: ["sensors"], changed: ["vents"], deleted: ["pumps"], unchanged: [] });
  const stored = await byName(log);
  expect(Object.keys(stored).sort()).toEqual(["sensors", "vents"]);
  expect(stored["vents"]).toMatchObject({ description: "Vents", created: 1, updated: 2 });
});

test("another value in the environment is a change", async () => {
  const { apply } = newLog();
  const rule = list("{name: a, trigger: {}, actions: [{type: call-webhook, url: 'http://x/${env.TOKEN}'}]}");
  await apply(rule, 1);
  expect(await apply(rule, 1)).toMatchObject({ changed: [] });
  expect(await apply(rule, 2)).toMatchObject({ changed: ["a"] });
});

test("automations that were created over the API are left alone", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps));
  const [fromFile] = await log.automations();
  const id = "00000000-0000-4000-8000-000000000001";
  await log.putAutomations([{ ...(fromFile as Automation), id, source: { kind: "api" } }]);
  await apply(list(vents));
  expect((await log.automations()).map((automation) => automation.id)).toContain(id);
});

// Otherwise any edit in the directory, or a restart, would resume what somebody paused for a reason.
test("pausing over the API lasts until the file itself says something else about enabled", async () => {
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

test("a pause that comes while rules are being applied is not lost", async () => {
  const { log, apply } = newLog();
  await apply(list(pumps));
  const { id } = (await byName(log))["pumps"]!;
  const { automations } = loadText(list(pumps.replace("trigger", "description: Pumps, trigger")), {
    workspace: `rules-${workspaceCount - 1}`,
  });
  await applyRules(
    {
      automations: () => log.automations(),
      putAutomations: (changed) => log.putAutomations(changed),
      deleteAutomations: (ids) => log.deleteAutomations(ids),
      async updateAutomation(updated, change) {
        await log.updateAutomation(id, (current) => ({ ...current, enabled: false }));
        return log.updateAutomation(updated, change);
      },
    },
    automations,
  );
  expect((await byName(log))["pumps"]).toMatchObject({ description: "Pumps", enabled: false });
});
