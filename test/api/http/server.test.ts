import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { Hono } from "hono";
import { expect, test } from "vitest";
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
