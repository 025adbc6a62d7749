import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DeferringSocket } from "../../../src/api/sockets/peer.ts";
import { Random } from "../../support/random.ts";
import { startApi, type TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";
import { ago, anyTime, blockedReaders, postEvents, subscribeTo, ventEvent } from "./subscriptions.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ history: true });
});

afterAll(() => api.stop());

const post = (events: readonly unknown[], to = api) => postEvents(to, events);
const subscribe = (
  filter: Record<string, unknown>,
  { backfill = true, to = api }: { backfill?: boolean; to?: TestApi } = {},
) => subscribeTo(to, filter, backfill);

/** Posts one last event, waits until each client has received it, and returns the ids that each received before it. */
async function received(clients: readonly SocketClient[], name: string, to = api): Promise<string[][]> {
  const last = ventEvent(`${name}.last`);
  await post([last], to);
  return Promise.all(
    clients.map(async (client) => {
      await client.until(
        (messages) => (messages.at(-1)?.["event"] as { id: string } | undefined)?.id === last.id,
      );
      return client.ids.slice(0, -1);
    }),
  );
}

describe("a subscriber", () => {
  test("receives events as queries return them, with the time at which the server received them", async () => {
    const client = await subscribe({ ...anyTime, event: { prefix: ["shown"] } });
    const event = ventEvent("shown", { payload: { a: [1, null] }, occurred: "2026-03-01T10:30:00.5+01:00" });
    await post([event]);
    await client.ping();
    const live = ventEvent("shown.live", {
      related: [{ "prefect.resource.id": "r", "prefect.resource.role": "x" }],
    });
    await post([live]);
    await client.until(({ length }) => length === 1);
    const [message] = client.messages;
    const answer = await fetch(`${api.url}/api/events/filter`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ filter: { id: { id: [live.id] } } }),
    });
    const { events } = (await answer.json()) as { events: unknown[] };
    expect(message).toEqual({ type: "event", event: events[0] });
    expect(Object.keys(message?.["event"] as object)).toEqual([
      "occurred",
      "event",
      "resource",
      "related",
      "payload",
      "id",
      "follows",
      "received",
    ]);
    await client.close();
  });

  test("first receives past events, oldest first whatever order it requests, and at most 15 minutes of them", async () => {
    const events = [600, 30, 899, 5].map((age) => ventEvent("past", { occurred: ago(age) }));
    const tooOld = ventEvent("past", { occurred: ago(905) });
    await post([...events, tooOld]);
    const client = await subscribe({ ...anyTime, event: { prefix: ["past"] }, order: "DESC" });
    const sorted = events.toSorted((a, b) => (a.occurred < b.occurred ? -1 : 1)).map(({ id }) => id);
    expect(await received([client], "past")).toEqual([sorted]);
    const short = await subscribe({
      ...anyTime,
      occurred: { ...anyTime.occurred, since: ago(60) },
      event: { name: ["past"] },
    });
    await short.until(({ length }) => length === 2);
    expect(short.ids).toEqual(sorted.slice(2));
    await Promise.all([client.close(), short.close()]);
  });

  test("receives no past events without a backfill, but late events all the same", async () => {
    await post([ventEvent("late")]);
    const client = await subscribe({ ...anyTime, event: { prefix: ["late"] } }, { backfill: false });
    await client.ping();
    const late = ventEvent("late", { occurred: ago(1_800) });
    const tooLate = ventEvent("late", { occurred: ago(4_000) });
    await post([late, tooLate]);
    expect(await received([client], "late")).toEqual([[late.id]]);
    await client.close();
  });

  test("receives nothing that occurred after until, which is now by default", async () => {
    const past = ventEvent("until", { occurred: ago(1) });
    await post([past]);
    const client = await subscribe({ event: { prefix: ["until"] } });
    await client.until(({ length }) => length === 1);
    await client.ping();
    await post([ventEvent("until")]);
    const late = ventEvent("until", { occurred: ago(5) });
    await post([late]);
    await client.until(({ length }) => length === 2);
    expect(client.ids).toEqual([past.id, late.id]);
    await client.close();
  });

  test("may send anything after its filter, and gets its pings answered", async () => {
    const client = await subscribe(anyTime, { backfill: false });
    client.send("anything");
    await client.ping();
    expect(await client.close()).toEqual({ code: 1000, reason: "" });
  });

  test("sends its filter first without the subprotocol", async () => {
    const client = await SocketClient.open(`${api.url}/api/events/out`, { subprotocol: null });
    client.send({ type: "filter", filter: { ...anyTime, event: { prefix: ["legacy"] } } });
    await client.ping();
    expect(await received([client], "legacy")).toEqual([[]]);
    await client.close();
  });

  test("may send the filter of Prefect's client, with everything null", async () => {
    const nulls = {
      event: null,
      resource: null,
      related: null,
      any_resource: null,
      id: { id: [] },
      text: null,
    };
    const client = await subscribe({ ...anyTime, ...nulls, order: "DESC" }, { backfill: false });
    await client.ping();
    expect(await received([client], "nulls")).toEqual([[]]);
    await client.close();
  });

  const related = [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house", floor: "2" }];
  test.each([
    { filter: { event: { prefix: ["all.a"] } }, matching: { event: "all.a" } },
    { filter: { event: { name: ["all.b"] } }, matching: { event: "all.b" } },
    { filter: { event: { prefix: ["all."], exclude_prefix: ["all.o"] } }, matching: { event: "all.c" } },
    { filter: { event: { prefix: ["all."], exclude_name: ["all.other"] } }, matching: { event: "all.d" } },
    { filter: { resource: { id: ["vent.7"] } }, matching: { resource: { "prefect.resource.id": "vent.7" } } },
    {
      filter: { resource: { id_prefix: ["gate."] } },
      matching: { resource: { "prefect.resource.id": "gate.1" } },
    },
    {
      filter: { resource: { labels: { side: ["!north"] } } },
      matching: { resource: { "prefect.resource.id": "v", side: "south" } },
    },
    { filter: { related: { id: ["house.1"], role: ["house"] } }, matching: { related } },
    { filter: { related: [{ labels: { floor: "2" } }] }, matching: { related } },
    { filter: { related: { resources_in_roles: [["house.1", "house"]] } }, matching: { related } },
    { filter: { any_resource: { id_prefix: ["house."] } }, matching: { related } },
    { filter: { text: { query: '+"stuck open" -shut' } }, matching: { payload: { state: "Stuck open" } } },
  ])("receives live only what matches $filter", async ({ filter, matching }) => {
    const client = await subscribe({ ...anyTime, ...filter }, { backfill: false });
    await client.ping();
    const wanted = ventEvent("all.wanted", matching);
    await post([ventEvent("all.other"), wanted, ventEvent("all.other")]);
    await client.until(({ length }) => length > 0);
    await client.ping();
    expect(client.ids).toEqual([wanted.id]);
    await client.close();
  });

  test("receives only the ids in its filter", async () => {
    const [wanted, other] = [ventEvent("ids"), ventEvent("ids")];
    const client = await subscribe(
      { ...anyTime, id: { id: [wanted.id.toUpperCase()] } },
      { backfill: false },
    );
    await client.ping();
    await post([other, wanted]);
    await client.until(({ length }) => length > 0);
    expect(client.ids).toEqual([wanted.id]);
    await client.close();
  });

  test.each([
    { message: { type: "events" }, reason: "Expected 'filter' message" },
    { message: "no JSON", reason: "Expected 'filter' message" },
    { message: { type: "filter" }, reason: "Invalid filter: filter" },
    {
      message: { type: "filter", filter: { evnt: {} } },
      reason: "Invalid filter: filter.evnt: Extra inputs",
    },
    {
      message: { type: "filter", filter: { occurred: { since: "yesterday" } } },
      reason: "filter.occurred.since",
    },
    { message: { type: "filter", filter: {}, backfill: "yes" }, reason: "Invalid filter: backfill: " },
    {
      message: { type: "filter", filter: { text: { query: "ü".repeat(201) } } },
      reason: "filter.text.query",
    },
  ])("is rejected if it sends $message", async ({ message, reason }) => {
    const client = await SocketClient.prefect(`${api.url}/api/events/out`);
    client.send(message);
    const closed = await client.closed;
    expect(closed).toEqual({ code: 1002, reason: expect.stringContaining(reason) });
  });

  // Reading and checking it would keep the process from everything else, as it would in a request.
  test.each([
    { what: "1 MB", text: "x".repeat(1_000_001), code: 1009 },
    { what: "brackets", text: "[".repeat(500_000), code: 1002 },
    {
      what: "many values",
      text: `{"type":"filter","filter":{},"more":[${"0,".repeat(100_000)}0]}`,
      code: 1002,
    },
  ])("is rejected if its filter is $what", async ({ text, code }) => {
    const client = await SocketClient.prefect(`${api.url}/api/events/out`);
    client.send(text);
    expect(await client.closed).toMatchObject({ code });
  });
});

describe("between the past and the present", () => {
  // Writers post while subscribers connect at random moments. Batches repeat earlier ones, as clients do when an answer
  // was lost. The recorder runs at its own pace, and stops halfway.
  test.each([1, 2, 3])("nothing is missed and nothing is sent twice (seed %i)", async (seed) => {
    const random = new Random(seed);
    const busy = await startApi({ history: true });
    try {
      const posted: string[] = [];
      let writing = true;
      const writers = Array.from({ length: 4 }, async () => {
        const own: unknown[][] = [];
        // On a busy machine the subscribers are done before there is much to miss.
        while (writing || posted.length <= 200) {
          const events = Array.from({ length: random.integer(1, 20) }, () =>
            ventEvent("busy", { occurred: ago(random.integer(0, 600)) }),
          );
          const repeated = own.length > 0 && random.chance(0.5) ? random.pick(own) : [];
          await post([...events, ...repeated], busy);
          posted.push(...events.map(({ id }) => id));
          own.push(events);
        }
      });
      const clients: SocketClient[] = [];
      for (let joined = 0; joined < 12; joined += 1) {
        if (joined === 6) await busy.recorder?.stop();
        await pause(random.integer(0, 60));
        const client = await subscribe({ ...anyTime, event: { prefix: ["busy"] } }, { to: busy });
        clients.push(client);
        if (joined % 4 !== 3) continue;
        client.socket.pause();
        setTimeout(() => client.socket.resume(), 300);
      }
      writing = false;
      await Promise.all(writers);
      for (const ids of await received(clients, "busy", busy)) {
        expect(ids.toSorted()).toEqual(posted.toSorted());
      }
      await Promise.all(clients.map((client) => client.close()));
    } finally {
      await busy.stop();
    }
  });
});

// An event that arrives while the past is being sent may be recorded in time to be found there, and also arrives live.
// The subscriber reads nothing in between, so that sending its past takes as long as the test needs.
test("an event recorded while the past is being sent is sent once, even in the millisecond between past and live", async () => {
  const long = await startApi({ history: true });
  try {
    const text = "x".repeat(30_000);
    const past = Array.from({ length: 800 }, () =>
      ventEvent("long", { occurred: ago(60), payload: { text } }),
    );
    for (let start = 0; start < past.length; start += 200) await post(past.slice(start, start + 200), long);
    await long.recorder?.stop();
    const atBoundary = [ventEvent("long"), ventEvent("long")];
    const boundary = Date.now() + 100;
    const append = (event: unknown, sequence: number) =>
      long.connection.xadd(
        "tl:{default}:log",
        `${boundary}-${sequence}`,
        "kind",
        "event",
        "body",
        JSON.stringify(event),
      );
    await append({ ...atBoundary[0], related: [], payload: {}, follows: null }, 0);
    await recordAll(long);

    const sending = vi.spyOn(DeferringSocket.prototype, "send");
    const client = await SocketClient.prefect(`${long.url}/api/events/out`);
    client.socket.pause();
    client.send({ type: "filter", filter: { ...anyTime, event: { prefix: ["long"] } } });
    const socket = sending.mock.contexts[0] as DeferringSocket;
    while (socket.bufferedAmount < 1_000_000) await pause(5);
    sending.mockRestore();
    await append({ ...atBoundary[1], related: [], payload: {}, follows: null }, 1);
    const later = ventEvent("long");
    await post([later], long);
    await recordAll(long);
    client.socket.resume();
    const [ids] = await received([client], "long", long);
    expect(ids?.toSorted()).toEqual([...past, ...atBoundary, later].map(({ id }) => id).toSorted());
    await client.close();
  } finally {
    await long.stop();
  }
});

async function recordAll({ log, history }: TestApi): Promise<void> {
  const after = (await history?.recordedPosition()) ?? "";
  const { events, position } = await log.readEvents(after, { count: 1_000 });
  expect(await history?.record({ after, position, events })).toBe(events.length);
}

describe("an event that is not recorded", () => {
  test("is sent from the log if there is no history", async () => {
    const bare = await startApi();
    try {
      const events = [ventEvent("bare"), ventEvent("bare")];
      await post([...events, ventEvent("other")], bare);
      await post([events[0]], bare);
      const client = await subscribe({ ...anyTime, event: { prefix: ["bare"] } }, { to: bare });
      expect(await received([client], "bare", bare)).toEqual([events.map(({ id }) => id)]);
      await client.close();
    } finally {
      await bare.stop();
    }
  });
});

describe("when things end", () => {
  test("the last subscriber to leave leaves nothing behind", async () => {
    const quiet = await startApi();
    try {
      const before = await connections(quiet);
      const clients = await Promise.all([1, 2, 3].map(() => subscribe(anyTime, { to: quiet })));
      await blockedReaders(quiet, 1);
      const [first, second, third] = clients;
      await first?.close();
      second?.socket.terminate();
      await second?.closed;
      await blockedReaders(quiet, 1);
      await third?.close();
      await vi.waitFor(async () => expect(await connections(quiet)).toBeLessThanOrEqual(before), {
        timeout: 10_000,
        interval: 10,
      });
    } finally {
      await quiet.stop();
    }
  });

  test("a short outage of Redis passes, and nothing is missed", async () => {
    const shaken = await startApi();
    try {
      const client = await subscribe({ ...anyTime, event: { prefix: ["shaken"] } }, { to: shaken });
      await blockedReaders(shaken, 1);
      await shaken.redis.restart();
      const event = ventEvent("shaken");
      while ((await shaken.post(JSON.stringify([event]))).status !== 204) await pause(20);
      await client.until(({ length }) => length === 1);
      expect(client.ids).toEqual([event.id]);
      await client.close();
    } finally {
      await shaken.stop();
    }
  });

  // A Python client ends its iteration after 1000 and 1001, and reconnects after any other code.
  test("a server that stops asks its subscribers to reconnect", async () => {
    const stopping = await startApi();
    const idle = await subscribe(anyTime, { to: stopping });
    await idle.ping();
    await stopping.stop();
    expect(await idle.closed).toEqual({ code: 1012, reason: expect.stringContaining("connect again") });
  });

  test("a subscriber is disconnected while Redis is unavailable", async () => {
    const broken = await startApi();
    try {
      const client = await SocketClient.prefect(`${broken.url}/api/events/out`);
      await broken.redis.kill9();
      client.send({ type: "filter", filter: anyTime });
      expect(await client.closed).toMatchObject({ code: 1013 });
    } finally {
      await broken.stop();
    }
  });
});

async function connections({ connection }: TestApi): Promise<number> {
  return String(await connection.client("LIST")).split("\n").length;
}
