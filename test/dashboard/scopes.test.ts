/** What the scopes of a key decide: which pages and buttons there are. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scope } from "../../src/core/model/scope.ts";
import { until } from "../api/http/auth-support.ts";
import { type Greenhouse, startGreenhouse } from "./greenhouse.ts";
import { accessibilityFaults, type Viewing } from "./support.ts";

let greenhouse: Greenhouse;
let automationId: string;

beforeAll(async () => {
  greenhouse = await startGreenhouse();
  automationId = await greenhouse.idOf("vent-stuck");
  // From the first key on, everyone needs one.
  await greenhouse.server.key({ name: "first", scopes: ["admin"] });
  await until(async () => (await fetch(`${greenhouse.url}/api/hello`)).status === 401, 5_000);
});
afterAll(() => greenhouse?.stop());

/** Opens a page as the holder of a new key. */
async function viewAs(scopes: readonly Scope[], path: string): Promise<Viewing> {
  const { token } = await greenhouse.server.key({ name: `key for ${scopes.join()}`, scopes: [...scopes] });
  const viewing = await greenhouse.view(path);
  await viewing.page.getByLabel("API key").fill(token);
  await viewing.page.getByRole("button", { name: "Sign in" }).click();
  await viewing.page.getByRole("button", { name: "Sign out" }).waitFor();
  return viewing;
}

const changing = ["Pause", "Redeliver", "Cancel", "Send a test message", "New key", "Revoke"];

describe("a key that may only read", () => {
  test("sees every page and no button that changes anything", async () => {
    const { page, close } = await viewAs(["events:read", "automations:read"], `/automations/${automationId}`);
    await page.getByRole("heading", { name: "vent-stuck" }).waitFor();
    for (const [name, title] of [
      ["Automations", "Automations"],
      ["Deliveries", "Deliveries"],
      ["Destinations", "Destinations"],
      ["Rules", "Rules"],
      ["Map", "Map"],
      ["Settings", "Settings"],
      ["Overview", "Overview"],
    ] as const) {
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 1, name: title }).waitFor();
      await page.getByText("Loading…").first().waitFor({ state: "detached" });
      expect(await page.getByRole("alert").count()).toBe(0);
      for (const button of changing)
        expect(await page.getByRole("button", { name: button, exact: true }).count()).toBe(0);
    }
    await close();
  });
});

test("a key that may read events alone sees them, and is told what it may not see", async () => {
  const { page, close } = await viewAs(["events:read"], "/events");
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByText("Your key may not read automations").waitFor();
  await page.getByRole("link", { name: "Destinations", exact: true }).click();
  await page.getByRole("alert").getByText("This key lacks the scope automations:read").waitFor();
  expect(await page.getByText("gardener").count()).toBe(0);
  await close();
});

test("an administrator makes a key, sees it once, and revokes it", async () => {
  const { page, close } = await viewAs(["admin"], "/settings");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("nightly job");
  await page.getByRole("checkbox", { name: /events:write/ }).check();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByText("it is not shown again").waitFor();
  const token = (await page.getByLabel("the key").locator("pre").textContent()) ?? "";
  const emit = () =>
    fetch(`${greenhouse.url}/api/events`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: "[]",
    });
  expect((await emit()).status).toBe(204);
  await page.getByRole("button", { name: "I have copied it" }).click();
  expect(await page.content()).not.toContain(token);
  const row = page.getByRole("row", { name: /nightly job/ });
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await row.getByText("revoked").waitFor();
  await until(async () => (await emit()).status === 401, 5_000);
  await close();
});
