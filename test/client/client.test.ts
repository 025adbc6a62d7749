/** The client against a real server, and against ones that misbehave. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket as NodeWebSocket, WebSocketServer } from "ws";
import { retryAfterMs } from "../../src/client/http.ts";
import type { NewAutomation, ReceivedEvent, WebSocketMaker } from "../../src/client/index.ts";
import {
  NotAllowed,
  NotFound,
  Refused,
  Tripline,
  TriplineError,
  Unreachable,
} from "../../src/client/index.ts";
import { startApi, type TestApi } from "../api/support.ts";
import { answer, hangUp, misbehavingServer, proxyTo } from "./support.ts";

const WebSocket = NodeWebSocket as unknown as WebSocketMaker;

let api: TestApi;
let tripline: Tripline;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  api = await startApi({ history: true });
  tripline = new Tripline({ url: `${api.url}/api`, WebSocket });
});

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

afterAll(async () => {
  await api?.stop();
});

const pump = (number: number, name = "pump.stopped") => ({
  event: name,
  resource: { "prefect.resource.id": `pump.${number}` },
});

const automation: NewAutomation = {
  name: "A pump stopped",
  trigger: { expect: ["pump.stopped"], threshold: 2, within: "1h" },
  actions: [],
};

describe("events", () => {
  test("count once, however often they are emitted", async () => {
    const sent = await tripline.events.emit([pump(1, "once.a"), pump(2, "once.a")]);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2);
    expect(await tripline.events.emit(sent)).toEqual(sent);
    const { total } = await tripline.events.page({ event: { name: ["once.a"] } });
    expect(total).toBe(2);
  });

  test("are all stored but those that the server refuses, if the caller wants to hear of those", async () => {
    const refused: [string, string | undefined][] = [];
    const events = Array.from({ length: 1_500 }, (_, index) => ({
      ...pump(index, "picked"),
      ...(index % 5 === 0 ? { id: `bad ${index}` } : {}),
    }));
    const stored = await tripline.events.emit(events, {
      onRefused: ({ id }, [mistake]) => refused.push([id, mistake?.msg]),
    });
    expect(stored.length).toBe(1_200);
    const bad = events.flatMap((event) =>
      "id" in event ? [[event.id, "Input should be a valid UUID"]] : [],
    );
    expect(refused).toEqual(bad);
    expect((await tripline.events.page({ event: { name: ["picked"] } })).total).toBe(1_200);
  });

  // A proxy, or a server that is asked for too much at once, does not say which of them it means.
  test("are sent in halves if the batch is too much", async () => {
    const limit = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      if (body.length > 2_000) {
        response.writeHead(413, { "Content-Type": "text/html" }).end("<h1>413 Request Entity Too Large</h1>");
        return;
      }
      const { status } = await fetch(`${api.url}/api/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      });
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => limit.listen(0, "127.0.0.1", resolve));
    const { port } = limit.address() as AddressInfo;
    const events = Array.from({ length: 60 }, (_, index) => ({
      ...pump(index, "halved"),
      payload: { text: "x".repeat(index === 7 ? 3_000 : 10) },
    }));
    const refused: unknown[] = [];
    const proxied = new Tripline({ url: `http://127.0.0.1:${port}/api` });
    const stored = await proxied.events.emit(events, { onRefused: ({ payload }) => refused.push(payload) });
    limit.closeAllConnections();
    limit.close();
    expect(stored).toHaveLength(59);
    expect(refused).toEqual([events[7]?.payload]);
    expect((await tripline.events.page({ event: { name: ["halved"] } })).total).toBe(59);
  });

  test("are found page by page, each once and in order", async () => {
    const start = Date.now() - 60_000;
    const sent = await tripline.events.emit(
      Array.from({ length: 7 }, (_, index) => ({
        ...pump(index, "paged"),
        occurred: new Date(start + index * 1_000),
      })),
    );
    const found: string[] = [];
    const filter = { event: { name: ["paged"] }, order: "ASC" } as const;
    for await (const { id } of tripline.events.filter(filter, { pageSize: 3 })) found.push(id);
    expect(found).toEqual(sent.map(({ id }) => id));
    const counts = await tripline.events.count("resource", filter);
    expect(counts.map(({ count }) => count)).toEqual(Array(7).fill(1));
  });

  test("are streamed across a broken connection, with none missed and none repeated", async () => {
    const proxy = await proxyTo(`${api.url}/api`);
    stops.push(proxy.stop);
    const distant = new Tripline({ url: proxy.url, WebSocket });
    const names = { event: { prefix: ["stream."] } };
    const before = await tripline.events.emit(pump(1, "stream.before"));
    const stream = distant.events.stream(names);
    stops.push(async () => void (await stream.return()));
    const next = async (): Promise<ReceivedEvent | undefined> => (await stream.next()).value ?? undefined;
    expect((await next())?.id).toBe(before[0]?.id);
    const live = await tripline.events.emit(pump(2, "stream.live"));
    expect((await next())?.id).toBe(live[0]?.id);

    proxy.block();
    const duringOutage = await tripline.events.emit([pump(3, "stream.outage"), pump(4, "stream.outage")]);
    const waiting = next();
    proxy.open();
    const ids = [(await waiting)?.id, (await next())?.id];
    expect(ids.sort()).toEqual(duringOutage.map(({ id }) => id).sort());
    proxy.cut();
    const after = await tripline.events.emit(pump(5, "stream.after"));
    expect((await next())?.id).toBe(after[0]?.id);
  });

  test("of the past are left out of a stream without backfill, even after a reconnect", async () => {
    const proxy = await proxyTo(`${api.url}/api`);
    stops.push(proxy.stop);
    await tripline.events.emit(pump(1, "fresh"));
    const stop = new AbortController();
    const options = { backfill: false, signal: stop.signal };
    const stream = new Tripline({ url: proxy.url, WebSocket }).events.stream(
      { event: { name: ["fresh"] } },
      options,
    );
    const first = stream.next();
    // Nothing says when the subscription is active. Events emitted before that are rightly left out.
    const emitted: string[] = [];
    const emitting = setInterval(async () => {
      for (const { id } of await tripline.events.emit(pump(2, "fresh"))) emitted.push(id);
    }, 50);
    const { value } = await first;
    clearInterval(emitting);
    proxy.cut();
    const [last] = await tripline.events.emit(pump(3, "fresh"));
    const received = [value?.id];
    while (received.at(-1) !== last?.id) received.push((await stream.next()).value?.id);
    expect([...emitted, last?.id]).toEqual(expect.arrayContaining(received));
    expect(new Set(received).size).toBe(received.length);
    const end = stream.next();
    stop.abort(new Error("enough"));
    await expect(end).rejects.toThrow("enough");
  });
});

describe("automations", () => {
  test("can be created, read, changed, paused, explained and deleted", async () => {
    const { automations } = tripline;
    const created = await automations.create(automation);
    expect(created).toMatchObject({ name: "A pump stopped", enabled: true, trigger: { within: 3_600 } });
    expect(await automations.get(created.id)).toEqual(created);
    expect((await automations.list()).map(({ id }) => id)).toContain(created.id);
    expect((await automations.list({ names: ["A pump stopped"] })).map(({ id }) => id)).toEqual([created.id]);
    await automations.update(created.id, { ...automation, actions: [], tags: ["greenhouse"] });
    await automations.pause(created.id);
    expect(await automations.get(created.id)).toMatchObject({ enabled: false, tags: ["greenhouse"] });
    await automations.resume(created.id);
    expect(await automations.windows(created.id, { limit: 10_000 })).toMatchObject({ count: 0, windows: [] });
    await expect(automations.windows(created.id, { limit: 10_001 })).rejects.toThrow("10000");
    const explanation = await automations.explain(created.id, pump(1));
    const toAll = await automations.explainToAll(pump(1), { limit: 5 });
    expect(toAll.explanations.map(({ automation }) => automation.id)).toContain(created.id);
    expect(explanation).toMatchObject({ fired: false, complete: true });
    await automations.delete(created.id);
    await expect(automations.get(created.id)).rejects.toThrow(NotFound);
  });

  test("that are invalid are rejected, and every mistake is listed", async () => {
    const invalid = { ...automation, name: "", actions: [{ type: "call-webhook" as const }] };
    const refused = await tripline.automations.create(invalid).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refused);
    const { status, mistakes, message } = refused as Refused;
    expect(status).toBe(422);
    expect(mistakes.map(({ loc }) => loc.join("."))).toEqual(["body.name", "body.actions.0.url"]);
    expect(message).toMatch(/^name: .*\nactions\.0\.url: /);
  });
});

test("the client manages destinations and reads deliveries", async () => {
  const secret = "https://example.org/secret-path";
  const created = await tripline.destinations.create({ type: "slack", name: "ops", url: secret });
  expect(JSON.stringify(created)).not.toContain("secret-path");
  await tripline.destinations.update("ops", { type: "slack", name: "ops", description: "Now", url: secret });
  expect((await tripline.destinations.list()).map(({ id }) => id)).toEqual([created.id]);
  expect(await tripline.destinations.get(created.id)).toMatchObject({ description: "Now" });
  await tripline.destinations.delete(created.id);
  expect(await tripline.deliveries.list()).toEqual({ deliveries: [], total: 0, next_offset: null });
  expect(await tripline.deliveries.list({ state: "retrying", limit: 1 })).toEqual({
    deliveries: [],
    total: 0,
    next_offset: null,
  });
  await expect(tripline.deliveries.get(created.id)).rejects.toThrow(NotFound);
  await expect(tripline.deliveries.redeliver(created.id)).rejects.toThrow(NotFound);
});

describe("a server that is unavailable or busy", () => {
  test("receives the same events again, at the time that its Retry-After names", async () => {
    const server = await misbehavingServer(
      hangUp,
      answer(503, {}, { "Retry-After": "1" }),
      answer(204, null),
    );
    stops.push(server.stop);
    await new Tripline({ url: server.url }).events.emit(pump(1));
    const [first, second, third] = server.requests;
    expect(server.requests).toHaveLength(3);
    expect([second?.body, third?.body]).toEqual([first?.body, first?.body]);
    expect((third?.receivedAt ?? 0) - (second?.receivedAt ?? 0)).toBeGreaterThan(950);
  });

  // The first request may have created one, and a second automation would fire as well.
  test("receives a request to create an automation only once", async () => {
    const server = await misbehavingServer(hangUp);
    stops.push(server.stop);
    const creation = new Tripline({ url: server.url }).automations.create(automation);
    await expect(creation).rejects.toThrow(Unreachable);
    expect(server.requests).toHaveLength(1);
  });

  test("receives a request to create an automation again after it answered 429", async () => {
    const server = await misbehavingServer(
      answer(429, {}, { "Retry-After": "0" }),
      answer(201, { id: "new" }),
    );
    stops.push(server.stop);
    expect(await new Tripline({ url: server.url }).automations.create(automation)).toEqual({ id: "new" });
  });

  test("is retried until patienceMs has passed or the caller aborts", async () => {
    const server = await misbehavingServer(answer(503, { detail: "Not now" }, { "Retry-After": "5" }));
    stops.push(server.stop);
    const impatient = new Tripline({ url: server.url, patienceMs: 100 });
    await expect(impatient.events.emit(pump(1))).rejects.toThrow("Not now");
    const stop = new AbortController();
    const emitted = new Tripline({ url: server.url }).events.emit(pump(1), { signal: stop.signal });
    stop.abort(new Error("Never mind"));
    await expect(emitted).rejects.toThrow("Never mind");
  });

  test("may take at most timeoutMs to answer an attempt", async () => {
    const server = await misbehavingServer(() => {});
    stops.push(server.stop);
    const emitted = new Tripline({ url: server.url, timeoutMs: 50, patienceMs: 0 }).events.emit(pump(1));
    await expect(emitted).rejects.toThrow(/no answer within 50 ms/);
  });
});

describe("a key", () => {
  test("is sent with each request, and only to its own server", async () => {
    let host = "";
    const keys: (string | undefined)[] = [];
    const page = answer(200, {
      events: [],
      total: 0,
      next_page: "http://elsewhere.invalid/api/events/filter/next?page-token=t",
    });
    const server = await misbehavingServer(
      (response, request) => {
        host = request.headers.host ?? "";
        keys.push(request.headers.authorization);
        page(response);
      },
      (response, request) => {
        keys.push(request.headers.authorization);
        expect(request.headers.host).toBe(host);
        answer(200, { events: [], total: 0, next_page: null })(response);
      },
    );
    stops.push(server.stop);
    for await (const _ of new Tripline({ url: server.url, key: "k" }).events.filter()) expect.fail();
    expect(keys).toEqual(["Bearer k", "Bearer k"]);
    expect(server.requests[1]?.path).toBe("/api/events/filter/next?page-token=t");
  });

  test("that is invalid is reported at once", async () => {
    const server = await misbehavingServer(answer(401, { exception_message: "Unauthorized" }));
    stops.push(server.stop);
    await expect(new Tripline({ url: server.url }).automations.list()).rejects.toThrow(NotAllowed);
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    stops.push(() => new Promise((closed) => sockets.close(() => closed())));
    await new Promise((listening) => sockets.once("listening", listening));
    sockets.on("connection", (socket) => socket.on("message", () => socket.close(1008, "Invalid token")));
    const { port } = sockets.address() as { port: number };
    const stream = new Tripline({ url: `http://127.0.0.1:${port}/api`, WebSocket }).events.stream();
    await expect(stream.next()).rejects.toThrow(new NotAllowed(401, "Invalid token"));
  });
});

test("an invalid URL is rejected before anything is sent", () => {
  expect(() => new Tripline({ url: "localhost:4200" })).toThrow(TriplineError);
});

test.each([
  [null, null],
  ["2", 2_000],
  ["0.5", 500],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", null],
])("Retry-After: %s means to wait %s ms", (header, ms) => {
  expect(retryAfterMs(header)).toBe(ms);
});
