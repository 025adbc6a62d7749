/** Counting deliveries, and redelivering or cancelling many of them in one request. */

import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { automationOf, firedBy, startReceiver, webhook } from "../../delivery/support.ts";
import { deliveriesInApi } from "./delivery-support.ts";

const { api, queue, client, work, reached } = deliveriesInApi({ history: false });

/** The deliveries of an automation that has fired for several pumps. */
async function fire(url: string, pumpCount: number) {
  const automation = automationOf(webhook(url, { retry: { for: "0s" } }));
  await api().log.putAutomations([automation]);
  const pumps = Array.from({ length: pumpCount }, (_, pump) => ({ pump: `pump.${pump}` }));
  const invocations = pumps.flatMap((labels) => firedBy(automation, { labels }));
  await queue().addInvocations(invocations);
  return { automation, ids: invocations.map(({ id }) => id) };
}

const none = { waiting: 0, active: 0, retrying: 0, delivered: 0, dead: 0 };

test("the deliveries of all states are counted in one request", async () => {
  expect(await client().deliveries.counts()).toEqual(none);
  const receiver = await startReceiver((response, _, index) => {
    if (index === 0) response.writeHead(500).end();
    else if (index === 1) response.writeHead(503, { "Retry-After": "600" }).end();
    else if (index === 2) response.end();
  });
  const refused = await fire(receiver.url, 1);
  expect(await client().deliveries.counts()).toEqual({ ...none, waiting: 1 });
  work({ concurrency: 1 });
  await reached(refused.ids[0]!, "dead");
  const retried = automationOf(webhook(`${receiver.url}/later`));
  const [later] = firedBy(retried);
  await queue().addInvocations([later!]);
  await reached(later!.id, "retrying");
  const others = await Promise.all(
    ["delivered", "active"].map(
      async () => (await startReceiver((response, _, index) => void (index === 0 && response.end()))).url,
    ),
  );
  const [accepted] = (await fire(others[0]!, 1)).ids;
  await reached(accepted!, "delivered");
  const silent = await startReceiver(() => {});
  const [open, waiting] = (await fire(silent.url, 2)).ids;
  await reached(open!, "active");
  await reached(waiting!, "waiting");
  expect(await client().deliveries.counts()).toEqual({
    waiting: 1,
    active: 1,
    retrying: 1,
    delivered: 1,
    dead: 1,
  });
});

describe("in one request", () => {
  test("dead letters are redelivered in the given order, and what cannot be is refused for itself", async () => {
    let status = 500;
    const receiver = await startReceiver((response) => void response.writeHead(status).end());
    const { ids } = await fire(receiver.url, 3);
    work({ concurrency: 1 });
    for (const id of ids) await reached(id, "dead");
    status = 200;
    const gone = firedBy(automationOf(webhook(receiver.url)));
    await queue().addInvocations(gone);
    const unknown = randomUUID();
    const wanted = [ids[2]!, unknown, ids[0]!.toUpperCase(), ids[2]!, "no id", gone[0]!.id];
    const answer = await client().deliveries.redeliverMany(wanted);
    const done = { accepted: true, status: 202, reason: null };
    const notFound = { accepted: false, status: 404, reason: expect.stringContaining("Delivery not found") };
    expect(answer).toEqual({
      outcomes: [
        { id: ids[2], ...done },
        { id: unknown, ...notFound },
        { id: ids[0]!.toUpperCase(), ...done },
        { id: ids[2], ...done },
        { id: "no id", ...notFound },
        {
          id: gone[0]!.id,
          accepted: false,
          status: 409,
          reason: expect.stringContaining("has been deleted"),
        },
      ],
      accepted_count: 3,
      refused_count: 3,
    });
    for (const id of [ids[0]!, ids[2]!]) await reached(id, "delivered");
    const redelivered = await client().deliveries.get(ids[2]!);
    expect(redelivered.redeliveries).toBe(1); // although it was named twice
    expect((await client().deliveries.get(ids[1]!)).state).toBe("dead");
    const sent = receiver.received.slice(3).map(({ headers }) => headers["webhook-id"]);
    expect(sent.filter((id) => ids.includes(String(id)))).toEqual([ids[2], ids[0]]);
  });

  test("one that waits is tried at once, and that attempt is listed as early", async () => {
    const receiver = await startReceiver(
      (response) => void response.writeHead(503, { "Retry-After": "600" }).end(),
    );
    const automation = automationOf(webhook(receiver.url));
    const [invocation] = firedBy(automation);
    await api().log.putAutomations([automation]);
    await queue().addInvocations([invocation!]);
    work({ endpoints: { restMsMax: 1 } });
    await reached(invocation!.id, "retrying");
    await client().deliveries.redeliverMany([invocation!.id]);
    await receiver.arrived(2);
    const attempts = async () => (await client().deliveries.get(invocation!.id)).attempts;
    await expect.poll(attempts).toMatchObject([{ status_code: 503 }, { status_code: 503, early: "other" }]);
    expect((await attempts())[0]).not.toHaveProperty("early");
  });

  test("they are sent as the rule was, if that is wanted", async () => {
    const receiver = await startReceiver(
      (response, _, index) => void response.writeHead(index < 1 ? 500 : 200).end(),
    );
    const { ids, automation } = await fire(`${receiver.url}/before`, 1);
    work();
    await reached(ids[0]!, "dead");
    await api().log.putAutomations([{ ...automation, actions: [webhook(`${receiver.url}/after`)] }]);
    await client().deliveries.redeliverMany(ids, { asSent: true });
    await reached(ids[0]!, "delivered");
    await client().deliveries.redeliverMany(ids);
    await receiver.arrived(3);
    expect(receiver.received.map(({ path }) => path)).toEqual([
      "/hook/before",
      "/hook/before",
      "/hook/after",
    ]);
  });

  test("those that have not ended are cancelled, and no others", async () => {
    const receiver = await startReceiver();
    const { ids } = await fire(receiver.url, 2);
    const answer = await client().deliveries.cancelMany(ids);
    expect(answer).toMatchObject({ accepted_count: 2, refused_count: 0 });
    work();
    for (const id of ids) await reached(id, "cancelled");
    expect(receiver.received).toEqual([]);
    expect((await client().deliveries.cancelMany(ids)).outcomes).toEqual(
      ids.map((id) => ({ id, accepted: false, status: 409, reason: expect.stringContaining("has ended") })),
    );
  });

  test.each(["redeliver", "cancel"])(
    "at most 200 are taken, and no mistake is overlooked (%s)",
    async (path) => {
      const post = async (body: unknown) => {
        const headers = { "Content-Type": "application/json" };
        const url = `${api().url}/api/deliveries/${path}`;
        return (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).status;
      };
      const many = Array.from({ length: 200 }, () => randomUUID());
      expect(await post({ ids: many })).toBe(200);
      expect(await post({ ids: [...many, randomUUID()] })).toBe(422);
      expect(await post({ ids: [] })).toBe(422);
      expect(await post({ ids: [1] })).toBe(422);
      expect(await post({ ids: many, all: true })).toBe(422);
    },
  );
});
