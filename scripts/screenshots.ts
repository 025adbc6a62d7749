/**
 * Makes the screenshots of README.md and docs/dashboard.md from the demo: `npm run screenshots`. It takes about four minutes,
 * most of which the demo needs until something has happened.
 */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Browser, type BrowserContextOptions, chromium } from "playwright-core";
import type { Tripline } from "../src/client/index.ts";
import { startDemo } from "./demo/start-demo.ts";
import { ensureChromium, findChromium } from "./ensure-chromium.ts";

const folder = resolve(import.meta.dirname, "..", "docs", "images");

/** Until the search of the demo is silent for the second time, and a deployment has brought errors. */
const livingMs = 165_000;

/** How long a page takes until everything on it is there. */
const settlingMs = 3_500;

const wide: BrowserContextOptions = { viewport: { width: 1280, height: 860 }, colorScheme: "light" };
const phone: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  colorScheme: "dark",
  deviceScaleFactor: 2,
};

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly options: BrowserContextOptions;
}

ensureChromium();
mkdirSync(folder, { recursive: true });
const demo = await startDemo(["--port", "0"], 15);
const browser = await chromium.launch({
  executablePath: findChromium() ?? "",
  args: ["--no-sandbox"],
});
try {
  console.log(`The demo runs at ${demo.url}. Waiting until something has happened.`);
  await pause(livingMs);
  for (const shot of await shots(demo.tripline)) await take(browser, shot);
} finally {
  await browser.close();
  await demo.stop();
}

async function shots(tripline: Tripline): Promise<Shot[]> {
  const [silent] = await tripline.automations.list({ names: ["service-silent"] });
  const { events } = await tripline.events.page({ event: { name: ["job.failed"] } }, { limit: 1 });
  return [
    { name: "overview", path: "/", options: wide },
    { name: "overview-phone", path: "/", options: phone },
    { name: "events", path: "/events?range=15m", options: wide },
    { name: "event", path: `/events/${events[0]?.id}`, options: wide },
    {
      name: "automation",
      path: `/automations/${silent?.id}?span=5m`,
      options: { ...wide, viewport: { width: 1280, height: 1180 } },
    },
    { name: "map", path: "/map", options: wide },
  ];
}

async function take(opened: Browser, { name, path, options }: Shot): Promise<void> {
  const context = await opened.newContext({ locale: "en-US", timezoneId: "Europe/Berlin", ...options });
  const page = await context.newPage();
  await page.goto(new URL(path, demo.url).href);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await pause(settlingMs);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(`docs/images/${name}.png`);
  await context.close();
}
