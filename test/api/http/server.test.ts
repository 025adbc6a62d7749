import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { Hono } from "hono";
import { expect, test, vi } from "vitest";
import { startServer } from "../../../src/api/http/server.ts";

// A program that posts events all the time keeps its connection open. Stopping must not wait for it to leave.
test("a client that keeps its connection busy does not keep the server from stopping", async () => {
  const arrived = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let requestCount = 0;
  const app = new Hono();
  app.get("/", async (context) => {
    requestCount += 1;
    arrived.resolve();
    await release.promise;
    return context.text("answered");
  });
  const server = await startServer(app, "127.0.0.1", 0);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = async (): Promise<string> => {
    const [response] = (await once(request({ agent, port: server.port }).end(), "response")) as [
      IncomingMessage,
    ];
    return (await response.toArray()).join("");
  };

  const answer = get();
  const next = get().catch((error: NodeJS.ErrnoException) => error.code);
  await arrived.promise;
  const started = performance.now();
  const stopped = server.stop();
  release.resolve();

  expect(await answer).toBe("answered");
  expect(await next).toMatch(/^(ECONNRESET|ECONNREFUSED)$/);
  await stopped;
  expect(performance.now() - started).toBeLessThan(4_000);
  expect(requestCount).toBe(1);
  agent.destroy();
});

// Otherwise one slow client could keep the process alive until it is killed, and everything else with it.
test("a request that takes longer than five seconds is cut off when the server stops", async () => {
  const arrived = Promise.withResolvers<void>();
  const app = new Hono();
  app.get("/", () => {
    arrived.resolve();
    return new Promise<Response>(() => {});
  });
  const server = await startServer(app, "127.0.0.1", 0);
  const socket = connect(server.port, "127.0.0.1");
  const closed = once(socket.resume(), "close");
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await arrived.promise;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const stopped = server.stop();
    vi.advanceTimersByTime(4_999);
    // The server has had every chance to close it.
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(socket.closed).toBe(false);
    vi.advanceTimersByTime(1);
    await Promise.all([closed, stopped]);
  } finally {
    vi.useRealTimers();
    socket.destroy();
  }
});

// Page tokens make URLs long, but a client must not fill the memory with a head that never ends.
test("a request may have a head of 64 KB, and no more", async () => {
  const app = new Hono();
  app.get("/", (context) => context.text(String(context.req.query("token")?.length)));
  const server = await startServer(app, "127.0.0.1", 0);
  const send = async (length: number): Promise<number | undefined> => {
    const sent = request({ agent: false, port: server.port, path: `/?token=${"x".repeat(length)}` }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };
  expect(await send(63 * 1_024)).toBe(200);
  expect(await send(65 * 1_024)).toBe(431);
  await server.stop();
});
