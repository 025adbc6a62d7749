import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ActionSchema } from "../../src/core/model/action.ts";
import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { DestinationSchema, destinationIdOf } from "../../src/core/model/destination.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { Lanes } from "../../src/delivery/lanes.ts";
import type { DeliveryQueue } from "../../src/delivery/queue.ts";
import { queueKeys } from "../../src/delivery/queue-keys.ts";
import type { WorkerSettings } from "../../src/delivery/worker-settings.ts";
import { keepTrying } from "../../src/retry/keep-trying.ts";
import { seed } from "../support/fast-check.ts";
import { Random } from "../support/random.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { asSent, automationOf, firedBy, pumpEvent, startActions, startReceiver } from "./support.ts";
import { startWorkerProcess } from "./worker-process.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** An automation that reports a silence and its end. @param urls of its actions, at the start and at the end */
function silenceWatch(urls: {
  readonly start: readonly string[];
  readonly end: readonly string[];
}): Automation {
  const retry = { give_up_on: [400] };
  const definition = AutomationSchema.parse({
    name: "pump went quiet",
    trigger: { posture: "Proactive", expect: ["pump.beat"], for_each: ["pump"], within: 60 },
    actions: urls.start.map((url) => ({ type: "call-webhook", url, retry })),
    actions_on_resolve: urls.end.map((url) => ({ type: "call-webhook", url, retry })),
  });
  return { ...automationOf({ type: "do-nothing" }), ...definition };
}

function alarm(automation: Automation, pump: string): Invocation[] {
  return firedBy(automation, { event: null, labels: { pump } });
}

function end(automation: Automation, pump: string): Invocation[] {
  return firedBy(automation, { state: "Resolved", labels: { pump } });
}

interface Told {
  readonly pump: string;
  readonly state: string;
}

/** What a request says: which pump, and whether it is silent. */
function toldBy(body: string): Told {
  const { firing } = JSON.parse(body) as {
    firing: { triggering_labels: { pump: string }; trigger_states: [string] };
  };
  return { pump: firing.triggering_labels.pump, state: firing.trigger_states[0] };
}

describe("deliveries about one thing to one target", () => {
  // Otherwise the incident would open after its end, and stay open forever.
  test("arrive in order, although the first one fails and the second one would not", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver(
      (response, { body }, index) =>
        void response.writeHead(toldBy(body).state === "Triggered" && index < 3 ? 500 : 200).end(),
    );
    const automation = silenceWatch({ start: [receiver.url], end: [receiver.url] });
    const [first] = alarm(automation, "a");
    const [second] = end(automation, "a");
    actions.work();
    await actions.queue.addInvocations([first!]);
    await receiver.arrived(1);
    await actions.queue.addInvocations([second!]);
    await actions.outcome(second!);
    expect(receiver.received.map(({ body }) => toldBy(body).state)).toEqual([
      ...Array(4).fill("Triggered"),
      "Resolved",
    ]);
  });

  test("to PagerDuty too, and an end to another path of the receiver belongs to its start", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver(
      (response, _request, index) => void response.writeHead(index < 2 ? 500 : 202).end(),
    );
    const definition = DestinationSchema.parse({
      type: "pagerduty",
      name: "pager",
      routing_key: "k",
      url: receiver.url,
    });
    const id = destinationIdOf(actions.workspace, "pager");
    await actions.log.destinations.put([{ id, definition, source: { kind: "api" }, created: 0, updated: 0 }]);
    const notify = ActionSchema.parse({ type: "send-notification", destination: "pager", body: "quiet" });
    const paths = silenceWatch({ start: [`${receiver.url}/open`], end: [`${receiver.url}/close`] });
    const pager = { ...paths, id: randomUUID(), actions: [notify], actions_on_resolve: [notify] };
    const invocations = [pager, paths].flatMap((watch) => [...alarm(watch, "a"), ...end(watch, "a")]);
    await actions.queue.addInvocations(invocations);
    actions.work();
    await Promise.all(invocations.map((invocation) => actions.outcome(invocation)));
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
    const [pagerStart, pagerEnd, pathStart, pathEnd] = invocations.map((invocation) => invocation.id);
    expect(ids.lastIndexOf(pagerStart!)).toBeLessThan(ids.indexOf(pagerEnd!));
    expect(ids.lastIndexOf(pathStart!)).toBeLessThan(ids.indexOf(pathEnd!));
  });

  test("hold up neither other keys nor other targets, and say what they wait for", async () => {
    const actions = startActions(redis.url);
    const dead = await startReceiver((response) => void response.writeHead(503).end());
    const good = await startReceiver();
    const automation = silenceWatch({ start: [dead.url, good.url], end: [dead.url, good.url] });
    const other = silenceWatch({ start: [good.url], end: [] });
    const first = alarm(automation, "a");
    const second = end(automation, "a");
    actions.work({ retryMs: 60_000, retryMsMax: 60_000 });
    await actions.queue.addInvocations([
      ...first,
      ...second,
      ...alarm(automation, "b"),
      ...alarm(other, "a"),
    ]);
    await good.arrived(4);
    const waiting = second[0]!.id;
    await expect
      .poll(() => actions.queue.delivery(waiting))
      .toMatchObject({
        state: "deferred",
        reason: `waits for an earlier delivery about the same thing to the same target (${first[0]!.id})`,
        attempt_count: 0,
      });
  });

  // A worker would take each of them in vain, and put it back, again and again while they wait.
  test("are not there for a worker to take before their turn, and follow each other at once", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const automation = silenceWatch({ start: [receiver.url], end: [receiver.url] });
    const invocations = Array.from({ length: 5 }, () => [
      ...alarm(automation, "a"),
      ...end(automation, "a"),
    ]).flat();
    await actions.queue.addInvocations(invocations);
    expect(await actions.queue.counts()).toMatchObject({ waiting: 1, delayed: 9 });
    expect(await actions.queue.delivery(invocations[5]!.id)).toMatchObject({
      state: "deferred",
      reason: expect.stringContaining(invocations[0]!.id),
    });
    actions.work();
    await actions.outcome(invocations.at(-1)!);
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
    expect(ids).toEqual(invocations.map(({ id }) => id));
  });

  // An endpoint that fails for good must not hold up what follows for longer than it is tried.
  test("go on once the first one is given up", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver((response, { body }) => {
      response.writeHead(toldBy(body).state === "Triggered" ? 400 : 200).end();
    });
    const automation = silenceWatch({ start: [receiver.url], end: [receiver.url] });
    const invocations = [...alarm(automation, "a"), ...end(automation, "a")];
    await actions.queue.addInvocations(invocations);
    actions.work();
    expect((await actions.outcome(invocations[1]!)).event).toMatch(/executed$/);
    // Nothing is left of the lane.
    const { lane } = queueKeys(actions.workspace);
    await expect.poll(() => actions.redis.exists(lane(invocations[0]!.ordering!))).toBe(0);
  });

  test("go on although the job of the first one has been removed by hand", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const automation = silenceWatch({ start: [receiver.url], end: [receiver.url] });
    const [first] = alarm(automation, "a");
    const [second] = end(automation, "a");
    const lanes = new Lanes(actions.redis, actions.workspace);
    await lanes.join([first!]);
    const { lane } = queueKeys(actions.workspace);
    // Its place is older than what may still be on its way to the queue.
    await actions.redis.zadd(lane(first!.ordering!), 1_000_000, first!.id);
    await actions.queue.addInvocations([second!]);
    actions.work();
    expect((await actions.outcome(second!)).event).toMatch(/executed$/);
  });

  test("are not sent once a later one has been accepted", async () => {
    const actions = startActions(redis.url);
    let isUp = false;
    const receiver = await startReceiver((response) => void response.writeHead(isUp ? 200 : 400).end());
    const automation = silenceWatch({ start: [receiver.url], end: [receiver.url] });
    const [first] = alarm(automation, "a");
    const [second] = end(automation, "a");
    actions.work();
    await actions.queue.addInvocations([first!]);
    await actions.outcome(first!);
    isUp = true;
    await actions.queue.addInvocations([second!]);
    await actions.outcome(second!);
    await expect.poll(async () => (await actions.queue.delivery(first!.id))?.state).toBe("dead");
    expect(await actions.queue.redeliver(first!.id, asSent)).toEqual({ kind: "outdated" });
    expect(receiver.received).toHaveLength(2);
  });
});

describe("deliveries whose rule goes to another target while they wait", () => {
  const patient = { retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 };

  async function startMoved(isUp: (path: string) => boolean, settings: Partial<WorkerSettings> = patient) {
    const actions = startActions(redis.url);
    const endpoint = { isUp };
    const accepted: string[] = [];
    const receiver = await startReceiver((response, { path, headers }) => {
      const accepts = endpoint.isUp(path);
      if (accepts) accepted.push(`${path} ${headers["webhook-id"]}`);
      response.writeHead(accepts ? 200 : 500).end();
    });
    const watch = (path: string) =>
      silenceWatch({ start: [`${receiver.url}/${path}`], end: [`${receiver.url}/${path}`] });
    const automation = watch("old");
    const moved = { ...watch("new"), id: automation.id };
    const [first] = alarm(automation, "a");
    const [second] = end(moved, "a");
    actions.work(settings);
    await actions.queue.addInvocations([first!]);
    await expect
      .poll(async () => (await actions.queue.delivery(first!.id))?.attempt_count)
      .toBeGreaterThan(0);
    await actions.log.putAutomations([moved]);
    return { actions, endpoint, accepted, first: first!, second: second! };
  }

  // A URL was corrected. The end of the alarm goes to the new one, whose lane knows nothing of the alarm.
  test("follow it, and keep their order there", async () => {
    const { actions, endpoint, accepted, first, second } = await startMoved(() => false, {
      endpoints: { failuresMax: 1_000 },
    });
    await expect.poll(async () => (await actions.queue.delivery(first.id))?.target).toMatch(/new$/);
    await actions.queue.addInvocations([second]);
    await expect.poll(() => actions.queue.delivery(second.id)).toMatchObject({ state: "deferred" });
    endpoint.isUp = () => true;
    await actions.outcome(second);
    expect(accepted).toEqual([`/hook/new ${first.id}`, `/hook/new ${second.id}`]);
  });

  test("are not sent any more if the new target has accepted a later one", async () => {
    const { actions, endpoint, accepted, first, second } = await startMoved((path) => path === "/hook/new");
    await actions.queue.addInvocations([second]);
    await actions.outcome(second);
    endpoint.isUp = () => true;
    expect((await actions.outcome(first)).payload).toMatchObject({
      reason: "not sent: the target has accepted a later delivery about the same thing",
    });
    expect(accepted).toEqual([`/hook/new ${second.id}`]);
  });

  test("go where they were to go if a person wants them as they were sent", async () => {
    const { actions, endpoint, accepted, first } = await startMoved(() => false);
    endpoint.isUp = () => true;
    expect(await actions.queue.redeliver(first.id, asSent)).toBeNull();
    await actions.outcome(first);
    expect(accepted).toEqual([`/hook/old ${first.id}`]);
  });
});

// A Reactive rule without for_each has one key for all events, although they have nothing to do with each other.
test("what a rule without for_each says about one resource does not hold up the others", () => {
  const automation = { ...automationOf({ type: "call-webhook", url: "https://example.org/" }) };
  const about = (id: string) => {
    const event = pumpEvent({ resource: { "prefect.resource.id": id } });
    return firedBy(automation, { event, labels: {} })[0]!.ordering;
  };
  expect(about("pump.1")).toEqual(about("pump.1"));
  expect(about("pump.1")?.thing).not.toEqual(about("pump.2")?.thing);
});

// With a growing wait between attempts, what waits would otherwise arrive up to ten minutes after the endpoint is back.
test("an endpoint that works again gets what waits at once, the oldest first", async () => {
  const actions = startActions(redis.url);
  let isUp = false;
  const receiver = await startReceiver((response) => void response.writeHead(isUp ? 200 : 500).end());
  const automation = silenceWatch({ start: [receiver.url], end: [] });
  const pumps = Array.from({ length: 20 }, (_, index) => `pump-${index}`);
  const waiting = pumps.flatMap((pump) => alarm(automation, pump));
  actions.work({
    retryMs: 1_000_000_000,
    retryMsMax: 1_000_000_000,
    endpoints: { concurrencyMax: 1, failuresMax: 1_000 },
  });
  for (const invocation of waiting) await actions.queue.addInvocations([invocation]);
  await expect.poll(() => actions.listed("retrying")).toHaveLength(20);
  await expect
    .poll(async () => (await actions.listed("retrying")).every((one) => one.attempt_count === 1))
    .toBe(true);
  const before = receiver.received.length;
  isUp = true;
  const late = alarm(automation, "late");
  await actions.queue.addInvocations(late);
  await Promise.all(waiting.map((invocation) => actions.outcome(invocation)));
  const arrived = receiver.received.slice(before).map(({ body }) => toldBy(body).pump);
  expect(arrived[0]).toBe("late");
  // Each one that gets through wakes two, and one of them may find the only slot taken, so neighbors change places.
  for (const [index, pump] of arrived.slice(1).entries()) {
    expect(Math.abs(pumps.indexOf(pump) - index)).toBeLessThan(10);
  }
});

// The promise: whatever fails, whoever dies, the last thing that a receiver accepted is true.
test("after outages, pauses and deaths, the last thing that each receiver accepted is true", {
  timeout: 180_000,
}, async () => {
  const random = new Random(seed);
  const ownRedis = await startRedis({ appendOnly: "always" });
  onTestFinished(() => ownRedis.stop());
  const actions = startActions(ownRedis.url);
  const failing = { chance: 0.5 };
  const receivers = await Promise.all([1, 2].map(() => startFlakyReceiver(random, failing)));
  const urls = receivers.map(({ url }) => url);
  const automation = silenceWatch({ start: urls, end: urls });
  const workers = [actions.work({ deadAfterMs: 500 }), actions.work({ deadAfterMs: 500 })];
  let mortal = await startWorkerProcess(ownRedis.url, actions.workspace);
  const truth = new Map<string, string>();
  const all: Invocation[] = [];
  for (let round = 0; round < 16; round++) {
    const batch = ["a", "b", "c", "d"].flatMap((pump) => {
      const isSilent = truth.get(pump) !== "Triggered";
      truth.set(pump, isSilent ? "Triggered" : "Resolved");
      return isSilent ? alarm(automation, pump) : end(automation, pump);
    });
    all.push(...batch);
    await addUntilReached(actions.queue, batch);
    // The dispatcher died before it had cleared the outbox.
    if (random.chance(0.3)) await addUntilReached(actions.queue, all);
    await sleep(random.integer(0, 150));
    const fault = random.integer(0, 5);
    if (fault <= 1) {
      await mortal.kill9();
      mortal = await startWorkerProcess(ownRedis.url, actions.workspace);
    }
    if (fault === 2) await mortal.pause(1_500); // longer than its lock lives
    if (fault === 3) {
      await ownRedis.kill9();
      await ownRedis.restart();
    }
    if (round === 8) await workers[0]!.close(0);
  }
  failing.chance = 0;
  for (const invocation of all) await actions.outcome(invocation);
  await mortal.kill9();
  for (const { accepted } of receivers) {
    expect(Object.fromEntries(accepted)).toEqual(Object.fromEntries(truth));
  }
  expect(await actions.queue.count("dead")).toBe(0);
});

/** A receiver that sometimes refuses, and sometimes accepts although its answer is lost. */
async function startFlakyReceiver(random: Random, failing: { chance: number }) {
  const accepted = new Map<string, string>();
  const { url } = await startReceiver((response, { body }) => {
    const { pump, state } = toldBy(body);
    const isFailing = random.chance(failing.chance);
    if (isFailing && random.chance(0.5)) {
      return void response.writeHead(random.pick([500, 404, 429, 302])).end();
    }
    accepted.set(pump, state);
    if (isFailing) response.destroy();
    else response.end();
  });
  return { url, accepted };
}

async function addUntilReached(queue: DeliveryQueue, invocations: readonly Invocation[]): Promise<void> {
  const { signal } = new AbortController();
  await keepTrying(() => queue.addInvocations(invocations), { signal });
}
