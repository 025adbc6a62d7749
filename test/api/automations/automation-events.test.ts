/** Every change of an automation is reported by an event, written in one step with the change, no matter who makes it. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventEntry, LogEntry } from "../../../src/core/machine/log-entry.ts";
import { applyRules } from "../../../src/reconcile/carry-out.ts";
import { connect } from "../../../src/store/connection.ts";
import { Log } from "../../../src/store/log.ts";
import { startOfLog } from "../../../src/store/position.ts";
import { invocationOf, startActions } from "../../delivery/support.ts";
import { loadText } from "../../rules/support.ts";
import { greenhouseAutomation } from "../../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

const prefix = "prefect-cloud.automation";

const read = (log: Log): Promise<readonly LogEntry[]> => log.read(startOfLog, { count: 1_000 });
const kinds = (entries: readonly LogEntry[]) =>
  entries.map((entry) => (entry.kind === "event" ? entry.event.name : entry.kind));
const isReport = (entry: LogEntry): entry is EventEntry =>
  entry.kind === "event" && entry.event.name.startsWith(`${prefix}.`);

test("rule files report what they create, change and delete, and nothing else", async () => {
  const connection = connect(redis.url);
  const log = new Log(connection, "rule-files");
  const apply = (text: string) => applyRules(log, loadText(text), { from: "watched files", prune: true });
  await apply("automations: [{name: a, trigger: {}}, {name: b, trigger: {}}]");
  await apply("automations: [{name: a, trigger: {}}, {name: b, trigger: {}}]");
  await apply("automations: [{name: b, trigger: {}, description: changed}]");
  const entries = await read(log);
  expect(kinds(entries)).toEqual([
    "automation-put",
    `${prefix}.created`,
    "automation-put",
    `${prefix}.created`,
    "automation-put",
    `${prefix}.updated`,
    "automation-delete",
    `${prefix}.deleted`,
  ]);
  const reported = entries.filter(isReport).map(({ event }) => [event.wire.payload["name"], event.lineage]);
  expect(reported).toEqual(["a", "b", "b", "a"].map((name) => [name, []]));
  const deleted = entries.filter(isReport).at(-1)?.event.wire;
  expect(deleted).toMatchObject({
    resource: { "prefect.resource.name": "a" },
    payload: { source: { kind: "file" }, trigger: { type: "event" } },
  });
  connection.disconnect();
});

// Without its lineage, an automation that pauses and resumes another on each such event would loop forever.
test("an action reports its change once, as caused by the firing, and nothing if it changes nothing", async () => {
  const actions = startActions(redis.url);
  const vents = greenhouseAutomation("vents");
  await actions.log.putAutomations([vents]);
  const pause = invocationOf({ type: "pause-automation", automation_id: vents.id });
  const again = invocationOf({ type: "pause-automation", automation: "vents" });
  actions.work();
  for (const invocation of [pause, again]) {
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).event).toBe(`${prefix}.action.executed`);
  }
  const entries = await read(actions.log);
  const [updated, ...others] = entries.filter(
    ({ kind }, index) => kind === "event" && kinds(entries)[index] === `${prefix}.updated`,
  );
  expect(others).toEqual([]);
  expect(updated).toMatchObject({
    event: {
      lineage: pause.lineage,
      wire: { follows: pause.firingEventId, payload: { name: "vents", enabled: false } },
    },
  });
});

test("a change that does not happen is not reported, and a retried one is reported once", async () => {
  const connection = connect(redis.url);
  const log = new Log(connection, "no-change");
  const vents = greenhouseAutomation("vents");
  const event = {
    id: vents.id,
    occurred: "2026-03-01T12:00:00Z",
    event: "reported",
    resource: { "prefect.resource.id": "a" },
    related: [],
    payload: {},
    follows: null,
  };
  const report = () => ({ event, lineage: ["a"] });
  expect(await log.deleteAutomations([vents.id], new Map([[vents.id, report()]]))).toBe(0);
  expect(await log.updateAutomation(vents.id, (current) => ({ ...current }), report)).toBeNull();
  await log.putAutomations([vents]);
  expect(await log.updateAutomation(vents.id, (current) => current, report)).toEqual(vents);
  expect(kinds(await read(log))).toEqual(["automation-put"]);
  // A change that had to be retried is reported once, with its final result, right after the change itself.
  const changes = Array.from({ length: 10 }, (_, index) =>
    log.updateAutomation(
      vents.id,
      (current) => ({ ...current, tags: [...current.tags, `${index}`] }),
      ({ tags }) => ({ event: { ...event, payload: { tags } } }),
    ),
  );
  await Promise.all(changes);
  const entries = (await read(log)).slice(1);
  expect(entries).toHaveLength(20);
  for (let index = 0; index < 20; index += 2) {
    const [put, next] = [entries[index], entries[index + 1]];
    const { tags } = put?.kind === "automation-put" ? put.automation : vents;
    expect(tags).toHaveLength(index / 2 + 1);
    expect(next).toMatchObject({ event: { wire: { payload: { tags } } } });
  }
  connection.disconnect();
});
