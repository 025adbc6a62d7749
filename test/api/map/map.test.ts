/** The map of a workspace, with a real Redis and a real history: what sets off what, how often, and what never fires. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AutomationMap, NotFound, Tripline } from "../../../src/client/index.ts";
import type { Automation } from "../../../src/core/model/automation.ts";
import { HookSchema } from "../../../src/core/model/hook.ts";
import { greenhouseAutomation } from "../../support/greenhouse.ts";
import { startApi, type TestApi } from "../support.ts";

const triggered = "prefect-cloud.automation.triggered";
const resourceOf = ({ id }: Automation) => `prefect-cloud.automation.${id}`;
const emit = (event: string) => ({
  type: "emit-event",
  event,
  resource: { "prefect.resource.id": "greenhouse" },
});

const incidents = greenhouseAutomation("incidents", {
  trigger: { expect: ["incident.*"] },
  actions: [{ type: "send-notification", destination: "gardeners", subject: "An incident", body: "It is." }],
});
const pumps = greenhouseAutomation("pumps", {
  trigger: { expect: ["pump.stopped", "pump.failed"], after: ["pump.started"] },
  actions: [
    { type: "call-webhook", url: "https://gardener:p4ssw0rd@greenhouse.example/alarms" },
    { type: "call-webhook", url: "https://hooks.example/s3cr3t/pumps" },
    emit("incident.opened"),
  ],
  actions_on_trigger: [{ type: "call-webhook", url: "https://hooks.example/s3cr3t/pumps" }],
});
const followers = greenhouseAutomation("followers", {
  trigger: { expect: [triggered], match: { "prefect.resource.id": resourceOf(incidents) } },
});
const both = greenhouseAutomation("vents and heat", {
  trigger: {
    type: "compound",
    within: 60,
    triggers: [{ expect: ["vent.opened"] }, { expect: ["vent.opened", "heat.*"] }],
  },
});
const quiet = greenhouseAutomation("quiet sensors", {
  trigger: {
    posture: "Proactive",
    expect: ["sensor.read"],
    after: ["sensor.mounted"],
    for_each: ["prefect.resource.id"],
    within: 60,
  },
});
const silent = greenhouseAutomation("silence", {
  trigger: { posture: "Proactive", expect: ["bird.sang"], within: 60 },
});
const paused = greenhouseAutomation("paused", {
  enabled: false,
  trigger: { expect: ["roof.leaked", "tripline.gap"] },
});
const impossible = greenhouseAutomation("impossible", {
  trigger: { expect: ["pump.stopped"], match: { "prefect.resource.id": [] } },
});
const ping = greenhouseAutomation("ping", {
  trigger: { expect: ["ball.played"] },
  actions: [emit("ball.returned")],
});
const pong = greenhouseAutomation("pong", {
  trigger: { expect: ["ball.returned"] },
  actions: [emit("ball.played")],
});
const any = greenhouseAutomation("anything of roofs", {
  trigger: { match: { "prefect.resource.id": "roof.*" } },
});

const all = [incidents, pumps, followers, both, quiet, silent, paused, impossible, ping, pong, any];

const template = (event: string) => ({ event, resource: { "prefect.resource.id": "greenhouse" } });
const source = { kind: "file", file: "hooks.yaml" } as const;
const hooks = [
  { name: "mail", template: [template("mail.received"), template("mail.{{ body.kind }}.read")] },
  { name: "free", template: "{{ body | tojson }}" },
].map((hook) => ({ ...HookSchema.parse(hook), source }));

describe("the map", () => {
  let api: TestApi;
  let tripline: Tripline;
  let map: AutomationMap;

  beforeAll(async () => {
    api = await startApi({ history: true });
    tripline = new Tripline({ url: `${api.url}/api`, patienceMs: 0 });
    // Where a secret was filled into a rule, a reader must not see it.
    const secretive = { ...pumps, secrets: { TOKEN: "s3cr3t" } };
    await api.log.putAutomations(all.map((each) => (each === pumps ? secretive : each)));
    await api.log.hooks.replaceAll(hooks);
    const before = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
    const of = (event: string, id: string, hours = 1) => ({
      event,
      occurred: before(hours),
      resource: { "prefect.resource.id": id },
    });
    const executed = "prefect-cloud.automation.action.executed";
    await tripline.events.emit([
      of("pump.stopped", "pump.1"),
      of("pump.stopped", "pump.2", 2),
      of("pump.stopped", "pump.2", 30),
      of("pump.started", "pump.2"),
      of("incident.opened", "greenhouse"),
      of("incident.closed", "greenhouse"),
      of("vent.opened", "vent.1"),
      of("ball.played", "greenhouse"),
      of("ball.returned", "greenhouse"),
      of(triggered, resourceOf(pumps), 2),
      of(triggered, resourceOf(pumps), 3),
      of(triggered, resourceOf(incidents), 48),
      of(executed, `${resourceOf(pumps)}.action.2`),
      of(executed, `${resourceOf(pumps)}.action.0`),
    ]);
    map = await tripline.map();
  });
  afterAll(() => api.stop());

  const mapped = ({ id }: Automation) => map.automations.find((each) => each.id === id);
  const event = (pattern: string) => map.events.find((each) => each.pattern === pattern);

  test("shows every automation with what it waits for, and where it goes, by name", () => {
    expect(map.automations.map(({ name }) => name)).toEqual(all.map(({ name }) => name).toSorted());
    expect(mapped(pumps)).toMatchObject({
      enabled: true,
      posture: "Reactive",
      expects: ["pump.stopped", "pump.failed"],
      after: ["pump.started"],
      never_fires: null,
    });
    expect(mapped(pumps)?.destinations).toHaveLength(2);
    expect(mapped(incidents)?.destinations).toEqual(["gardeners"]);
    expect(mapped(both)).toMatchObject({ posture: null, expects: ["vent.opened", "heat.*"] });
    expect(mapped(silent)?.posture).toBe("Proactive");
    expect(mapped(paused)?.enabled).toBe(false);
    expect(mapped(any)?.expects).toEqual(["*"]);
    expect(map.truncated).toBe(false);
  });

  test("shows no secret", () => {
    expect(mapped(pumps)?.destinations[0]).toBe("https://…@greenhouse.example/alarms");
    for (const secret of ["p4ssw0rd", "s3cr3t"]) expect(JSON.stringify(map)).not.toContain(secret);
  });

  test("counts the firings of the last day, and knows the latest of thirty days", () => {
    expect(mapped(pumps)?.firings_last_day).toBe(2);
    const hoursAgo = (time: string | null | undefined) => (Date.now() - Date.parse(time ?? "")) / 3_600_000;
    expect(hoursAgo(mapped(pumps)?.last_fired)).toBeCloseTo(2, 1);
    expect(mapped(incidents)?.firings_last_day).toBe(0);
    expect(hoursAgo(mapped(incidents)?.last_fired)).toBeCloseTo(48, 1);
    expect(mapped(followers)).toMatchObject({ firings_last_day: 0, last_fired: null });
  });

  test("has each pattern once, with the events of the last day that it matches", () => {
    expect(event("pump.stopped")).toEqual({
      pattern: "pump.stopped",
      kind: "external",
      seen_last_day: 2,
      automations: expect.arrayContaining([pumps.id, impossible.id]),
    });
    expect(event("incident.*")).toMatchObject({
      kind: "internal",
      seen_last_day: 2,
      automations: [incidents.id],
    });
    expect(event("vent.opened")).toMatchObject({ seen_last_day: 1, automations: [both.id] });
    expect(event("heat.*")).toMatchObject({ kind: "external", seen_last_day: 0 });
    expect(event(triggered)).toMatchObject({
      kind: "internal",
      seen_last_day: 2,
      automations: [followers.id],
    });
    expect(event("tripline.gap")).toMatchObject({ kind: "internal", seen_last_day: 0 });
    expect(event("*")).toMatchObject({ kind: "external", seen_last_day: 12, automations: [any.id] });
  });

  test("links an automation with those that react to it, with how often they could", () => {
    const links = map.links.map((link) => ({ ...link, count: link.count_last_day }));
    const link = (from: Automation, to: Automation) =>
      links.find((each) => each.from === from.id && each.to === to.id);
    // As often as the action was executed: others may post such events as well.
    expect(link(pumps, incidents)).toMatchObject({ event: "incident.opened", count_last_day: 1 });
    expect(link(incidents, followers)).toMatchObject({ event: triggered, count_last_day: 0 });
    expect(link(pumps, followers)).toBeUndefined();
    expect(links).toHaveLength(4);
    expect(map.loops.map((loop) => loop.toSorted())).toEqual([[ping.id, pong.id].toSorted()]);
  });

  test("names what cannot fire, and what waits for events that never came", () => {
    const dead = new Map(map.dead.map(({ id, ...rest }) => [id, rest]));
    expect(dead.get(impossible.id)).toEqual({
      why: "cannot_fire",
      reason: expect.stringContaining("the trigger can never fire"),
    });
    expect(mapped(impossible)?.never_fires).toBe(dead.get(impossible.id)?.reason);
    expect(dead.get(quiet.id)).toEqual({
      why: "never_seen",
      reason: 'the history holds no event whose name matches "sensor.mounted"',
    });
    // Neither one that fires because nothing comes, nor one that is paused, nor one whose other pattern came.
    for (const each of [silent, paused, pumps, incidents, any, both]) expect(dead.has(each.id)).toBe(false);
    expect(dead.size).toBe(2);
  });

  test("shows what hooks make of requests, as far as that is known", () => {
    expect(map.hooks).toEqual([
      { name: "free", events: null },
      { name: "mail", events: ["mail.received", "mail.*.read"] },
    ]);
  });

  test("of one automation holds what is at most two steps away from it", async () => {
    const near = await tripline.map({ automation: pumps.id });
    expect(near.automations.map(({ name }) => name)).toEqual(["followers", "incidents", "pumps"]);
    expect(near.links).toHaveLength(2);
    expect(near.events.map(({ pattern }) => pattern)).not.toContain("heat.*");
    expect(near.loops).toEqual([]);
    const ofPing = await tripline.map({ automation: ping.id.toUpperCase() });
    expect(ofPing.automations.map(({ name }) => name)).toEqual(["ping", "pong"]);
    expect(ofPing.loops).toHaveLength(1);
    await expect(tripline.map({ automation: randomUUID() })).rejects.toThrow(NotFound);
    expect((await fetch(`${api.url}/api/map?automation=pumps`)).status).toBe(422);
  });

  test("shows a change at once, and new events within seconds", async () => {
    const { id } = await tripline.automations.create({
      name: "heat watchers",
      trigger: { expect: ["incident.opened"], within: 0 },
      actions: [],
    });
    const after = await tripline.map({ automation: pumps.id });
    expect(after.links).toContainEqual(expect.objectContaining({ from: pumps.id, to: id }));
    await tripline.automations.pause(id);
    const later = await tripline.map({ automation: id });
    expect(later.automations.find((each) => each.id === id)?.enabled).toBe(false);
    await tripline.events.emit({ event: "heat.rose", resource: { "prefect.resource.id": "greenhouse" } });
    const heat = async () =>
      (await tripline.map()).events.find(({ pattern }) => pattern === "heat.*")?.seen_last_day;
    await expect.poll(heat, { timeout: 15_000, interval: 250 }).toBe(1);
    await tripline.automations.delete(id);
    expect((await tripline.map()).automations).toHaveLength(all.length);
  });
});

test("without a history, the map counts nothing and calls nothing dead for lack of events", async () => {
  const api = await startApi();
  await api.log.putAutomations([pumps, quiet, incidents, impossible]);
  const map = await new Tripline({ url: `${api.url}/api` }).map();
  expect(map.automations.map((each) => [each.firings_last_day, each.last_fired])).toEqual(
    Array.from({ length: 4 }, () => [null, null]),
  );
  expect(map.events.every((each) => each.seen_last_day === null)).toBe(true);
  expect(map.links).toEqual([
    expect.objectContaining({ from: pumps.id, to: incidents.id, count_last_day: null }),
  ]);
  expect(map.dead.map(({ id }) => id)).toEqual([impossible.id]);
  await api.stop();
});

test("the map of an empty workspace is empty", async () => {
  const api = await startApi({ history: true });
  const nothing = {
    automations: [],
    events: [],
    links: [],
    loops: [],
    hooks: [],
    dead: [],
    truncated: false,
  };
  expect(await new Tripline({ url: `${api.url}/api` }).map()).toEqual(nothing);
  await api.stop();
});
