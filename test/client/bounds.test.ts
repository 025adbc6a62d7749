/** How long the client waits by default, how much it sends at once, and how much it keeps in memory. */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { batchesOf } from "../../src/client/events.ts";
import { backoffMs } from "../../src/client/http.ts";
import { type ReceivedEvent, Tripline, Unreachable, type WebSocketMaker } from "../../src/client/index.ts";
import { answer, hangUp, misbehavingServer } from "./support.ts";

const pump = { event: "pump.stopped", resource: { "prefect.resource.id": "pump.1" } };

async function serverThat(...answers: Parameters<typeof misbehavingServer>) {
  const server = await misbehavingServer(...answers);
  onTestFinished(server.stop);
  return server;
}

test("a busy server is given up at once if it asks to wait for more than 30 seconds", async () => {
  const server = await serverThat(answer(503, { detail: "Not now" }, { "Retry-After": "31" }));
  await expect(new Tripline({ url: server.url }).events.emit(pump)).rejects.toThrow("Not now");
  expect(server.requests).toHaveLength(1);
});

test.each([
  [408, 2],
  [429, 2],
  [502, 2],
  [503, 2],
  [504, 2],
  [500, 1], // it would most likely fail again
  [422, 1],
])("a request that is answered with %i is sent %i times", async (status, count) => {
  const server = await serverThat(answer(status, {}, { "Retry-After": "0" }), answer(204, null));
  await new Tripline({ url: server.url }).events.emit(pump).catch(() => {});
  expect(server.requests).toHaveLength(count);
});

test("each attempt has 30 seconds", async () => {
  const server = await serverThat(answer(204, null));
  const timing = vi.spyOn(AbortSignal, "timeout");
  onTestFinished(() => timing.mockRestore());
  await new Tripline({ url: server.url }).events.emit(pump);
  expect(timing.mock.calls).toEqual([[30_000]]);
});

test("a server that does not answer at all may be given up sooner than a busy one", async () => {
  const server = await serverThat(hangUp, answer(204, null));
  const tripline = new Tripline({ url: server.url, awayPatienceMs: 0 });
  await expect(tripline.events.emit(pump)).rejects.toThrow(Unreachable);
  expect(server.requests).toHaveLength(1);
});

test.each([
  [1, 250],
  [2, 500],
  [6, 8_000],
  [7, 10_000],
  [1_000, 10_000],
])("after attempt %i the client waits %i ms, or down to half as long", (attempt, longest) => {
  const waits = Array.from({ length: 100 }, () => backoffMs(attempt));
  expect(Math.max(...waits)).toBeLessThanOrEqual(longest);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(longest / 2);
});

test("a batch has at most 1,000 events and 8 MB", () => {
  const lengths = (events: readonly unknown[]) => [...batchesOf(events)].map(({ length }) => length);
  expect(lengths(Array(2_500).fill(pump))).toEqual([1_000, 1_000, 500]);
  expect(lengths(Array(5).fill("x".repeat(3_000_000)))).toEqual([2, 2, 1]);
  expect(lengths(["x".repeat(9_000_000), pump])).toEqual([1, 1]);
});

interface Connection {
  /** The filter that the client sent. */
  readonly filter: { readonly occurred: { readonly since?: string } };
  send(...events: ReceivedEvent[]): void;
  close(): void;
  readonly closed: Promise<unknown>;
}

/** A server of `/events/out`. The function is called for each subscription. */
async function streamServer(subscribed: (connection: Connection, number: number) => void) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "prefect" });
  onTestFinished(() => new Promise<void>((closed) => server.close(() => closed())));
  await once(server, "listening");
  let count = 0;
  server.on("connection", (socket) => {
    onTestFinished(() => socket.terminate());
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; filter: Connection["filter"] };
      if (message.type === "auth") {
        socket.send('{"type":"auth_success"}');
        return;
      }
      count += 1;
      const send = (...events: ReceivedEvent[]) => {
        for (const event of events) socket.send(JSON.stringify({ type: "event", event }));
      };
      const closed = once(socket, "close");
      subscribed({ filter: message.filter, send, close: () => socket.close(1012), closed }, count);
    });
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;
}

const received = "2026-03-01T12:00:00Z";

const arrivals = (count: number): ReceivedEvent[] =>
  Array.from({ length: count }, () => ({
    ...pump,
    id: randomUUID(),
    occurred: received,
    received,
    related: [],
    payload: {},
    follows: null,
  }));

function streamOf(url: string) {
  const tripline = new Tripline({ url, WebSocket: NodeWebSocket as unknown as WebSocketMaker });
  const stream = tripline.events.stream();
  onTestFinished(async () => void (await stream.return()));
  return stream;
}

// Otherwise everything that arrives while a reader is busy would be kept in its memory.
test("a reader that falls 10,000 events behind is disconnected, and asks for the others later", async () => {
  const events = arrivals(12_000);
  const disconnected = Promise.withResolvers<unknown>();
  const url = await streamServer((connection, number) => {
    if (number === 1) disconnected.resolve(connection.closed);
    connection.send(...events);
  });
  const stream = streamOf(url);
  const first = await stream.next();
  await disconnected.promise;
  const ids = [first.value?.id];
  while (ids.length < events.length) ids.push((await stream.next()).value?.id);
  expect(ids).toEqual(events.map(({ id }) => id));
});

test("a reader that keeps up is not disconnected", async () => {
  const events = arrivals(12_000);
  let connectionCount = 0;
  const url = await streamServer((connection) => {
    connectionCount += 1;
    connection.send(...events.slice(0, 6_000));
    setTimeout(() => connection.send(...events.slice(6_000)), 200);
  });
  const stream = streamOf(url);
  for (let count = 0; count < events.length; count++) await stream.next();
  expect(connectionCount).toBe(1);
});

test("after a break, the client asks for what was received up to a minute before it", async () => {
  const asked = Promise.withResolvers<string | undefined>();
  const url = await streamServer((connection, number) => {
    if (number === 2) asked.resolve(connection.filter.occurred.since);
    connection.send(...arrivals(1));
    if (number === 1) connection.close();
  });
  const stream = streamOf(url);
  await stream.next();
  await stream.next();
  expect(await asked.promise).toBe("2026-03-01T11:59:00.000Z");
});

test("a repeated event is recognized among the latest 20,000, and forgotten after that", async () => {
  const [first, ...others] = arrivals(20_001);
  const connected = Promise.withResolvers<Connection>();
  const stream = streamOf(await streamServer(connected.resolve));
  const next = stream.next();
  const { send } = await connected.promise;
  const read = async (...events: readonly ReceivedEvent[]) => {
    send(...events);
    const ids: unknown[] = [];
    while (ids.length < events.length) ids.push((await stream.next()).value?.id);
    return ids;
  };
  send(first!);
  await next;
  for (let start = 0; start < 15_000; start += 5_000) await read(...others.slice(start, start + 5_000));
  await read(...others.slice(15_000, 19_999));
  send(first!); // is left out
  expect(await read(others[19_999]!)).toEqual([others[19_999]!.id]);
  expect(await read(first!)).toEqual([first!.id]);
});

test("a stream that cannot connect is given up after five minutes", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  let attemptCount = 0;
  class Refused {
    addEventListener(type: string, listener: (event: object) => void): void {
      if (type !== "close") return;
      attemptCount += 1;
      setImmediate(() => listener({ code: 1006, reason: "" }));
    }
    send(): void {}
    close(): void {}
  }
  const tripline = new Tripline({ url: "http://127.0.0.1:1/api", WebSocket: Refused as WebSocketMaker });
  const next = tripline.events.stream().next();
  let isOver = false;
  const over = next.catch((error: unknown) => {
    isOver = true;
    return error;
  });
  const attempted = async (count: number) => {
    while (attemptCount < count) await new Promise(setImmediate);
  };
  await attempted(1);
  vi.setSystemTime(Date.now() + 299_000);
  await attempted(2);
  expect(isOver).toBe(false);
  vi.setSystemTime(Date.now() + 2_000);
  expect(await over).toBeInstanceOf(Unreachable);
});
