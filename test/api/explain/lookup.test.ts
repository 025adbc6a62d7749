/** `GET /api/lookup`: what an id belongs to, on a server without an engine. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lookup } from "../../../src/client/index.ts";
import { actionEvent, firingEvent, invocationsOf } from "../../../src/core/machine/consequence.ts";
import type { Firing } from "../../../src/core/machine/firing.ts";
import { EventSchema } from "../../../src/core/model/event.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { DeliveryQueue } from "../../../src/delivery/queue.ts";
import { automationOf, invocationOf, triggerFiring, webhook } from "../../delivery/support.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

const nothing = { matches: [], truncated: false };

describe.each([
  ["without a history", false],
  ["with a history", true],
])("GET /api/lookup %s", (_, history) => {
  let api: TestApi;
  let queue: DeliveryQueue;
  beforeAll(async () => {
    api = await startApi({ history });
    queue = new DeliveryQueue(api.redis.url, "default");
  });
  afterAll(async () => {
    await queue?.close();
    await api?.stop();
  });

  async function lookUp(id: string): Promise<Lookup> {
    const response = await fetch(`${api.url}/api/lookup?${new URLSearchParams({ id })}`);
    expect(response.status).toBe(200);
    return (await response.json()) as Lookup;
  }

  const spellingsOf = (id: string) => [id, id.toUpperCase(), id.replaceAll("-", ""), id.slice(0, 13)];

  test("finds an automation by its name and by its id", async () => {
    const automations = ["Pump watch", "Twin", "Twin"].map((name) => automationOf(webhook("x"), { name }));
    await api.log.putAutomations(automations);
    const [pumpWatch, ...twins] = automations;
    const { id, name } = pumpWatch!;
    for (const idOrName of [name, ...spellingsOf(id)]) {
      expect(await lookUp(idOrName)).toEqual({
        matches: [
          {
            kind: "automation",
            id,
            automation: { id, name },
            firing_event_id: null,
            triggering_event_id: null,
            event: null,
          },
        ],
        truncated: false,
      });
    }
    const { matches } = await lookUp("Twin");
    expect(matches.map((match) => match.id).sort()).toEqual(twins.map((twin) => twin.id).sort());
  });

  test("finds an event that was sent", async () => {
    const event = pumpEvent({ id: randomUUID(), occurred: new Date().toISOString() });
    expect((await api.post(JSON.stringify([event]))).status).toBe(204);
    for (const id of spellingsOf(String(event["id"]))) {
      const { matches } = await lookUp(id);
      expect(matches).toMatchObject([
        {
          kind: "event",
          id: event["id"],
          automation: null,
          event: { id: event["id"], event: "pump.stopped" },
        },
      ]);
    }
  });

  test("finds a firing and its deliveries by every id that belongs to them", async () => {
    const automation = automationOf(webhook("http://127.0.0.1:1/"), { name: "Pump watch" });
    const firing: Firing = { ...triggerFiring(null), automation, lineage: [] };
    const [delivery] = invocationsOf(firing);
    const firingReport = firingEvent(firing);
    const now = Date.now() * millisecond;
    const steps = [actionEvent(delivery!, "triggered", now), actionEvent(delivery!, "executed", now)];
    await api.log.appendEvents(
      [firingReport, ...steps].map((event) => ({ event, lineage: [], trace: null })),
    );

    const shared = {
      automation: { id: automation.id, name: "Pump watch" },
      firing_event_id: firingReport.id,
      triggering_event_id: null,
    };
    for (const id of [firing.id, ...spellingsOf(firingReport.id)]) {
      const { matches } = await lookUp(id);
      expect(matches).toMatchObject([
        { kind: "firing", id: firingReport.id, ...shared, event: { id: firingReport.id } },
      ]);
    }
    for (const id of [delivery!.id, ...steps.map((event) => event.id)].flatMap(spellingsOf)) {
      const { matches } = await lookUp(id);
      const asked = steps.find((event) => spellingsOf(event.id).includes(id));
      const event =
        asked === undefined ? null : expect.objectContaining({ id: asked.id, event: asked.event });
      expect(matches).toEqual([{ kind: "delivery", id: delivery!.id, ...shared, event }]);
    }
  });

  test("finds a delivery that only the queue knows", async () => {
    const invocation = invocationOf(webhook("http://127.0.0.1:1/"));
    await queue.addInvocations([invocation]);
    for (const id of spellingsOf(invocation.id)) {
      expect((await lookUp(id)).matches).toMatchObject([
        {
          kind: "delivery",
          id: invocation.id,
          firing_event_id: invocation.firingEventId,
          triggering_event_id: invocation.firing.triggering_event?.id,
        },
      ]);
    }
  });

  // Nothing keeps the ids of deliveries in order, so each lookup would otherwise read the whole queue.
  test("finds the first 200 deliveries of each state by a prefix, and any by its whole id", async () => {
    await queue.addInvocations(
      Array.from({ length: 201 }, () => invocationOf(webhook("http://127.0.0.1:1/"))),
    );
    const idAt = async (offset: number) => {
      const page = await fetch(`${api.url}/api/deliveries?state=waiting&limit=1&offset=${offset}`);
      return ((await page.json()) as { deliveries: { id: string }[] }).deliveries[0]!.id;
    };
    const [last, beyond] = [await idAt(199), await idAt(200)];
    expect((await lookUp(last.slice(0, 13))).matches).toMatchObject([{ id: last }]);
    expect(await lookUp(beyond.slice(0, 13))).toEqual(nothing);
    expect((await lookUp(beyond)).matches).toMatchObject([{ id: beyond }]);
  });

  test("lists everything whose id has the prefix, up to a limit", async () => {
    const idOf = (index: number) => `abcdef01-0000-4000-8000-${String(index).padStart(12, "0")}`;
    const send = async (...ids: string[]) => {
      const events = ids.map((id) => pumpEvent({ id, occurred: new Date().toISOString() }));
      expect((await api.post(JSON.stringify(events))).status).toBe(204);
    };
    await send(idOf(1), idOf(2));
    const answer = await lookUp("abcdef01");
    expect(answer.matches.map(({ id }) => id).sort()).toEqual([idOf(1), idOf(2)]);
    // Several matches do not include their events: twenty large ones would make a large answer.
    expect(answer.matches.map(({ event }) => event)).toEqual([null, null]);
    expect(answer.truncated).toBe(false);
    await send(...Array.from({ length: 18 }, (_, index) => idOf(3 + index)));
    expect(await lookUp("abcdef01")).toMatchObject({ matches: { length: 20 }, truncated: false });
    await send(idOf(21));
    expect(await lookUp("abcdef01")).toMatchObject({ matches: { length: 20 }, truncated: true });
  });

  test("finds nothing for an unknown id, a prefix that is too short, or any other text", async () => {
    for (const id of [randomUUID(), "abc", "nothing is called this", "%", "zzzz"]) {
      expect(await lookUp(id)).toEqual(nothing);
    }
    expect((await fetch(`${api.url}/api/lookup`)).status).toBe(422);
  });
});

test("a prefix is looked for in the newest 10,000 events of the log", async () => {
  const api = await startApi();
  try {
    const ids = Array.from({ length: 10_001 }, () => randomUUID());
    const events = ids.map((id) => ({ event: EventSchema.parse(pumpEvent({ id })) }));
    await api.log.appendEvents(events);
    const lookUp = async (id: string) => (await fetch(`${api.url}/api/lookup?id=${id}`)).json();
    const [oldest = "", second = ""] = ids;
    expect(await lookUp(second.slice(0, 18))).toMatchObject({ matches: [{ id: second }] });
    expect(await lookUp(oldest.slice(0, 18))).toEqual(nothing);
    expect(await lookUp(oldest)).toMatchObject({ matches: [{ id: oldest }] });
  } finally {
    await api.stop();
  }
});

describe("GET /api/lookup with a history", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history: true });
  });
  afterAll(() => api?.stop());

  test("finds events that the log no longer holds", async () => {
    const event = pumpEvent({ id: randomUUID(), occurred: new Date().toISOString() });
    expect((await api.post(JSON.stringify([event]))).status).toBe(204);
    const id = String(event["id"]);
    await expect
      .poll(async () => (await fetch(`${api.url}/api/events/filter`, { method: "POST" })).json())
      .toMatchObject({ total: 1 });
    await api.connection.flushall();
    for (const spelling of [id, id.slice(0, 13)]) {
      const answer = await (await fetch(`${api.url}/api/lookup?id=${spelling}`)).json();
      expect(answer).toMatchObject({ matches: [{ kind: "event", id }] });
    }
  });
});
