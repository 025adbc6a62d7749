/** What anyone may do without a key costs little: the server reads little of it, and bounds how much there is at once. */

import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pumpEvent, startApi, type TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ webSockets: { openingsMax: { total: 5, perAddress: 3 } } });
});

afterAll(() => api.stop());

const url = () => `${api.url}/api/events/in`;

test("a peer that is not admitted cannot send a large frame, complete or not", async () => {
  const client = await SocketClient.open(url());
  client.send("x".repeat(200_000));
  expect((await client.closed).code).not.toBe(1000);

  // 60 KB of a frame that announces 8 MB, and then more.
  const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
  const head = [
    "GET /api/events/in HTTP/1.1",
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
  ];
  const handshake = [
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol: prefect",
  ];
  socket.write(`${[...head, ...handshake].join("\r\n")}\r\n\r\n`);
  const frame = Buffer.alloc(14);
  frame.set([0x81, 0xff]);
  frame.writeBigUInt64BE(8_000_000n, 2);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.write(frame);
  const sending = setInterval(() => socket.write(Buffer.alloc(30_000)), 5);
  await closed;
  clearInterval(sending);
  expect(socket.bytesWritten).toBeLessThan(1_000_000);
});

test("an admitted peer may send large frames, also right after its key", async () => {
  const client = await SocketClient.open(url());
  const events = Array.from({ length: 5 }, () => pumpEvent({ payload: { text: "x".repeat(200_000) } }));
  client.send({ type: "auth", token: null });
  for (const event of events) client.send(event);
  expect(await client.close()).toMatchObject({ code: 1000 });
  const ids = (await api.events()).map(({ event }) => event.id);
  expect(ids).toEqual(events.map(({ id }) => id));
});

test("only so many connections of one address may wait for their keys", async () => {
  const waiting = await Promise.all([1, 2, 3].map(() => SocketClient.open(url())));
  await expect(SocketClient.open(url())).rejects.toThrow("503");
  waiting[0]?.send({ type: "auth", token: null });
  await waiting[0]?.until(([first]) => first?.["type"] === "auth_success");
  const another = await SocketClient.open(url());
  waiting.push(another);
  await Promise.all(waiting.map((client) => client.close()));
  await (await SocketClient.prefect(url())).close();
});
