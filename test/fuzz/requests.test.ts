/**
 * Whatever the server receives, it answers as documented, stores nothing that it rejects, and keeps running.
 *
 * Set TRIPLINE_TEST_SEED for other requests, and TRIPLINE_FUZZ_RUNS for more of them.
 */

import { type IncomingMessage, request } from "node:http";
import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { SocketClient } from "../api/sockets/socket-client.ts";
import { ContractServer, pumpEvent } from "../prefect/contract-support.ts";
import fc, { seed } from "../support/fast-check.ts";
import { type AnyRequest, anyRequest, validRequests } from "./any-request.ts";

const numRuns = Number(process.env["TRIPLINE_FUZZ_RUNS"] ?? 800);

let server: ContractServer;
let redis: RedisConnection;

beforeAll(async () => {
  // No engine, so only requests change what is stored.
  server = await ContractServer.start(["--roles", "api,recorder", "--lease", "1h"]);
  redis = connect(server.redis.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

/** @returns null if the connection ended without an answer */
function send({ method, path, headers, body }: AnyRequest): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const length = body === null ? {} : { "Content-Length": String(body.length) };
    const options = { host: "127.0.0.1", port: new URL(server.api).port, method, path, agent: false };
    const done = (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"] ?? "",
          body: Buffer.concat(chunks),
        }),
      );
      response.on("error", reject);
    };
    const sent = request({ ...options, headers: { ...headers, ...length } }, done);
    // The handshake succeeded: leave the WebSocket at once.
    sent.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode ?? 0, type: "", body: Buffer.alloc(0) });
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // The server may answer and close before it has read everything.
      if (error.code === "ECONNRESET" || error.code === "EPIPE") resolve(null);
      else reject(error);
    });
    sent.end(body ?? undefined);
  });
}

const keys = workspaceKeys("default");

/** Everything that requests can change. Beats come by themselves. */
async function stored(): Promise<string> {
  const [last, destinations, hooks] = await Promise.all([
    redis.xrevrange(keys.log, "+", "-", "COUNT", 200),
    redis.hgetall(keys.destinations),
    redis.hgetall(keys.hooks),
  ]);
  return JSON.stringify([last.find(([, fields]) => fields[1] !== "beat")?.[0], destinations, hooks]);
}

const pageTypes =
  /^(?:text\/html|text\/plain|text\/css|text\/javascript|application\/javascript|image\/svg\+xml)/;

test("no request makes the server fail, answer with a wrong content type, or store what it rejects", {
  timeout: 240_000,
}, async () => {
  const seen = new Map<number, number>();
  let before = await stored();
  await fc.assert(
    fc.asyncProperty(anyRequest, async (sent) => {
      const answer = await send(sent);
      const after = await stored();
      if (answer === null) {
        expect(after).toBe(before);
        return;
      }
      const { status, type, body } = answer;
      seen.set(status, (seen.get(status) ?? 0) + 1);
      expect({ status, body: status >= 500 ? body.toString() : "" }).toEqual({
        status: expect.toSatisfy((code: number) => code < 500),
        body: "",
      });
      if (type.startsWith("application/json")) {
        if (sent.method !== "HEAD") JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
      } else if (body.length > 0) {
        expect({ type, isError: status >= 400 }).toEqual({
          type: expect.stringMatching(pageTypes),
          isError: false,
        });
      }
      if (status >= 400) expect(after).toBe(before);
      before = after;
    }),
    { seed, numRuns, endOnFailure: true, examples: validRequests.map((valid) => [valid]) },
  );
  // If every request were rejected at once, the fuzzer would test nothing.
  for (const status of [200, 201, 204, 404, 422])
    expect([status, seen.get(status) ?? 0]).not.toEqual([status, 0]);
  await expectHealthy();
});

const post = "POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n";
const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;

test.each([
  { what: "an unknown version of HTTP", text: "GET / HTTP/9.9\r\n\r\n" },
  { what: "a negative length", text: `${post}Content-Length: -1\r\n\r\n` },
  { what: "two lengths", text: `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n` },
  { what: "invalid chunks", text: `${post}Transfer-Encoding: chunked\r\n\r\nZZ\r\n` },
  { what: "a body shorter than its length", text: `${post}Content-Length: 10\r\n\r\n[]` },
  { what: "another server's URL", text: get("http://elsewhere.example/api/health") },
  { what: "a NUL in the path", text: get("/api/\0health") },
  { what: "an asterisk as the path", text: get("*") },
  { what: "no Host header", text: "GET /api/health HTTP/1.1\r\n\r\n" },
  { what: "OPTIONS for the whole server", text: "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" },
  {
    what: "CONNECT",
    text: "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
  },
  { what: "an endless path", text: get(`/${"x".repeat(100_000)}`) },
  { what: "TLS", text: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
  { what: "empty lines", text: "\r\n\r\n\r\n" },
])("a connection that sends $what does no harm", async ({ text }) => {
  const before = await stored();
  const answered = await new Promise<string>((resolve) => {
    const socket = connectSocket(Number(new URL(server.api).port), "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
    socket.end(text, "latin1");
  });
  expect(answered).not.toMatch(/^HTTP\/1\.1 5/);
  expect(await stored()).toBe(before);
  await expectHealthy();
});

test("no WebSocket frames make the server fail", { timeout: 120_000 }, async () => {
  const frame = fc.oneof(
    fc.constantFrom<unknown>(
      { type: "auth", token: null },
      { type: "filter", filter: {} },
      pumpEvent(),
      pumpEvent(),
    ),
    fc.constantFrom<unknown>(
      "",
      "{",
      "[]",
      "null",
      { type: "auth", token: {} },
      { type: "filter", filter: { a: 1 } },
    ),
    fc.constantFrom<unknown>("x".repeat(300_000), "[".repeat(50_000), {
      type: "filter",
      backfill: "no",
      filter: null,
    }),
    fc.jsonValue() as fc.Arbitrary<unknown>,
  );
  const direction = fc.constantFrom("in", "out");
  await fc.assert(
    fc.asyncProperty(
      direction,
      fc.array(frame, { maxLength: 6 }),
      fc.boolean(),
      async (to, frames, prefect) => {
        const client = await SocketClient.open(`${server.api}/events/${to}`, {
          subprotocol: prefect ? "prefect" : null,
        });
        if (prefect) client.send({ type: "auth", token: null });
        for (const next of frames) client.send(next);
        const { code } = await client.close();
        expect([1000, 1002, 1003, 1005, 1007, 1008, 1009, 1011, 1013]).toContain(code);
      },
    ),
    { seed, numRuns: 60, endOnFailure: true },
  );
  await expectHealthy();
});

/** Expects that the server accepts an event, finds it, and has logged no error. */
async function expectHealthy(): Promise<void> {
  const event = pumpEvent();
  await server.emit(event);
  const { body } = await server.post("/events/filter", { filter: { id: { id: [event.id] } } });
  expect(body).toMatchObject({ total: 1 });
  expect(server.loggedErrors).toEqual([]);
}
