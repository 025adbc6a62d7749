/** What waits for an endpoint goes out as soon as that works again, whoever waits and whoever found out. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { queueKeys } from "../../src/delivery/queue-keys.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, pumpEvent, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const about = (pump: string) => pumpEvent({ resource: { "prefect.resource.id": pump } });

/** The next attempt of what fails is days away, as late in a long outage; a test would not see it. */
const daysApart = { retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 };
const soon = { ...daysApart, endpoints: { failuresMax: 2, restMs: 100, restMsMax: 200 } };

async function startEndpoint(options: { readonly rejects?: string } = {}) {
  const actions = startActions(redis.url);
  const endpoint = { isUp: false };
  const receiver = await startReceiver((response, { path }) => {
    const isRejected = options.rejects !== undefined && path.endsWith(options.rejects);
    response.writeHead(endpoint.isUp && !isRejected ? 200 : 503).end();
  });
  const invocations = (count: number, retry = {}) =>
    Array.from({ length: count }, (_, index) =>
      invocationOf(webhook(`${receiver.url}/{{ event.resource.id }}`, { retry }), {
        event: about(`pump-${index}`),
      }),
    );
  const wait = (count: number) =>
    expect.poll(() => actions.listed("retrying"), { timeout: 20_000 }).toHaveLength(count);
  return { actions, endpoint, receiver, invocations, wait };
}

// Nothing else is sent to it, so that nothing else finds out.
test("all that waits for an endpoint goes out once it works again, from every worker", async () => {
  const { actions, endpoint, invocations, wait } = await startEndpoint();
  const waiting = invocations(60);
  actions.work(soon);
  actions.work(soon);
  await actions.queue.addInvocations(waiting);
  await wait(60);
  endpoint.isUp = true;
  for (const invocation of waiting) {
    expect((await actions.outcome(invocation)).event).toMatch(/executed$/);
  }
  // Nobody looks after an endpoint for which nothing waits.
  const { endpoints } = queueKeys(actions.workspace);
  await expect.poll(() => actions.redis.exists(endpoints), { timeout: 10_000 }).toBe(0);
}, 60_000);

// A worker that has just started knows nothing of the endpoint. What waits must not depend on those that knew.
test("so it does if all workers were replaced during the outage", async () => {
  const { actions, endpoint, invocations, wait } = await startEndpoint();
  const waiting = invocations(5);
  const before = actions.work(soon);
  await actions.queue.addInvocations(waiting);
  await wait(5);
  await before.close(0);
  endpoint.isUp = true;
  actions.work(soon);
  for (const invocation of waiting) {
    expect((await actions.outcome(invocation)).event).toMatch(/executed$/);
  }
}, 60_000);

// Three attempts are to be hours apart. Probes would use them up in seconds.
test("finding out uses up no attempt of a rule that allows few", async () => {
  const { actions, endpoint, receiver, invocations } = await startEndpoint();
  const [waiting] = invocations(1, { attempts: 3 });
  actions.work(soon);
  await actions.queue.addInvocations([waiting!]);
  await receiver.arrived(6);
  // They are listed as what they are, and so is the line in the log.
  const probed = await actions.queue.delivery(waiting!.id);
  expect(probed?.attempts[0]).not.toHaveProperty("early");
  expect(probed?.attempts.slice(1, 5).map(({ early }) => early)).toEqual(Array(4).fill("probe"));
  expect(probed?.early_count).toBe((probed?.attempt_count ?? 0) - 1);
  expect(actions.logger.lines.filter((line) => line.includes('"early":"probe"')).length).toBeGreaterThan(3);
  endpoint.isUp = true;
  expect((await actions.outcome(waiting!)).event).toMatch(/executed$/);
  await expect.poll(() => actions.queue.delivery(waiting!.id)).toMatchObject({ state: "delivered" });
  const delivered = await actions.queue.delivery(waiting!.id);
  expect(delivered?.attempts.at(-1)).toMatchObject({ early: "probe", status_code: 200 });
  expect(delivered?.early_count).toBe((delivered?.attempt_count ?? 0) - 2);
}, 60_000);

// What one receiver's path cannot digest would otherwise be sent again each time that the receiver accepts something else.
test("a delivery that fails although others are accepted is not woken up again by those", async () => {
  const { actions, endpoint, receiver, invocations, wait } = await startEndpoint({ rejects: "/pump-0" });
  endpoint.isUp = true;
  const [rejected, ...others] = invocations(20);
  actions.work({ ...daysApart, endpoints: { failuresMax: 1_000, restMs: 100 } });
  await actions.queue.addInvocations([rejected!]);
  await wait(1);
  for (const other of others) {
    await actions.queue.addInvocations([other]);
    expect((await actions.outcome(other)).event).toMatch(/executed$/);
  }
  const { endpoint: waitsFor } = queueKeys(actions.workspace);
  const { origin } = new URL(receiver.url);
  await expect.poll(() => actions.redis.exists(waitsFor(origin)), { timeout: 10_000 }).toBe(0);
  const probes = receiver.received.filter(({ path }) => path.endsWith("/pump-0")).length;
  expect(probes).toBeLessThan(15); // it may have probed the endpoint before the first other was accepted
  const { state, attempts } = (await actions.queue.delivery(rejected!.id))!;
  expect(state).toBe("retrying");
  expect(attempts.map(({ early }) => early)).toContain("recovered");
}, 60_000);
