/** What responds 410 Gone is disabled: nothing is sent to it until it is enabled or has another address. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
} from "../../src/core/model/destination.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { Log } from "../../src/store/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import {
  asSent,
  automationOf,
  invocationOf,
  pumpEvent,
  startActions,
  startReceiver,
  webhook,
} from "./support.ts";

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

/** A receiver that says that it is gone for as long as it is told to. */
async function startGone() {
  let isGone = true;
  const receiver = await startReceiver((response, request) => {
    const gone = isGone && !request.path.endsWith("/works");
    response.writeHead(gone ? 410 : 200).end(gone ? `moved away from ${request.path}` : "");
  });
  return {
    ...receiver,
    comeBack() {
      isGone = false;
    },
  };
}

type Actions = ReturnType<typeof startActions>;

async function putDestination({ log, workspace }: Actions, fields: Record<string, unknown>) {
  const definition: DestinationDefinition = DestinationSchema.parse({ name: "ops", ...fields });
  const id = destinationIdOf(workspace, "ops");
  await log.destinations.put([{ id, definition, source: { kind: "api" }, created: 0, updated: 0 }]);
}

const notify = { type: "send-notification", destination: "ops", body: "down" };

/** Queues a delivery and waits for its end. */
async function deliver({ queue }: Actions, action: unknown, given: Parameters<typeof invocationOf>[1] = {}) {
  const invocation = invocationOf(action, given);
  await queue.addInvocations([invocation]);
  await expect.poll(async () => (await queue.delivery(invocation.id))?.state).toMatch(/^(delivered|dead)$/);
  const { state, reason } = (await queue.delivery(invocation.id))!;
  return { invocation, state, reason };
}

async function endpointEvents(actions: Actions, what: "disabled" | "enabled") {
  return (await actions.events()).filter(({ event }) => event === `tripline.endpoint.${what}`);
}

describe("an endpoint that responds 410 Gone", () => {
  test("is disabled with an event, is sent nothing more by any worker, and works again once it is enabled", async () => {
    const receiver = await startGone();
    const actions = startActions(redis.url);
    actions.work();
    await putDestination(actions, { type: "slack", url: receiver.url });
    const first = await deliver(actions, notify);
    expect(first).toMatchObject({ state: "dead", reason: "responded 410: moved away from /hook" });

    const [disabled, ...others] = await actions.log.endpoints.list();
    expect(others).toEqual([]);
    const { id: automationId, name } = first.invocation.automation;
    expect(disabled).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      destination: "ops",
      url: null,
      since: expect.stringMatching(/^\d{4}-/),
      reason: first.reason,
      delivery: first.invocation.id,
      automation: { id: automationId, name },
    });
    const [event] = await endpointEvents(actions, "disabled");
    const failed = await actions.outcome(first.invocation);
    expect(event).toMatchObject({
      resource: {
        "prefect.resource.id": `tripline.endpoint.${disabled!.id}`,
        "prefect.resource.name": "ops",
        "tripline.destination": "ops",
      },
      related: [
        {
          "prefect.resource.id": `prefect-cloud.automation.${automationId}`,
          "prefect.resource.role": "automation",
        },
      ],
      payload: {
        endpoint: disabled!.id,
        destination: "ops",
        reason: first.reason,
        delivery: first.invocation.id,
      },
      follows: failed.id,
    });
    expect(failed.payload["endpoint"]).toBe(disabled!.id);

    // Another process: it has its own log and its own memory.
    const other = new Log(actions.redis, actions.workspace);
    actions.work({}, { log: other });
    for (let count = 0; count < 4; count++) {
      const { state, reason } = await deliver(actions, notify);
      expect(state).toBe("dead");
      expect(reason).toContain(`destination "ops" is disabled since ${disabled!.since}`);
      expect(reason).toContain(`tripline endpoints enable ${disabled!.id}`);
    }
    expect(receiver.received).toHaveLength(1);
    expect(await endpointEvents(actions, "disabled")).toHaveLength(1);

    receiver.comeBack();
    const enabling = {
      reason: "someone enabled it",
      actor: { type: "api-key", name: "ops", id: "0123456789ab" },
    } as const;
    expect(await actions.log.endpoints.enable(disabled!.id, enabling)).toBe(true);
    expect(await actions.log.endpoints.enable(disabled!.id, enabling)).toBe(false);
    expect(await endpointEvents(actions, "enabled")).toMatchObject([
      {
        payload: {
          endpoint: disabled!.id,
          reason: "someone enabled it",
          changed_by: enabling.actor,
          disabled_since: disabled!.since,
        },
      },
    ]);
    // At once, although each worker remembers for a few seconds what is disabled.
    for (let count = 0; count < 4; count++) expect((await deliver(actions, notify)).state).toBe("delivered");
    expect(await actions.queue.redeliver(first.invocation.id, asSent)).toBeNull();
    await expect
      .poll(() => actions.queue.delivery(first.invocation.id))
      .toMatchObject({ state: "delivered" });
  });

  test("is another endpoint, and so enabled, once its destination has another address", async () => {
    const [gone, works] = [await startGone(), await startReceiver()];
    const actions = startActions(redis.url);
    actions.work();
    await putDestination(actions, { type: "webhook", url: gone.url });
    expect((await deliver(actions, notify)).state).toBe("dead");
    expect((await deliver(actions, { type: "call-webhook", destination: "ops" })).state).toBe("dead");
    expect(gone.received).toHaveLength(1);

    await putDestination(actions, { type: "webhook", url: works.url });
    expect((await deliver(actions, notify)).state).toBe("delivered");
    expect(await actions.log.endpoints.list()).toEqual([]);
    expect(await endpointEvents(actions, "enabled")).toMatchObject([
      { payload: { reason: "the destination has another address now, or was deleted" } },
    ]);
    await putDestination(actions, { type: "webhook", url: gone.url });
    expect((await deliver(actions, notify)).reason).toContain("responded 410"); // found out again
  });

  test("that an action names by its url holds for this url in all rules, and for no other", async () => {
    const receiver = await startGone();
    const actions = startActions(redis.url);
    actions.work();
    const action = webhook(`${receiver.url}/{{ event.payload.room }}`);
    const inRoom = (room: string) => deliver(actions, action, { event: pumpEvent({ payload: { room } }) });
    expect((await inRoom("north")).reason).toContain("responded 410");
    expect((await inRoom("works")).state).toBe("delivered");
    const { state, reason } = await deliver(actions, webhook(`${receiver.url}/north`));
    expect(state).toBe("dead");
    expect(reason).toContain(`${receiver.url}/north is disabled since`);
    expect(receiver.received).toHaveLength(2);
    expect(await actions.log.endpoints.list()).toMatchObject([
      { destination: null, url: `${receiver.url}/north` },
    ]);
  });

  test("is never shown with its secrets", async () => {
    const receiver = await startGone();
    const actions = startActions(redis.url);
    actions.work();
    const place = `127.0.0.1:${receiver.port}`;
    const secrets = { TOKEN: "hush token/1" };
    await deliver(actions, webhook(`http://me:hush-word@${place}/in/\${env.TOKEN}`), { secrets });
    await deliver(actions, webhook(`http://me:hush-word@${place}/in/\${env.TOKEN}`), { secrets });
    await putDestination(actions, { type: "webhook", url: `http://${place}/hush-path-of-it` });
    await deliver(actions, notify);
    await deliver(actions, notify);
    expect(receiver.received).toHaveLength(2);
    const shown = [
      await actions.log.endpoints.list(),
      await actions.events(),
      await actions.queue.deliveries("dead"),
      actions.logger.lines,
    ];
    expect(JSON.stringify(shown)).not.toContain("hush");
    expect(JSON.stringify(shown[0])).toContain(`http://${place}/in/\${env.TOKEN}`);
  });
});

// The worker dies after the outcome is stored and before the endpoint is disabled.
test("an endpoint is disabled, once, even if the worker that was told so dies", async () => {
  const receiver = await startGone();
  const actions = startActions(redis.url);
  const dying = new Log(actions.redis, actions.workspace);
  let tries = 0;
  dying.endpoints.disable = async () => {
    tries += 1;
    throw new Error("died");
  };
  const first = actions.work({ deadAfterMs: 1_000 }, { log: dying });
  const invocation: Invocation = invocationOf(webhook(receiver.url));
  await actions.queue.addInvocations([invocation]);
  await expect.poll(() => tries).toBe(1);
  await first.close(0);
  actions.work({ deadAfterMs: 1_000 });
  await expect.poll(() => actions.queue.delivery(invocation.id)).toMatchObject({ state: "dead" });
  expect(await actions.log.endpoints.list()).toHaveLength(1);
  expect(await endpointEvents(actions, "disabled")).toHaveLength(1);
  expect(receiver.received).toHaveLength(1);
});

test("a process asks at most every few seconds which endpoints are disabled", async () => {
  const receiver = await startReceiver();
  const actions = startActions(redis.url);
  actions.work();
  await deliver(actions, webhook(receiver.url));
  const asked = async () => {
    const stats = await actions.redis.info("commandstats");
    return Number(/cmdstat_hkeys:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  const [before, start] = [await asked(), performance.now()];
  for (let count = 0; count < 20; count++) await deliver(actions, webhook(receiver.url));
  const seconds = (performance.now() - start) / 1_000;
  expect((await asked()) - before).toBeLessThanOrEqual(1 + seconds / 5);
});

test("only so many endpoints are disabled as can be remembered", async () => {
  const actions = startActions(redis.url);
  const { id, name } = automationOf({ type: "do-nothing" });
  const add = (number: number) => {
    const endpoint = {
      id: String(number),
      destination: null,
      url: `https://example.org/${number}`,
      since: "2026-03-01T12:00:00Z",
      reason: "responded 410",
      delivery: id,
      automation: { id, name },
    };
    const event = invocationOf({ type: "do-nothing" }).firing.triggering_event!;
    return actions.log.endpoints.disable(endpoint, { event });
  };
  const added = await Promise.all(Array.from({ length: 1_001 }, (_, number) => add(number)));
  expect(added.filter(Boolean)).toHaveLength(1_000);
});
