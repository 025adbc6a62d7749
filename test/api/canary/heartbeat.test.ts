import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Heartbeat } from "../../../src/api/canary/heartbeat.ts";

let server: Server;
let url = "";
/** What the next requests are answered; then 200. */
let statuses: number[] = [];
let requestCount = 0;
let outcomes: string[] = [];
let lines: object[] = [];
let mayPing: () => Promise<boolean> = async () => true;
let heartbeat: Heartbeat;

beforeEach(async () => {
  [statuses, requestCount, outcomes, lines] = [[], 0, [], []];
  server = createServer((_request, response) => {
    requestCount += 1;
    response.writeHead(statuses.shift() ?? 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-path`;
});

afterEach(async () => {
  await heartbeat.stop();
  server.closeAllConnections();
  server.close();
});

function start(to = url) {
  const log = (fields: object, message: string) => void lines.push({ ...fields, message });
  heartbeat = new Heartbeat({
    ...{ url: to, everyMs: 20, retryMs: 5, logger: { warn: log, info: log } },
    mayPing: () => mayPing(),
    onPing: (outcome) => void outcomes.push(outcome),
  });
  heartbeat.start();
}

const within = { timeout: 20_000, interval: 5 };

test("a request that fails is repeated, and has not failed if it then succeeds", async () => {
  statuses = [500, 500];
  start();
  await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(0), within);
  expect(outcomes[0]).toBe("succeeded");
  expect(requestCount).toBeGreaterThanOrEqual(3);
  expect(lines).toEqual([]);
});

test("a URL that does not answer is reported once, without its path, and again when it answers", async () => {
  statuses = Array.from({ length: 6 }, () => 404);
  start();
  await vi.waitFor(() => expect(outcomes).toContain("succeeded"), within);
  expect(outcomes.slice(0, 3)).toEqual(["failed", "failed", "succeeded"]);
  expect(lines).toEqual([
    { host: new URL(url).host, reason: "responded 404", message: "The heartbeat URL does not answer" },
    { host: new URL(url).host, message: "The heartbeat URL answers again" },
  ]);
});

// It is not known that alarms are delivered.
test("nothing is sent while it is not known, or not so, that alarms are delivered", async () => {
  let askedCount = 0;
  mayPing = async () => {
    askedCount += 1;
    if (askedCount % 2 === 0) throw new Error("Redis is unavailable");
    return false;
  };
  start();
  await vi.waitFor(() => expect(askedCount).toBeGreaterThan(4), within);
  mayPing = async () => true;
  expect(requestCount).toBe(0);
  await vi.waitFor(() => expect(requestCount).toBeGreaterThan(0), within);
});

test("a host that cannot be reached is a failure with its reason", async () => {
  start("http://127.0.0.1:1/");
  await vi.waitFor(() => expect(outcomes).toContain("failed"), within);
  expect(lines[0]).toMatchObject({ reason: expect.stringMatching(/ECONNREFUSED|bad port/) });
});
