import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { jobIdOf, queueName, queuePrefix } from "../../src/delivery/queue-keys.ts";
import type { ActionMetrics } from "../../src/delivery/worker-settings.ts";
import { connect } from "../../src/store/connection.ts";
import { Log, type NewEvent } from "../../src/store/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { asSent, invocationOf, startActions, startReceiver, webhook } from "./support.ts";
import { startWorkerProcess } from "./worker-process.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

test("an action is reported as events that other automations can match", async () => {
  const actions = startActions(redis.url);
  actions.work();
  const invocation = invocationOf({ type: "do-nothing" });
  await actions.queue.addInvocations([invocation]);
  await actions.outcome(invocation);

  const [triggered, executed] = await actions.events();
  expect(triggered).toMatchObject({
    event: "prefect-cloud.automation.action.triggered",
    resource: {
      "prefect.resource.id": `prefect-cloud.automation.${invocation.automation.id}.action.0`,
      "prefect-cloud.action.type": "do-nothing",
    },
    follows: invocation.firingEventId,
  });
  expect(executed).toMatchObject({
    event: "prefect-cloud.automation.action.executed",
    follows: triggered!.id,
  });
  const entries = await actions.log.read("0-0", { count: 10 });
  for (const entry of entries) expect(entry).toMatchObject({ event: { lineage: invocation.lineage } });
});

test("an invocation that is added again, even after it ran, runs once", async () => {
  const actions = startActions(redis.url);
  const receiver = await startReceiver();
  const invocation = invocationOf(webhook(receiver.url));
  const last = invocationOf(webhook(receiver.url));
  await actions.queue.addInvocations([invocation, invocation]);
  actions.work();
  await actions.outcome(invocation);
  await actions.queue.addInvocations([invocation, last]);
  await actions.outcome(last);
  expect(receiver.received).toHaveLength(2);
});

describe("emit-event", () => {
  test("appends the rendered event once, with the firing's lineage", async () => {
    const actions = startActions(redis.url);
    actions.work();
    const invocation = invocationOf({
      type: "emit-event",
      event: "{{ event.event }}.seen",
      resource: { "prefect.resource.id": "greenhouse.zone.{{ labels.zone }}" },
      related: [
        {
          "prefect.resource.id": "{{ event.resource['prefect.resource.id'] }}",
          "prefect.resource.role": "pump",
        },
      ],
      payload: { pressure: "{{ event.payload.pressure }}", list: ["{{ automation.name }}"] },
    });
    await actions.queue.addInvocations([invocation]);
    const outcome = await actions.outcome(invocation);
    const entries = await actions.log.read("0-0", { count: 10 });
    expect(entries).toHaveLength(3);
    expect(entries[1]).toMatchObject({
      event: {
        lineage: invocation.lineage,
        wire: {
          event: "pump.stopped.seen",
          id: outcome.payload["event_id"],
          resource: { "prefect.resource.id": "greenhouse.zone.north" },
          related: [{ "prefect.resource.id": "greenhouse.pump.1", "prefect.resource.role": "pump" }],
          payload: { pressure: 0.4, list: ["pump watch"] },
          follows: invocation.firingEventId,
        },
      },
    });
  });

  test("is about the triggering event's resource, or about the automation if no event triggered it", async () => {
    const actions = startActions(redis.url);
    actions.work();
    const action = { type: "emit-event", event: "zone.checked" };
    const [withEvent, without] = [invocationOf(action), invocationOf(action, { event: null })];
    await actions.queue.addInvocations([withEvent, without]);
    await Promise.all([actions.outcome(withEvent), actions.outcome(without)]);
    const resources = (await actions.events())
      .filter(({ event }) => event === "zone.checked")
      .map(({ resource }) => resource);
    expect(resources).toContainEqual({ "prefect.resource.id": "greenhouse.pump.1", zone: "north" });
    expect(resources.map((resource) => resource["prefect.resource.id"])).toContain(
      `prefect-cloud.automation.${without.automation.id}`,
    );
  });

  test.each([
    [{ resource: { "prefect.resource.id": "{{ event.payload.nothing }}" } }, "resource.prefect.resource.id"],
    [
      { payload: { token: "${env.TOKEN}" } },
      "events are readable by everyone, so they must not contain ${env.TOKEN}",
    ],
  ])("fails with the reason if it does not render to a valid event: %j", async (fields, reason) => {
    const actions = startActions(redis.url);
    actions.work();
    const action = { type: "emit-event", event: "zone.checked", ...fields };
    const invocation = invocationOf(action, { secrets: { TOKEN: "t0k3n-of-ours" } });
    await actions.queue.addInvocations([invocation]);
    const outcome = await actions.outcome(invocation);
    expect(outcome.event).toBe("prefect-cloud.automation.action.failed");
    expect(outcome.payload["reason"]).toContain(reason);
  });
});

describe("dead letters", () => {
  test("can be listed and redelivered under the same webhook-id, and are then reported again", async () => {
    const actions = startActions(redis.url);
    let status = 500;
    const receiver = await startReceiver((response) => void response.writeHead(status).end("down"));
    const invocation = invocationOf(webhook(receiver.url), { name: "pump watch" });
    actions.work();
    await actions.queue.addInvocations([invocation]);
    const failed = await actions.outcome(invocation);
    await expect
      .poll(() => actions.listed("dead"))
      .toMatchObject([
        {
          id: invocation.id,
          automation: { name: "pump watch" },
          action_type: "call-webhook",
          reason: "responded 500: down",
        },
      ]);

    status = 200;
    expect(await actions.queue.redeliver(invocation.id, asSent)).toBeNull();
    const executed = await actions.event(({ event }) => event.endsWith(".action.executed"));
    expect(new Set(receiver.received.map(({ headers }) => headers["webhook-id"]))).toEqual(
      new Set([invocation.id]),
    );
    expect(executed.payload).toMatchObject({ attempts: 1, status_code: 200 });
    const events = await actions.events();
    const ids = events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(4); // triggered and failed, triggered and executed
    // Each outcome follows its own start, and each start the firing.
    const [start, , secondStart] = ids;
    const { firingEventId } = invocation;
    expect(events.map(({ follows }) => follows)).toEqual([firingEventId, start, firingEventId, secondStart]);
    expect(ids).toContain(failed.id);
    await expect.poll(() => actions.listed("dead")).toEqual([]);
    expect(await actions.queue.redeliver(randomUUID(), asSent)).toEqual({ kind: "unknown" });
  });
});

describe("an endpoint", () => {
  test("that never answers does not delay another", async () => {
    const actions = startActions(redis.url);
    const silent = createServer(() => {}); // accepts connections and never answers
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const dead = webhook(`http://127.0.0.1:${typeof address === "object" ? address!.port : 0}/`, {
      timeout: 30,
    });
    const receiver = await startReceiver();
    await actions.queue.addInvocations(Array.from({ length: 100 }, () => invocationOf(dead)));
    const good = invocationOf(webhook(receiver.url));
    await actions.queue.addInvocations([good]);
    actions.work({ concurrency: 5, endpoints: { concurrencyMax: 2 } });
    expect((await actions.outcome(good)).event).toMatch(/executed$/);
  }, 15_000);

  test("that fails rests, and waiting for it costs no attempt", async () => {
    const actions = startActions(redis.url);
    let isUp = false;
    const receiver = await startReceiver((response) => void response.writeHead(isUp ? 200 : 500).end());
    const metrics = {
      deferredCount: 0,
      deferred: () => void metrics.deferredCount++,
    } satisfies ActionMetrics & { deferredCount: number };
    actions.work(
      { endpoints: { concurrencyMax: 1, failuresMax: 2, restMs: 400, restMsMax: 400 } },
      { metrics },
    );
    const invocations = Array.from({ length: 4 }, () => invocationOf(webhook(receiver.url)));
    await actions.queue.addInvocations(invocations);
    await receiver.arrived(2);
    isUp = true;
    const outcomes = await Promise.all(invocations.map((invocation) => actions.outcome(invocation)));
    expect(outcomes.map(({ event }) => event)).toEqual(
      Array(4).fill("prefect-cloud.automation.action.executed"),
    );
    expect(metrics.deferredCount).toBeGreaterThan(0);
    const starts = (await actions.events()).filter(({ event }) => event.endsWith(".action.triggered"));
    expect(starts).toHaveLength(4); // however often a delivery was deferred
  });

  test("that stays down makes a delivery give up in the end", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver((response) => void response.writeHead(500).end("down"));
    actions.work({
      giveUpAfterMs: 500,
      endpoints: { failuresMax: 1, restMs: 200, restMsMax: 200 },
    });
    const invocation = invocationOf(webhook(receiver.url, { retry: {} }));
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).payload["reason"]).toMatch(
      /^(gave up after \d+s: )?responded 500: down$/,
    );
  });
});

describe("a delivery survives", () => {
  test("a worker killed in the middle of it, and is repeated under the same webhook-id", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver((response, _request, index) => {
      if (index > 0) response.end(); // the first is never answered
    });
    const invocation = invocationOf(webhook(receiver.url));
    const doomed = await startWorkerProcess(redis.url, actions.workspace);
    await actions.queue.addInvocations([invocation]);
    await receiver.arrived(1);
    await doomed.kill9();

    actions.work({ deadAfterMs: 500 });
    expect((await actions.outcome(invocation)).payload).toMatchObject({ status_code: 200 });
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([
      invocation.id,
      invocation.id,
    ]);
    const triggered = (await actions.events()).filter(({ event }) => event.endsWith(".action.triggered"));
    expect(new Set(triggered.map(({ id }) => id)).size).toBe(1); // reported twice, counted once
  });

  test("a worker that dies before it reports the outcome, and is not repeated", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const invocation = invocationOf(webhook(receiver.url));
    let reached: () => void = () => {};
    const aboutToReport = new Promise<void>((resolve) => {
      reached = resolve;
    });
    class DyingLog extends Log {
      override async appendEvents(events: readonly NewEvent[]) {
        if (!events.some(({ event }) => event.event.endsWith(".executed"))) return super.appendEvents(events);
        reached();
        return new Promise<never>(() => {});
      }
    }
    const doomed = actions.work(
      { deadAfterMs: 500 },
      { log: new DyingLog(actions.redis, actions.workspace) },
    );
    await actions.queue.addInvocations([invocation]);
    await aboutToReport;
    await doomed.close(0);

    actions.work({ deadAfterMs: 500 });
    expect((await actions.outcome(invocation)).payload).toMatchObject({ status_code: 200, attempts: 1 });
    expect(receiver.received).toHaveLength(1);
  });

  test("a restart of Redis while the webhook is in flight, and is made and reported once", async () => {
    const ownRedis = await startRedis({ appendOnly: "always" });
    onTestFinished(() => ownRedis.stop());
    const actions = startActions(ownRedis.url);
    const receiver = await startReceiver(async (response) => {
      await ownRedis.kill9();
      response.end();
      await ownRedis.restart();
    });
    const invocation = invocationOf(webhook(receiver.url));
    actions.work();
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).payload).toMatchObject({ status_code: 200, attempts: 1 });
    expect(receiver.received).toHaveLength(1);
    await expect.poll(async () => (await actions.queue.counts()).active, { timeout: 30_000 }).toBe(0);
  });

  test("a full Redis while the webhook is in flight, and is reported once there is room", async () => {
    const ownRedis = await startRedis({ appendOnly: "always" });
    onTestFinished(() => ownRedis.stop());
    const actions = startActions(ownRedis.url);
    const receiver = await startReceiver(async (response) => {
      await actions.redis.config("SET", "maxmemory", "1");
      response.end();
      setTimeout(() => void actions.redis.config("SET", "maxmemory", "0"), 700);
    });
    const invocation = invocationOf(webhook(receiver.url));
    actions.work({ deadAfterMs: 3_000 });
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).payload).toMatchObject({ status_code: 200, attempts: 1 });
    await expect.poll(async () => (await actions.queue.counts()).active, { timeout: 10_000 }).toBe(0);
    expect(receiver.received).toHaveLength(1);
  });

  // The worker must hold on to the job. If it let go, the outcome would wait until the worker counts as dead.
  test("a log that is unavailable for a while, and is reported as soon as it is back", async () => {
    const logRedis = await startRedis({ appendOnly: "always" });
    const logConnection = connect(logRedis.url);
    onTestFinished(async () => {
      logConnection.disconnect();
      await logRedis.stop();
    });
    const actions = startActions(redis.url);
    let reportRefusal: () => void = () => {};
    const refused = new Promise<void>((resolve) => {
      reportRefusal = resolve;
    });
    class WatchedLog extends Log {
      override appendEvents(events: readonly NewEvent[]) {
        return super.appendEvents(events).catch((error: unknown) => {
          reportRefusal();
          throw error;
        });
      }
    }
    const log = new WatchedLog(logConnection, actions.workspace);
    const receiver = await startReceiver(async (response) => {
      await logRedis.kill9();
      response.end();
    });
    const finished = new Promise<void>((resolve) => {
      actions.work({ deadAfterMs: 60_000 }, { log, metrics: { actionFinished: () => resolve() } });
    });
    await actions.queue.addInvocations([invocationOf(webhook(receiver.url))]);
    await refused;
    await logRedis.restart();
    await finished;
    // The first event may have been appended twice, under one id: nobody knows what a lost connection has done.
    const events = new Map<string, string>();
    for (const entry of await log.read("0-0", { count: 10 })) {
      if (entry.kind === "event") events.set(entry.event.id, entry.event.name);
    }
    expect([...events.values()]).toEqual([
      "prefect-cloud.automation.action.triggered",
      "prefect-cloud.automation.action.executed",
    ]);
    expect(receiver.received).toHaveLength(1);
  }, 20_000);
});

test("a queue that cannot reach Redis says so at once", async () => {
  const ownRedis = await startRedis();
  onTestFinished(() => ownRedis.stop());
  const actions = startActions(ownRedis.url);
  await actions.queue.addInvocations([invocationOf({ type: "do-nothing" })]);
  await ownRedis.kill9();
  await expect(actions.queue.addInvocations([invocationOf({ type: "do-nothing" })])).rejects.toThrow(
    expect.objectContaining({ name: "RedisUnreachable" }),
  );
});

test("a closed worker finishes what is in flight and takes no more jobs", async () => {
  const actions = startActions(redis.url);
  let answer: () => void = () => {};
  const receiver = await startReceiver((response) => {
    answer = () => void response.end();
  });
  const [first, second] = [invocationOf(webhook(receiver.url)), invocationOf(webhook(receiver.url))];
  const worker = actions.work({ concurrency: 2 });
  await actions.queue.addInvocations([first]);
  await receiver.arrived(1);
  const closed = worker.close();
  await actions.queue.addInvocations([second]);
  // By now the worker, which was waiting for a job, has been offered this one.
  for (let i = 0; i < 50; i++) await actions.queue.counts();
  answer();
  await closed;
  expect(receiver.received).toHaveLength(1);
  expect((await actions.events()).filter(({ event }) => event.endsWith(".executed"))).toHaveLength(1);
  expect(await actions.queue.counts()).toMatchObject({ active: 0 });
});

test("a worker that lost a job to another one does not wait for it when it closes", async () => {
  const actions = startActions(redis.url);
  let answer: () => void = () => {};
  const receiver = await startReceiver((response) => {
    answer = () => void response.end();
  });
  const invocation = invocationOf(webhook(receiver.url));
  const worker = actions.work();
  await actions.queue.addInvocations([invocation]);
  await receiver.arrived(1);
  const lock = `${queuePrefix(actions.workspace)}:${queueName}:${jobIdOf(invocation.id)}:lock`;
  expect(await actions.redis.del(lock)).toBe(1);
  answer();
  await expect
    .poll(() => actions.logger.lines.join("\n"))
    .toContain("another worker has taken this delivery over");
  // A starved process loses all of its jobs at once, and nothing is wrong with any of them.
  expect(actions.logger.lines.filter((line) => /"err":.*another worker/.test(line))).toEqual([]);
  const started = performance.now();
  await worker.close();
  expect(performance.now() - started).toBeLessThan(4_000);
});

test("metrics count attempts and outcomes", async () => {
  const actions = startActions(redis.url);
  const calls: unknown[] = [];
  const isPlausible = (seconds: number) => seconds > 0.001 && seconds < 60;
  const metrics: ActionMetrics = {
    actionFinished: (type, outcome, seconds) => calls.push([type, outcome, isPlausible(seconds)]),
    attemptFinished: (type, outcome, seconds) => calls.push([type, outcome, isPlausible(seconds)]),
  };
  const receiver = await startReceiver(
    (response, _request, index) =>
      void setTimeout(() => response.writeHead(index === 0 ? 500 : 200).end(), 20),
  );
  actions.work({}, { metrics });
  const invocation = invocationOf(webhook(receiver.url));
  await actions.queue.addInvocations([invocation]);
  await actions.outcome(invocation);
  await expect
    .poll(() => calls)
    .toEqual([
      ["call-webhook", "retry", true],
      ["call-webhook", "executed", true],
      ["call-webhook", "executed", true],
    ]);
});
