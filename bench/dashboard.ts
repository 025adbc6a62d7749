/**
 * Does the event feed of the dashboard scroll smoothly with 100,000 events in it, and how fast may events come while it is
 * open? In Chromium, on a real server. Frames are counted while the page scrolls through the whole feed, and in the same run
 * while it scrolls a page that holds nothing but a long empty box: the floor of this machine.
 *
 * Run: npx node bench/dashboard.ts [events in the feed, default 100000] [rounds, default 3]
 */

import { setTimeout as pause } from "node:timers/promises";
import { chromium, type Page } from "playwright-core";
import { findChromium } from "../scripts/ensure-chromium.ts";
import { ensureDashboard } from "../scripts/ensure-dashboard.ts";
import { Tripline } from "../src/client/index.ts";
import { Sandbox } from "../test/cli/support.ts";
import { startRedis } from "../test/support/redis.ts";

const eventCount = Number(process.argv[2] ?? 100_000);
const roundCount = Number(process.argv[3] ?? 3);
const batchLength = 1_000;

/** How far the page scrolls in each frame, in pixels: through 100,000 rows in some seconds. */
const stepPx = 20_000;
const frameCount = 180;

/** A frame that takes longer than this is seen as a jerk: three at 60 a second. */
const jankMs = 50;

await ensureDashboard();
const sandbox = new Sandbox();
const redis = await startRedis();
const browser = await chromium.launch({ executablePath: findChromium() ?? "", args: ["--no-sandbox"] });
try {
  const server = await sandbox.serve(redis.url, []);
  const tripline = new Tripline({ url: server.api });
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${server.url}/events?event=gauge.read`);
  await page.getByText("live", { exact: true }).waitFor();

  const started = performance.now();
  for (let sent = 0; sent < eventCount; sent += batchLength) {
    await tripline.events.emit(
      Array.from({ length: batchLength }, (_, index) => ({
        event: "gauge.read",
        resource: { "prefect.resource.id": `gauge.${index % 100}`, site: "north" },
        payload: { number: sent + index, unit: "bar" },
      })),
    );
  }
  const sentMs = performance.now() - started;
  await rowsAre(page, eventCount);
  const shownMs = performance.now() - started;
  console.log(
    `${eventCount} events sent in ${(sentMs / 1_000).toFixed(1)} s (${Math.round((eventCount / sentMs) * 1_000)} a second), ` +
      `all in the page after ${(shownMs / 1_000).toFixed(1)} s`,
  );

  const empty = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await empty.setContent('<div style="height: 3800000px"></div>');
  for (let round = 1; round <= roundCount; round++) {
    const floor = await framesOf(empty);
    const feed = await framesOf(page);
    console.log(
      `round ${round}: feed p50 ${feed.p50} ms, p99 ${feed.p99} ms, max ${feed.max} ms, over ${jankMs} ms: ${feed.jank} of ${frameCount}; ` +
        `empty page p50 ${floor.p50}, p99 ${floor.p99}, max ${floor.max}, ${floor.jank}; ` +
        `ratio p50 ${(feed.p50 / floor.p50).toFixed(2)}, p99 ${(feed.p99 / floor.p99).toFixed(2)}`,
    );
  }
} finally {
  await browser.close();
  await sandbox.close();
  await redis.stop();
}

/** Waits until the feed has so many rows, or as many as it keeps. */
async function rowsAre(page: Page, count: number): Promise<void> {
  const feed = page.getByRole("table", { name: "Events, the latest first" });
  for (;;) {
    const rows = Number(await feed.getAttribute("aria-rowcount"));
    if (rows >= Math.min(count, 100_000)) return;
    await pause(200);
  }
}

interface Frames {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly jank: number;
}

/** Scrolls down and up, a step in each frame, and says how long the frames took. */
async function framesOf(page: Page): Promise<Frames> {
  await page.bringToFront();
  const script = `new Promise((resolve) => {
    const times = [];
    let last = performance.now();
    let direction = 1;
    const frame = (now) => {
      times.push(now - last);
      last = now;
      if (times.length > ${frameCount}) return resolve(times.slice(1));
      const end = document.documentElement.scrollHeight - innerHeight;
      if (scrollY >= end) direction = -1;
      if (scrollY <= 0) direction = 1;
      scrollBy(0, direction * ${stepPx});
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  })`;
  const times = ((await page.evaluate(script)) as number[]).sort((a, b) => a - b);
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
  return {
    p50: at(0.5),
    p99: at(0.99),
    max: at(0.9999),
    jank: times.filter((ms) => ms > jankMs).length,
  };
}
