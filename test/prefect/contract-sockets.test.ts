/** The wire contract of Prefect's clients: events in and out over WebSockets. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SocketClient } from "../api/sockets/socket-client.ts";
import { ContractServer, type Json, pumpEvent } from "./contract-support.ts";

let api: ContractServer;

beforeAll(async () => {
  api = await ContractServer.start();
});

afterAll(() => api.stop());

const into = () => `${api.api}/events/in`;
const out = () => `${api.api}/events/out`;

const total = async (ids: readonly string[]): Promise<number> => {
  const until = new Date(Date.now() + 60_000).toISOString();
  const { body } = await api.post("/events/filter", { filter: { id: { id: ids }, occurred: { until } } });
  return (body as { total: number }).total;
};

const minutesFromNow = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();

/** A filter as Python's subscriber sends it: until next year, and null for everything that is not set. */
const pythonFilter = (changes: Json = {}): Json => ({
  occurred: { since: minutesFromNow(-1), until: minutesFromNow(365 * 24 * 60) },
  event: null,
  resource: null,
  related: null,
  any_resource: null,
  id: { id: [] },
  text: null,
  order: "DESC",
  ...changes,
});

async function subscribe(filter: Json, options: Json = {}): Promise<SocketClient> {
  const client = await SocketClient.prefect(out());
  client.send({ type: "filter", filter, ...options });
  return client;
}

let storyCount = 0;
const freshName = (): string => {
  storyCount += 1;
  return `story${storyCount}.`;
};

describe.each([
  ["in", into],
  ["out", out],
])("opening /events/%s", (_direction, url) => {
  test("selects the subprotocol, answers a ping before any message, and answers auth with auth_success", async () => {
    const client = await SocketClient.open(url());
    expect(client.socket.protocol).toBe("prefect");
    await client.ping();
    expect(client.messages).toEqual([]); // nothing before the client's first message
    client.send({ type: "auth", token: null });
    await client.until((messages) => messages.length > 0);
    expect(client.messages).toEqual([{ type: "auth_success" }]);
    await client.close();
  });

  test.each(['{"type": "filter"}', "[]", "null", "no JSON"])(
    "fails with 1008 if the first message is %s",
    async (message) => {
      const client = await SocketClient.open(url());
      client.send(message);
      expect(await client.closed).toEqual({ code: 1008, reason: "Expected 'auth' message" });
    },
  );

  test("fails with 403 or 1008 without a valid token if one is required", async () => {
    const keyed = await ContractServer.start();
    try {
      const token = await keyed.makeKey();
      const keyedUrl = url().replace(api.api, keyed.api);
      const answerTo = async (token: string | null) => {
        const client = await SocketClient.open(keyedUrl);
        client.send({ type: "auth", token });
        return client.closed;
      };
      expect(await answerTo(null)).toEqual({ code: 1008, reason: "Auth required but no token provided" });
      expect(await answerTo("wrong")).toEqual({ code: 1008, reason: "Invalid token" });
      await (await SocketClient.prefect(keyedUrl, token)).close();
      await expect(SocketClient.open(keyedUrl, { subprotocol: null })).rejects.toThrow("403");
    } finally {
      await keyed.stop();
    }
  });
});

describe("/events/in", () => {
  test("keeps everything sent before a pong or the close, and does not reply to events", async () => {
    const client = await SocketClient.prefect(into());
    const events = Array.from({ length: 100 }, () => pumpEvent());
    for (const event of events.slice(0, 70)) client.send(event);
    await client.ping();
    expect(await total(events.map(({ id }) => id))).toBe(70);
    for (const event of events.slice(70)) client.send(event);
    expect((await client.close()).code).toBe(1000);
    expect(await total(events.map(({ id }) => id))).toBe(100);
    expect(client.messages).toEqual([]);
  });

  test.each<[string, unknown]>([
    ["an event without a name", pumpEvent({ event: undefined })],
    ["an array", [pumpEvent()]],
    ["invalid JSON", "{"],
  ])("skips %s, and keeps the events around it", async (_what, frame) => {
    const client = await SocketClient.prefect(into());
    const [before, after] = [pumpEvent(), pumpEvent()];
    for (const message of [before, frame, after]) client.send(message);
    expect((await client.close()).code).toBe(1000);
    expect(await total([before.id, after.id])).toBe(2);
  });

  test("accepts events from the first frame on without the subprotocol", async () => {
    const client = await SocketClient.open(into(), { subprotocol: null });
    const event = pumpEvent();
    client.send(event);
    await client.close();
    expect(client.messages).toEqual([]);
    expect(await total([event.id])).toBe(1);
  });
});

describe("/events/out", () => {
  test.each(['{"type": "auth"}', "[]", "no JSON", "{}"])(
    "closes with 1002 if it receives %s in place of a filter",
    async (message) => {
      const client = await SocketClient.prefect(out());
      client.send(message);
      expect(await client.closed).toEqual({ code: 1002, reason: "Expected 'filter' message" });
    },
  );

  test.each([{ color: 1 }, { order: "UP" }, { [`x${"ü".repeat(200)}`]: 1 }, [], null])(
    "closes with 1002 at the filter %j, and gives the reason in at most 123 bytes",
    async (filter) => {
      const client = await SocketClient.prefect(out());
      client.send({ type: "filter", filter });
      const { code, reason } = await client.closed;
      expect({ code, reason }).toEqual({ code: 1002, reason: expect.stringMatching(/^Invalid filter: ./) });
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    },
  );

  test("sends stored events, oldest first, then new ones, with none missed and none repeated", async () => {
    const event = freshName();
    const past = Array.from({ length: 20 }, (_, index) =>
      pumpEvent({ event, occurred: new Date(Date.now() - 30_000 + index).toISOString() }),
    );
    await api.emit(...past);
    const live = Array.from({ length: 200 }, () => pumpEvent({ event }));
    const emitting = (async () => {
      for (const next of live) await api.emit(next, next);
    })();
    const client = await subscribe(pythonFilter({ event: { prefix: [event] } }));
    await emitting;
    const last = pumpEvent({ event });
    await api.emit(last);
    await client.until((messages) => messages.some(({ event }) => (event as Json)["id"] === last.id));
    expect(client.ids.slice(0, 20)).toEqual(past.map(({ id }) => id));
    expect(client.ids).toEqual([...past, ...live, last].map(({ id }) => id));
    expect(client.messages[0]).toEqual({
      type: "event",
      event: {
        ...past[0],
        related: [],
        payload: {},
        follows: null,
        occurred: expect.any(String),
        received: expect.any(String),
      },
    });
    await client.close();
  });

  test("sends no past events without a backfill, and at most the last 15 minutes with one", async () => {
    const event = freshName();
    const old = pumpEvent({ event, occurred: minutesFromNow(-16) });
    const young = pumpEvent({ event, occurred: minutesFromNow(-14) });
    await api.emit(old, young);
    const filter = pythonFilter({
      event: { name: [event] },
      occurred: { since: minutesFromNow(-60), until: minutesFromNow(60) },
    });
    const without = await subscribe(filter, { backfill: false });
    const withBackfill = await subscribe(filter);
    await Promise.all([without.ping(), withBackfill.until(({ length }) => length > 0)]);
    // The filter of `without` may still be on its way to the feed: emit events until it receives one.
    const live: string[] = [];
    while (without.messages.length === 0) {
      const next = pumpEvent({ event });
      live.push(next.id);
      await api.emit(next);
    }
    await withBackfill.until(({ length }) => length > live.length);
    expect(withBackfill.ids).toEqual([young.id, ...live]);
    expect(without.ids.every((id) => live.includes(id))).toBe(true);
    await Promise.all([without.close(), withBackfill.close()]);
  });

  test("applies the whole filter to new events: names, related resources, text, and `until`", async () => {
    const event = freshName();
    const filter = pythonFilter({
      event: { prefix: [event], exclude_name: [`${event}no`] },
      related: { role: ["line"] },
      text: { query: "disk" },
    });
    const client = await subscribe(filter);
    const related = [{ "prefect.resource.id": "line.1", "prefect.resource.role": "line" }];
    const payload = { reason: "disk full" };
    const ended = await subscribe({ event: { prefix: [event] } }); // its `until` is now
    const occurred = minutesFromNow(1); // certainly later than that
    const wanted = pumpEvent({ occurred, event: `${event}yes`, related, payload });
    await api.emit(
      pumpEvent({ occurred, event: `${event}no`, related, payload }),
      pumpEvent({ occurred, event: `${event}yes`, payload }),
      pumpEvent({ occurred, event: `${event}yes`, related }),
      wanted,
    );
    await client.until(({ length }) => length > 0);
    expect(client.ids).toEqual([wanted.id]);
    await ended.ping();
    expect(ended.messages).toEqual([]);
    await Promise.all([client.close(), ended.close()]);
  });

  test("expects the filter first without the subprotocol", async () => {
    const event = freshName();
    const client = await SocketClient.open(out(), { subprotocol: null });
    client.send({ type: "filter", filter: pythonFilter({ event: { name: [event] } }) });
    const wanted = pumpEvent({ event });
    await api.emit(wanted);
    await client.until(({ length }) => length > 0);
    expect(client.ids).toEqual([wanted.id]);
    await client.close();
  });
});
