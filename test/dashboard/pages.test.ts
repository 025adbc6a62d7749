/** Each page, in a real browser on a real server: what it shows, and what can be done with it. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../api/http/auth-support.ts";
import { type Greenhouse, pumpBeat, secretToken, startGreenhouse, ventStuck } from "./greenhouse.ts";
import { accessibilityFaults } from "./support.ts";

let greenhouse: Greenhouse;
/** Of an event that set something off. */
let stuckId: string;

beforeAll(async () => {
  greenhouse = await startGreenhouse();
  const { tripline } = greenhouse;
  await greenhouse.emit(pumpBeat("south", { occurred: new Date(Date.now() - 60_000) }), pumpBeat("east"));
  const opened = crypto.randomUUID();
  stuckId = crypto.randomUUID();
  await greenhouse.emit(
    { id: opened, event: "vent.opened", resource: { "prefect.resource.id": "vent.north" } },
    ventStuck({ id: stuckId, follows: opened }),
    // Nearly: the name is right, and the resource is not.
    ventStuck({ resource: { "prefect.resource.id": "door.1" } }),
  );
  await until(async () => (await tripline.overview()).windows.unresolved > 0, 30_000);
  await until(async () => (await tripline.deliveries.counts()).retrying > 0, 30_000);
  await until(async () => (await tripline.automations.rules()).tests !== null, 30_000);
}, 120_000);
afterAll(() => greenhouse?.stop());

/** Opens a page, and says what went wrong in it when it is closed. */
async function viewing(path: string, look: (page: Page) => Promise<void>): Promise<void> {
  const { page, faults, close } = await greenhouse.view(path);
  await look(page);
  expect(faults).toEqual([]);
  await close();
}

/** The rows of the event feed. */
const feedRows = (page: Page) =>
  page.getByRole("table", { name: "Events, the latest first" }).getByRole("row");

const titled = (page: Page, name: string) => page.getByRole("heading", { level: 1, name }).waitFor();
const card = (page: Page, name: string) =>
  page.locator("section.card").filter({ has: page.getByRole("heading", { level: 2, name }) });

describe("the overview", () => {
  test("says what is wrong, what is silent and what fired, and leads there", async () => {
    await viewing("/", async (page) => {
      const verdict = page.getByLabel("How things are");
      await verdict.getByText("is silent now").waitFor();
      await verdict.getByText("tried again").waitFor();
      await card(page, "Silent now").getByText("pump.south").waitFor();
      await card(page, "Latest firings").getByRole("link", { name: "vent-stuck" }).waitFor();
      await card(page, "Latest changes").getByRole("link", { name: "pump-silent" }).waitFor();
      await card(page, "Engines and shards").getByText("Shard 0").waitFor();
      await verdict.getByRole("link", { name: /is silent now/ }).click();
      await titled(page, "Automations");
    });
  });

  test("follows while events flow", async () => {
    await viewing("/", async (page) => {
      const tile = page.getByRole("link", { name: /Events per second/ });
      await tile.waitFor();
      const before = await tile.textContent();
      await greenhouse.emit(
        ...Array.from({ length: 200 }, (_, index) => pumpBeat("east", { payload: { index } })),
      );
      await expect.poll(() => tile.textContent()).not.toBe(before);
    });
  });
});

describe("an empty installation", () => {
  test("shows the first step, and the event once it has come", async () => {
    const empty = await startGreenhouse();
    try {
      const { page, close } = await empty.view("/");
      const steps = card(page, "First steps");
      await steps.getByText("Waiting for the first event").waitFor();
      const command = (await steps.locator("pre").textContent()) ?? "";
      const [, body = ""] = /-d '(.*)'$/s.exec(command) ?? [];
      const url = /http\S+/.exec(command)?.[0] ?? "";
      const headers = { "Content-Type": "application/json" };
      expect((await fetch(url, { method: "POST", headers, body })).status).toBe(204);
      await steps.getByRole("link", { name: "job.failed" }).waitFor();
      await close();
    } finally {
      await empty.stop();
    }
  });
});

describe("the event feed", () => {
  test("shows what arrives while it is open, and waits while it is paused", async () => {
    await viewing("/events?event=sensor.*", async (page) => {
      await page.getByText("live", { exact: true }).waitFor();
      await greenhouse.emit({ event: "sensor.hot", resource: { "prefect.resource.id": "sensor.1" } });
      await page.getByRole("link", { name: "sensor.hot" }).waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      await greenhouse.emit({ event: "sensor.cold", resource: { "prefect.resource.id": "sensor.1" } });
      await page.getByRole("button", { name: "1 new event" }).waitFor();
      expect(await page.getByRole("link", { name: "sensor.cold" }).count()).toBe(0);
      await page.getByRole("button", { name: "1 new event" }).click();
      await page.getByRole("link", { name: "sensor.cold" }).waitFor();
    });
  });

  test("keeps every filter in the URL", async () => {
    await viewing("/events", async (page) => {
      await page.getByLabel("Event", { exact: true }).fill("vent.*, -vent.opened");
      await page.getByLabel("Resource", { exact: true }).fill("vent.*");
      await page.getByLabel("Related resource").fill("house.1");
      await page.getByLabel("Text").fill("30");
      await page.keyboard.press("Enter");
      await expect.poll(() => feedRows(page).count()).toBe(1);
      await page.getByLabel("Time").selectOption("24h");
      await expect.poll(() => new URL(page.url()).searchParams.get("range")).toBe("24h");
      const shared = page.url();
      await page.getByRole("button", { name: "Clear" }).click();
      await expect.poll(() => feedRows(page).count()).toBeGreaterThan(3);
      await page.goto(shared);
      await page.getByRole("link", { name: "vent.stuck" }).waitFor();
      expect(await feedRows(page).count()).toBe(1);
    });
  });

  test("shows a span of time that is chosen in the chart", async () => {
    await viewing("/events?range=15m", async (page) => {
      const over = page.locator(".u-over");
      await over.waitFor();
      const box = await over.boundingBox();
      if (box === null) throw new Error("there is no chart");
      await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.6, box.y + 20, { steps: 5 });
      await page.mouse.up();
      await page.getByText("past", { exact: true }).waitFor();
      const { searchParams } = new URL(page.url());
      const lengthMs =
        Date.parse(searchParams.get("until") ?? "") - Date.parse(searchParams.get("since") ?? "");
      expect(lengthMs / 60_000).toBeGreaterThan(4);
      expect(lengthMs / 60_000).toBeLessThan(9);
      await page.getByRole("button", { name: "Back to live" }).click();
      await page.getByText("live", { exact: true }).waitFor();
    });
  });

  test("shows a span of time that is written", async () => {
    await viewing("/events?range=15m", async (page) => {
      await page.getByLabel("Time").selectOption("custom");
      await page.getByLabel("From").waitFor();
      await page.getByLabel("To", { exact: true }).fill("2020-01-01T00:00:00");
      await page.getByText("No events match.").waitFor();
      expect(new URL(page.url()).searchParams.get("until")).toContain("20");
    });
  });

  test("holds thousands of events with a few rows in the page", async () => {
    for (let batch = 0; batch < 20; batch++)
      await greenhouse.emit(
        ...Array.from({ length: 1_000 }, (_, index) => ({
          event: "gauge.read",
          resource: { "prefect.resource.id": `gauge.${index % 100}` },
          payload: { number: batch * 1_000 + index },
        })),
      );
    await viewing("/events?event=gauge.read", async (page) => {
      await page.getByText("20,000 in this span").waitFor();
      const rowCount = async () =>
        Number(
          await page.getByRole("table", { name: "Events, the latest first" }).getAttribute("aria-rowcount"),
        );
      let last = 0;
      for (let page_ = 0; page_ < 12; page_++) {
        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)");
        await expect.poll(rowCount).toBeGreaterThan(last);
        last = await rowCount();
      }
      expect(last).toBeGreaterThan(1_000);
      expect(await feedRows(page).count()).toBeLessThan(80);
    });
  });
});

describe("the page of an event", () => {
  test("shows what it says, the chain, what it set off, and which automations nearly matched", async () => {
    await viewing(`/events/${stuckId}`, async (page) => {
      await titled(page, "vent.stuck");
      await card(page, "Payload").getByText('"angle": 30').first().waitFor();
      await card(page, "Event").getByText("the north vent").waitFor();
      const chain = card(page, "The chain");
      await chain.getByRole("link", { name: "vent.opened" }).waitFor();
      await chain.getByRole("link", { name: "vent.reported" }).waitFor();
      const setOff = card(page, "What it set off");
      await setOff.getByRole("link", { name: "vent-stuck", exact: true }).waitFor();
      await setOff.getByText("send-notification to broken-bell").waitFor();
      await card(page, "What automations made of it").getByText("fired", { exact: true }).waitFor();
      await page.getByRole("link", { name: "Same name" }).click();
      await titled(page, "Events");
      expect(await page.getByLabel("Event", { exact: true }).inputValue()).toBe("vent.stuck");
    });
    const [near] = (await greenhouse.tripline.events.page({ resource: { id: ["door.1"] } })).events;
    await viewing(`/events/${near?.id}`, async (page) => {
      const judged = card(page, "What automations made of it");
      await judged.getByText("Nearly").waitFor();
      await judged.getByText('"door.1"').first().waitFor();
      await card(page, "What it set off").getByText("No automation has fired").waitFor();
    });
  });

  test("says so if there is no such event", async () => {
    const { page, close } = await greenhouse.view(`/events/${crypto.randomUUID()}`);
    await page.getByRole("alert").getByText("Event not found").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Event");
    await close();
  });
});

describe("automations", () => {
  test("are listed, searched and sorted, with where they are written", async () => {
    await viewing("/automations", async (page) => {
      const rows = page.locator("tbody tr");
      await expect.poll(() => rows.count()).toBe(4);
      await page.getByText("greenhouse.yaml:").first().waitFor();
      await page.getByLabel("Search").fill("vent.rep");
      await expect.poll(() => rows.count()).toBe(1);
      await page.getByLabel("Search").fill("");
      await page.getByLabel("State").selectOption("paused");
      await rows.getByRole("link", { name: "heat-wave" }).waitFor();
      await expect.poll(() => rows.count()).toBe(1);
      await page.goto(`${greenhouse.url}/automations?sort=silent`);
      await expect.poll(() => rows.first().textContent()).toContain("pump-silent");
      await rows
        .first()
        .getByText(/\d silent/)
        .waitFor();
      await page.getByLabel("Tag").selectOption("pumps");
      await expect.poll(() => rows.count()).toBe(1);
    });
  });

  test("show their words, text, timeline, windows, firings and explanations", async () => {
    const id = await greenhouse.idOf("pump-silent");
    await viewing(`/automations/${id}`, async (page) => {
      await titled(page, "pump-silent");
      await card(page, "In plain words").getByText("10 seconds").first().waitFor();
      await card(page, "Rule").getByText("posture").waitFor();
      const timeline = card(page, "Timeline");
      await timeline.getByRole("button", { name: "pump.south" }).click();
      await expect.poll(() => new URL(page.url()).searchParams.get("key")).toContain("pump.south");
      await timeline.getByRole("button", { name: "All keys" }).click();
      const windows = card(page, "Open windows");
      await windows.getByText("pump.south").waitFor();
      await windows.getByLabel("Search the keys").fill("east");
      await expect.poll(() => windows.locator("tbody tr").count()).toBe(1);
      await card(page, "Firings").locator("summary").first().click();
      await card(page, "Firings").getByText("send-notification to gardener").first().waitFor();
      await card(page, "Explain").getByRole("textbox").fill(stuckId);
      await card(page, "Explain").getByRole("button", { name: "Explain" }).click();
      await card(page, "Explain").getByText("not covered", { exact: true }).waitFor();
    });
  });

  test("are paused after a question, and resumed", async () => {
    const id = await greenhouse.idOf("vent-reported");
    await viewing(`/automations/${id}`, async (page) => {
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
      expect((await greenhouse.tripline.automations.get(id)).enabled).toBe(true);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
      await page.getByText("paused", { exact: true }).waitFor();
      expect((await greenhouse.tripline.automations.get(id)).enabled).toBe(false);
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
      await page.getByText("enabled", { exact: true }).waitFor();
    });
  });
});

describe("deliveries", () => {
  test("show every attempt and what is sent, with secrets masked", async () => {
    await viewing("/deliveries?state=retrying", async (page) => {
      await page.getByRole("link", { name: "send-notification to broken-bell" }).first().click();
      await titled(page, "Delivery");
      await card(page, "Attempts").getByText("out of order").first().waitFor();
      await card(page, "Request").getByText("A vent is stuck").waitFor();
      expect(await page.content()).not.toContain(secretToken);
    });
    await viewing("/deliveries?state=delivered&target=gardener", async (page) => {
      await page.getByRole("link", { name: "send-notification to gardener" }).first().click();
      await card(page, "Request")
        .getByText(/pump\.\w+ is silent/)
        .waitFor();
      await page.getByText("Headers").click();
      expect(await page.content()).not.toContain(secretToken);
    });
  });

  test("are canceled and redelivered, many at a time", async () => {
    const sentBefore = greenhouse.received.filter(({ path }) => path === "/broken").length;
    await viewing("/deliveries?state=retrying", async (page) => {
      await page.getByLabel("Choose all on this page").check();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("link", { name: /Dead letters/ }).click();
      await page.getByText("cancelled", { exact: true }).first().waitFor();
      await page.getByLabel("Choose all on this page").check();
      await page.getByRole("button", { name: "Redeliver" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Redeliver" }).click();
      await page.getByText("0 deliveries chosen").waitFor();
    });
    await until(
      async () => greenhouse.received.filter(({ path }) => path === "/broken").length > sentBefore,
      20_000,
    );
    expect(greenhouse.received.length).toBeGreaterThan(0);
  });
});

test("destinations show their health, and a test message arrives", async () => {
  await viewing("/destinations", async (page) => {
    await page.getByText("broken-bell").first().waitFor();
    const gardener = page.locator("section.card").filter({ hasText: "gardener" }).first();
    await gardener.getByRole("button", { name: "Send a test message" }).click();
    await gardener.getByText("accepted").waitFor();
    expect(
      greenhouse.received.some(({ path, body }) => path.startsWith("/gardener") && /test/i.test(body)),
    ).toBe(true);
    expect(await page.content()).not.toContain(secretToken);
  });
});

test("rules show the cases that fail, and mistakes as soon as a file has them", async () => {
  const file = join(greenhouse.folder, "greenhouse.yaml");
  const good = readFileSync(file, "utf8");
  await viewing("/rules", async (page) => {
    await page.getByText("1 case failed").waitFor();
    await page.getByText("this case expects too much").first().waitFor();
    await page.getByText("1 passed").waitFor();
    writeFileSync(file, good.replace("threshold: 3", "threshold: none"));
    await card(page, "Mistakes").getByText("greenhouse.yaml:").waitFor();
    await page.getByText("The files are not in effect").waitFor();
    writeFileSync(file, good);
    await card(page, "Mistakes").waitFor({ state: "detached" });
  });
});

test("the map shows what sets off what, drawn and in words", async () => {
  await viewing("/map", async (page) => {
    const drawn = page.getByRole("group", { name: "Events, automations and destinations" });
    await drawn.locator("text").getByText("vent.stuck").waitFor();
    await drawn.locator("text").getByText("gardener").waitFor();
    await card(page, "In words").getByText("through vent.reported").waitFor();
    await drawn.getByRole("link", { name: /^automation vent-stuck/ }).click();
    await titled(page, "vent-stuck");
    await page.getByRole("link", { name: "On the map" }).click();
    await page.getByRole("link", { name: "The whole map" }).waitFor();
    expect(await page.getByText("pump-silent").count()).toBe(0);
  });
});

test("settings show what the doctor finds and what the server runs with", async () => {
  await viewing("/settings", async (page) => {
    await card(page, "Doctor").getByText("append-only").waitFor();
    await card(page, "Server").getByText("Node").waitFor();
    await card(page, "All settings").getByText("--lateness").waitFor();
    await card(page, "API keys").getByText("There are no keys").waitFor();
  });
});

test("whatever has an id is found by its beginning", async () => {
  await viewing("/rules", async (page) => {
    const find = page.getByRole("searchbox", { name: "Find by id or name" });
    await find.fill(stuckId.slice(0, 13));
    await page.keyboard.press("Enter");
    await titled(page, "vent.stuck");
    await find.fill("vent-reported");
    await page.keyboard.press("Enter");
    await titled(page, "vent-reported");
    await find.fill("00000000-0000");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing has this id.").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });
});

describe("every page", () => {
  const paths = async () => [
    "/",
    "/events",
    `/events/${stuckId}`,
    "/automations",
    `/automations/${await greenhouse.idOf("pump-silent")}`,
    "/deliveries?state=delivered",
    `/deliveries/${(await greenhouse.tripline.deliveries.list({ state: "delivered", limit: 1 })).deliveries[0]?.id}`,
    "/destinations",
    "/rules",
    "/map",
    "/settings",
  ];

  test("can be used with a screen reader and little sight, in light and dark", async () => {
    const found: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      for (const path of await paths()) {
        const { page, faults, close } = await greenhouse.view(path, { colorScheme });
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.getByText("Loading…").first().waitFor({ state: "detached" });
        for (const fault of [...(await accessibilityFaults(page)), ...faults])
          found.push(`${path} ${colorScheme}: ${fault}`);
        await close();
      }
    }
    expect(found).toEqual([]);
  }, 240_000);

  test("fits on a phone", async () => {
    for (const path of await paths()) {
      const { page, close } = await greenhouse.view(path, { viewport: { width: 360, height: 740 } });
      await page.getByText("Loading…").first().waitFor({ state: "detached" });
      await page.getByRole("heading", { level: 1 }).waitFor();
      const width = await page.evaluate("document.documentElement.scrollWidth");
      expect({ path, width }).toEqual({ path, width: 360 });
      await close();
    }
  }, 120_000);
});
