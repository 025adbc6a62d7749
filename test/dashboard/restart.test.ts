/** A server that is killed and started again, with a key needed, while a page is open. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { Tripline } from "../../src/client/index.ts";
import { makeKey } from "../../src/store/api-key.ts";
import { ApiKeyStore } from "../../src/store/api-key-store.ts";
import { connect } from "../../src/store/connection.ts";
import { Sandbox } from "../cli/support.ts";
import { freePort } from "../support/free-port.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { openPages, type Pages } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let pages: Pages;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
  pages = await openPages();
});
afterAll(async () => {
  await pages?.stop();
  await sandbox.close();
  await redis?.stop();
});

test("a page says that the server is gone, and continues by itself once it is back, still signed in", async () => {
  const connection = connect(redis.url);
  const wanted = { name: "gardener", workspace: "default", expires: null, rate: null };
  const { key, token } = makeKey({ ...wanted, scopes: ["admin"] }, new Date());
  await new ApiKeyStore(connection).put(key);
  connection.disconnect();
  const port = String(await freePort());
  const first = await sandbox.serve(redis.url, ["--port", port]);
  const { page, close } = await pages.view(`${first.url}/events?event=pump.*`);
  await page.getByLabel("API key").fill(token);
  await page.keyboard.press("Enter");
  await page.getByText("live", { exact: true }).waitFor();

  await first.process.end("SIGKILL");
  await page.getByText("The server does not answer.").waitFor();
  const second = await sandbox.serve(redis.url, ["--port", port]);
  const tripline = new Tripline({ url: second.api, key: token });
  await tripline.events.emit({ event: "pump.missed", resource: { "prefect.resource.id": "pump.1" } });
  await page.getByText("The server does not answer.").waitFor({ state: "detached" });
  await page.getByRole("link", { name: "pump.missed" }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  await tripline.events.emit({ event: "pump.beat", resource: { "prefect.resource.id": "pump.1" } });
  await page.getByRole("link", { name: "pump.beat" }).waitFor();
  expect(await page.getByRole("link", { name: /^pump\./ }).allTextContents()).toEqual([
    "pump.beat",
    "pump.missed",
  ]);
  await close();
});
