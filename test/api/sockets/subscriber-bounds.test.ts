/** What a subscriber that takes too much, or too long, is allowed; and how long the server waits for it or for Redis. */

import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DeferringSocket } from "../../../src/api/sockets/peer.ts";
import { systemClock } from "../../../src/retry/clock.ts";
import { startApi, type TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";
import { anyTime, blockedReaders, postEvents, subscribeTo, ventEvent } from "./subscriptions.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ history: true });
});

afterAll(() => api.stop());

describe("a slow subscriber", () => {
  test("misses nothing, and delays no other subscriber", async () => {
    const event = { prefix: ["slow"] };
    const slow = await subscribeTo(api, { ...anyTime, event }, false);
    const quick = await subscribeTo(api, { ...anyTime, event }, false);
    await Promise.all([slow.ping(), quick.ping()]);
    slow.socket.pause();
    const sending = vi.spyOn(DeferringSocket.prototype, "send");
    const events = Array.from({ length: 4_000 }, () =>
      ventEvent("slow", { payload: { text: "x".repeat(3_000) } }),
    );
    for (let start = 0; start < events.length; start += 500)
      await postEvents(api, events.slice(start, start + 500));
    const ids = events.map(({ id }) => id);
    await quick.until(({ length }) => length === ids.length);
    // What the slow one has no room for waits in the log, not in memory.
    const [slowCount, quickCount] = [...Map.groupBy(sending.mock.contexts, (socket) => socket).values()]
      .map(({ length }) => length)
      .toSorted((a, b) => a - b);
    expect(quickCount).toBe(ids.length);
    expect(slowCount).toBeLessThan(ids.length);
    sending.mockRestore();
    slow.socket.resume();
    await slow.until(({ length }) => length === ids.length);
    expect(slow.ids).toEqual(ids);
    expect(quick.ids).toEqual(ids);
    await Promise.all([slow.close(), quick.close()]);
  });

  // Its pongs would fill the memory, because nothing else limits how many pings it sends.
  test("gets no pongs while a megabyte waits for it", async () => {
    const slow = await subscribeTo(api, { ...anyTime, event: { prefix: ["piled"] } }, false);
    const sending = vi.spyOn(DeferringSocket.prototype, "send");
    const answering = vi.spyOn(DeferringSocket.prototype, "pong");
    try {
      await slow.ping();
      expect(answering).toHaveBeenCalledOnce();
      slow.socket.pause();
      const large = () => ventEvent("piled", { payload: { text: "x".repeat(100_000) } });
      const piled = () => (sending.mock.contexts.at(-1) as DeferringSocket | undefined)?.bufferedAmount ?? 0;
      while (piled() < 1_048_576) await postEvents(api, Array.from({ length: 10 }, large));
      const socket = sending.mock.contexts.at(-1) as DeferringSocket;
      const pinged = once(socket, "ping");
      slow.socket.ping("unanswered");
      await pinged;
      await new Promise(setImmediate);
      expect(answering).toHaveBeenCalledOnce();
    } finally {
      sending.mockRestore();
      answering.mockRestore();
      slow.socket.terminate();
    }
  });

  test("is disconnected once it is 20 minutes behind, and not a minute before", async () => {
    const client = await subscribeTo(api, { ...anyTime, event: { prefix: ["behind"] } }, false);
    await client.ping();
    const minute = 60_000;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 19 * minute });
    try {
      await postEvents(api, [ventEvent("behind")]);
      await client.until(({ length }) => length === 1);
      await client.ping();
      vi.setSystemTime(Date.now() + 2 * minute);
      await postEvents(api, [ventEvent("behind")]);
      expect(await client.closed).toEqual({ code: 1013, reason: expect.stringContaining("Too slow") });
    } finally {
      vi.useRealTimers();
    }
  });

  test("is disconnected if it reads nothing at all", async () => {
    const beating = await startApi({ webSockets: { heartbeatMs: 100 } });
    const cutting = vi.spyOn(DeferringSocket.prototype, "terminate");
    try {
      const stuck = await subscribeTo(beating, anyTime, false);
      await stuck.ping();
      stuck.socket.pause();
      const large = () => ventEvent("large", { payload: { text: "x".repeat(100_000) } });
      for (let count = 0; count < 10; count += 1)
        await postEvents(beating, Array.from({ length: 10 }, large));
      // Until then it must stay stuck: how much the kernel takes on its behalf differs between machines.
      await vi.waitUntil(() => cutting.mock.calls.length > 0, { timeout: 10_000 });
      await blockedReaders(beating, 0);
      stuck.socket.resume();
      expect(await stuck.closed).toMatchObject({ code: 1006 });
    } finally {
      cutting.mockRestore();
      await beating.stop();
    }
  });
});

test("a subscriber that sends no filter is disconnected", async () => {
  const quick = await startApi({ webSockets: { openingMs: 100 } });
  try {
    const client = await SocketClient.prefect(`${quick.url}/api/events/out`);
    expect(await client.closed).toEqual({
      code: 1013,
      reason: "No 'filter' message came in time; connect again",
    });
  } finally {
    await quick.stop();
  }
});

test("an outage of Redis that lasts longer than five seconds disconnects subscribers", async () => {
  const broken = await startApi();
  const sleeping = vi.spyOn(systemClock, "sleep");
  const now = vi.spyOn(performance, "now");
  try {
    const client = await subscribeTo(broken, anyTime, false);
    await blockedReaders(broken, 1);
    await broken.redis.kill9();
    await expect.poll(() => sleeping.mock.calls.length).toBeGreaterThan(0); // it waits for the next try
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    const later = performance.now() + 5_000;
    now.mockImplementation(() => later);
    expect(await client.closed).toMatchObject({ code: 1013 });
  } finally {
    now.mockRestore();
    sleeping.mockRestore();
    await broken.stop();
  }
});
