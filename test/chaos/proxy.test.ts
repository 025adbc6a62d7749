/** The proxy of `npm run chaos` fails as it is told to, and heals without a byte lost or out of place. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FaultyProxy } from "../../scripts/chaos/proxy.ts";

let echo: Server;
let proxy: FaultyProxy;
let client: Socket;
let answers: string;
let received: string;

beforeEach(async () => {
  answers = "";
  received = "";
  echo = createServer((socket) => {
    socket
      .on("error", () => {})
      .on("data", (chunk) => {
        received += chunk.toString();
        socket.write(chunk);
      });
  }).listen(0, "127.0.0.1");
  await once(echo, "listening");
  proxy = await FaultyProxy.start((echo.address() as AddressInfo).port);
  client = await join();
  client.on("data", (chunk) => {
    answers += chunk.toString();
  });
});

afterEach(async () => {
  client.destroy();
  proxy.stop();
  echo.close();
  await once(echo, "close");
});

async function join(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test("passes everything on", async () => {
  client.write("ping");
  await expect.poll(() => answers).toBe("ping");
});

test("delays, and keeps the order", async () => {
  await proxy.begin({ kind: "delay", ms: 200 });
  const began = performance.now();
  client.write("one ");
  client.write("two");
  await expect.poll(() => answers).toBe("one two");
  expect(performance.now() - began).toBeGreaterThanOrEqual(395); // there and back
});

test("holds requests back, and delivers them when it heals", async () => {
  await proxy.begin({ kind: "half-open", requests: true, answers: false });
  client.write("late");
  await pause(100);
  expect(received).toBe("");
  await proxy.end();
  await expect.poll(() => answers).toBe("late");
});

test("holds answers back while requests arrive", async () => {
  await proxy.begin({ kind: "half-open", requests: false, answers: true });
  client.write("heard");
  await expect.poll(() => received).toBe("heard");
  await pause(100);
  expect(answers).toBe("");
  await proxy.end();
  await expect.poll(() => answers).toBe("heard");
});

// As after a partition: the packet is on its way, whatever became of its sender.
test("delivers what a client sent that is gone", async () => {
  await proxy.begin({ kind: "half-open", requests: true, answers: true });
  client.write("last words");
  await pause(100);
  client.destroy();
  await proxy.end();
  await expect.poll(() => received).toBe("last words");
});

test("resets connections when it is told to, and what was held back is gone", async () => {
  await proxy.begin({ kind: "half-open", requests: true, answers: true });
  client.write("never");
  await pause(100);
  const closed = new Promise((done) => client.once("close", done));
  await proxy.end({ cut: true });
  await closed;
  await pause(100);
  expect(received).toBe("");
});

test("refuses connections, and accepts them again", async () => {
  const closed = new Promise((done) => client.once("close", done));
  await proxy.begin({ kind: "refuse" });
  await closed;
  const refused = connect(proxy.port, "127.0.0.1");
  const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
  await proxy.end();
  client = await join();
  client.write("again");
  await expect.poll(() => received).toBe("again");
});
