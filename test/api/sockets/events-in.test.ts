import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DeferringSocket } from "../../../src/api/sockets/peer.ts";
import { connect } from "../../../src/store/connection.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

const url = () => `${api.url}/api/events/in`;

describe("a WebSocket for events", () => {
  test("speaks Prefect's subprotocol, answers a ping before anything else, and compresses nothing", async () => {
    const client = await SocketClient.open(url(), { perMessageDeflate: true });
    expect(client.socket.protocol).toBe("prefect");
    expect(client.socket.extensions).toBe("");
    await client.ping();
    client.send({ type: "auth", token: null });
    await client.until(([first]) => first !== undefined);
    expect(client.messages).toEqual([{ type: "auth_success" }]);
    await client.close();
  });

  test("accepts one event per frame, in order, and stores all of them before it answers the close", async () => {
    const client = await SocketClient.prefect(url());
    const events = Array.from({ length: 1_200 }, () => pumpEvent());
    for (const event of events) client.send(event);
    // If the close were answered at once, it would overtake events that still wait for Redis.
    await api.connection.client("PAUSE", 200, "WRITE");
    expect(await client.close()).toEqual({ code: 1000, reason: "" });
    expect((await idsInLog()).slice(-events.length)).toEqual(events.map(({ id }) => id));
  });

  test("accepts messages, pings and the close in one go, from a client that waits for no pong", async () => {
    const client = await SocketClient.open(url());
    const event = pumpEvent();
    client.socket.ping("a");
    client.send({ type: "auth" });
    client.socket.ping("b");
    client.send(event);
    client.socket.ping("c");
    expect((await client.close()).code).toBe(1000);
    expect(await idsInLog()).toContain(event["id"]);
  });

  // Prefect's client forgets the events before a ping as soon as its pong arrives.
  test("sends a pong when everything before the ping is in the log, and not sooner", async () => {
    const client = await SocketClient.prefect(url());
    const before = (await idsInLog()).length;
    await api.connection.client("PAUSE", 300, "WRITE");
    for (let sent = 0; sent < 50; sent += 1) client.send(pumpEvent());
    await client.ping("first");
    expect((await idsInLog()).length).toBe(before + 50);
    for (let sent = 0; sent < 700; sent += 1) client.send(pumpEvent());
    const second = client.ping("second");
    client.send(pumpEvent());
    await second;
    expect((await idsInLog()).length).toBeGreaterThanOrEqual(before + 750);
    await client.close();
  });

  test("accepts events in binary frames, as some clients send them", async () => {
    const client = await SocketClient.prefect(url());
    const event = pumpEvent();
    client.socket.send(Buffer.from(JSON.stringify(event)), { binary: true });
    await client.close();
    expect(await idsInLog()).toContain(event["id"]);
  });

  test("counts the events that it accepts and rejects", async () => {
    const counts = async () => {
      const text = await api.metrics.text();
      const accepted = /tripline_events_accepted_total (\d+)/.exec(text)?.[1];
      const rejected = /tripline_events_rejected_total\{reason="invalid"\} (\d+)/.exec(text)?.[1];
      return { accepted: Number(accepted), rejected: Number(rejected) };
    };
    const before = await counts();
    const client = await SocketClient.prefect(url());
    client.send(pumpEvent());
    client.send(pumpEvent());
    client.send("no event");
    await client.close();
    expect(await counts()).toEqual({ accepted: before.accepted + 2, rejected: before.rejected + 1 });
  });

  test("accepts events at once without the subprotocol, and sends no messages", async () => {
    const client = await SocketClient.open(url(), { subprotocol: null });
    const event = pumpEvent();
    client.send(event);
    await client.ping();
    expect(await idsInLog()).toContain(event["id"]);
    expect(client.messages).toEqual([]);
    await client.close();
  });

  test("is also available under Prefect Cloud's paths, for the workspace in the path", async () => {
    const cloud = (workspace: string) => `${api.url}/api/accounts/a/workspaces/${workspace}/events/in`;
    const client = await SocketClient.prefect(cloud("default"));
    const event = pumpEvent();
    client.send(event);
    await client.close();
    expect(await idsInLog()).toContain(event["id"]);
    const other = await SocketClient.open(cloud("another"));
    other.send({ type: "auth", token: "whatever" });
    expect(await other.closed).toEqual({ code: 1008, reason: "Invalid token" });
    await expect(SocketClient.open(cloud("another"), { subprotocol: null })).rejects.toThrow("404");
  });
});

// Without a limit, a client that is faster than Redis would fill the server's memory.
test.each([
  { what: "2,000 frames", count: 5_000, length: 1 },
  { what: "4 MB", count: 60, length: 100_000 },
])("no more than $what wait for Redis: the connection is paused until there is room", async (frames) => {
  const pausing = vi.spyOn(DeferringSocket.prototype, "pause");
  const redis = connect(api.redis.url); // the server's own connection waits, too
  const client = await SocketClient.prefect(url());
  try {
    await redis.client("PAUSE", 4_000, "WRITE");
    const payload = { text: "x".repeat(frames.length) };
    const events = Array.from({ length: frames.count }, () => pumpEvent({ payload }));
    for (const event of events) client.send(event);
    await vi.waitUntil(() => pausing.mock.calls.length > 0, { timeout: 3_500 });
    await redis.client("UNPAUSE");
    await client.ping();
    expect((await idsInLog()).slice(-events.length)).toEqual(events.map(({ id }) => id));
    await client.close();
  } finally {
    pausing.mockRestore();
    redis.disconnect();
  }
});

describe("a connection is refused", () => {
  test.each([{ message: { type: "event" } }, { message: "auth" }, { message: { type: "auth", token: 17 } }])(
    "when its first message is $message",
    async ({ message }) => {
      const client = await SocketClient.open(url());
      client.send(message);
      expect(await client.closed).toEqual({ code: 1008, reason: "Expected 'auth' message" });
    },
  );

  test("when it is opened by a page of another site", async () => {
    const origin = "http://elsewhere.example";
    await expect(SocketClient.open(url(), { origin })).rejects.toThrow("403");
    await (await SocketClient.open(url(), { origin: api.url })).close();
  });

  test("at a path that has no WebSocket", async () => {
    await expect(SocketClient.open(`${api.url}/api/events`)).rejects.toThrow("404");
    await expect(SocketClient.open(`${api.url}/events/in`)).rejects.toThrow("404");
  });

  test("when it sends nothing for too long", async () => {
    const quick = await startApi({ webSockets: { openingMs: 50 } });
    try {
      const client = await SocketClient.open(`${quick.url}/api/events/in`);
      // Not 1008: Prefect's clients would take it for a refusal, although the server may be the one that is slow.
      expect(await client.closed).toEqual({
        code: 1013,
        reason: "No 'auth' message came in time; connect again",
      });
    } finally {
      await quick.stop();
    }
  });
});

describe("by default a peer has", () => {
  test("30 seconds for each of its opening messages", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const client = await SocketClient.open(url());
      await client.ping();
      vi.advanceTimersByTime(29_999);
      await client.ping();
      vi.advanceTimersByTime(1);
      expect(await client.closed).toMatchObject({ code: 1013 });
    } finally {
      vi.useRealTimers();
    }
  });

  test("30 seconds to show that it is alive", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const beating = await startApi();
    try {
      const dead = await SocketClient.open(`${beating.url}/api/events/in`, { autoPong: false });
      let pingCount = 0;
      dead.socket.on("ping", () => {
        pingCount += 1;
      });
      vi.advanceTimersByTime(29_999);
      await dead.ping();
      expect(pingCount).toBe(0);
      const pinged = once(dead.socket, "ping");
      vi.advanceTimersByTime(1);
      await pinged;
      vi.advanceTimersByTime(30_000);
      expect(await dead.closed).toMatchObject({ code: 1006 });
    } finally {
      vi.useRealTimers();
      await beating.stop();
    }
  });

  test("5 seconds to answer a close", async () => {
    const closing = vi.spyOn(DeferringSocket.prototype, "closeNow");
    const client = await SocketClient.prefect(url());
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      client.sendRaw([0xff, 0x80, 1, 2, 3, 4]); // no frame
      client.socket.pause();
      while (closing.mock.calls.length === 0) await new Promise(setImmediate);
      const socket = closing.mock.contexts[0] as DeferringSocket;
      vi.advanceTimersByTime(4_999);
      expect(socket.readyState).toBe(socket.CLOSING);
      vi.advanceTimersByTime(1);
      vi.useRealTimers();
      // Well before the heartbeat would cut it off.
      await expect.poll(() => socket.readyState, { timeout: 10_000 }).toBe(socket.CLOSED);
    } finally {
      vi.useRealTimers();
      closing.mockRestore();
      client.socket.terminate();
    }
  });

  test("5 seconds to leave when the server stops", async () => {
    const stopping = await startApi();
    const redis = connect(stopping.redis.url);
    const client = await SocketClient.prefect(`${stopping.url}/api/events/in`);
    // The server cannot close the connection in good order while an event waits for Redis.
    await redis.client("PAUSE", 60_000, "WRITE");
    client.send(pumpEvent());
    await expect.poll(async () => String(await redis.client("LIST"))).toMatch(/flags=\S*b.* cmd=eval/);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const stopped = stopping.stop();
      vi.advanceTimersByTime(4_999);
      // The server has had every chance to close it.
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      expect(client.socket.readyState).toBe(client.socket.OPEN);
      vi.advanceTimersByTime(1);
      expect(await client.closed).toMatchObject({ code: 1006 });
      await redis.client("UNPAUSE");
      await stopped;
    } finally {
      vi.useRealTimers();
      redis.disconnect();
    }
  });
});

test("a plain HTTP request is answered with 426", async () => {
  const answer = await fetch(url());
  expect(answer.status).toBe(426);
  expect(answer.headers.get("upgrade")).toBe("websocket");
});

test("a request that offers an upgrade to another protocol is answered over HTTP", async () => {
  const { request } = await import("node:http");
  const headers = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABk" };
  const status = await new Promise((resolve, reject) => {
    const sent = request(`${api.url}/api/health`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject).end();
  });
  expect(status).toBe(200);
});

describe("when things break", () => {
  test("an outage of Redis closes the connection with an error, and no pong is sent", async () => {
    const broken = await startApi();
    try {
      const client = await SocketClient.prefect(`${broken.url}/api/events/in`);
      await broken.redis.kill9();
      client.send(pumpEvent());
      const pong = client.ping();
      const closed = await client.closed;
      expect(closed).toEqual({
        code: 1013,
        reason: expect.stringContaining("resend what no pong confirmed"),
      });
      await expect(Promise.race([pong.then(() => "pong"), Promise.resolve("none")])).resolves.toBe("none");
    } finally {
      await broken.stop();
    }
  });

  test("a server that stops asks its clients to reconnect", async () => {
    const stopping = await startApi();
    const client = await SocketClient.prefect(`${stopping.url}/api/events/in`);
    await client.ping();
    await stopping.stop();
    expect(await client.closed).toMatchObject({ code: 1012 });
  });

  test("a client that answers no pings is disconnected, and one that answers them is not", async () => {
    const beating = await startApi({ webSockets: { heartbeatMs: 60 } });
    try {
      const alive = await SocketClient.prefect(`${beating.url}/api/events/in`);
      const dead = await SocketClient.open(`${beating.url}/api/events/in`, { autoPong: false });
      expect(await dead.closed).toMatchObject({ code: 1006 });
      await alive.ping();
      await alive.close();
    } finally {
      await beating.stop();
    }
  });
});

async function idsInLog(): Promise<string[]> {
  return (await api.events()).map(({ event }) => event.id);
}
