/** The dashboard for tests: a real Chromium on a real server with a real Redis. */

import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findChromium } from "../../scripts/ensure-chromium.ts";
import { ensureDashboard } from "../../scripts/ensure-dashboard.ts";
import { Tripline } from "../../src/client/index.ts";
import { type KeyedServer, serve } from "../api/http/auth-support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

export interface Viewing {
  readonly page: Page;
  /** Everything that went wrong in the page so far: errors, refused scripts, requests to other hosts. */
  readonly faults: string[];
  close(): Promise<void>;
}

export interface TestDashboard {
  readonly url: string;
  readonly redis: TestRedis;
  readonly server: KeyedServer;
  /** A client without a key. */
  readonly tripline: Tripline;
  /** Opens a page at a path, as a new viewer. */
  view(path: string, options?: BrowserContextOptions): Promise<Viewing>;
  stop(): Promise<void>;
}

let browsers = 0;
let browser: Promise<Browser> | null = null;

function openBrowser(): Promise<Browser> {
  browsers += 1;
  const executablePath = findChromium();
  if (executablePath === null) throw new Error("There is no Chromium: node scripts/ensure-chromium.ts");
  // The sandbox needs rights that containers, in which tests run, do not give.
  browser ??= chromium.launch({ executablePath, args: ["--no-sandbox"] });
  return browser;
}

async function leaveBrowser(): Promise<void> {
  browsers -= 1;
  if (browsers > 0) return;
  await (await browser)?.close();
  browser = null;
}

/** A browser with the dashboard of the present sources, for pages of any server. */
export interface Pages {
  /** Opens a page at a URL, as a new viewer. */
  view(url: string, options?: BrowserContextOptions): Promise<Viewing>;
  stop(): Promise<void>;
}

export async function openPages(): Promise<Pages> {
  await ensureDashboard();
  const opened = await openBrowser();
  return { view: (url, options) => view(opened, url, options), stop: leaveBrowser };
}

/** Starts a server with the options of `tripline serve`. */
export async function startDashboard(options: readonly string[] = []): Promise<TestDashboard> {
  const pages = await openPages();
  const redis = await startRedis();
  const server = await serve(redis.url, options);
  return {
    url: server.url,
    redis,
    server,
    tripline: new Tripline({ url: `${server.url}/api` }),
    view: (path, contextOptions) => pages.view(new URL(path, server.url).href, contextOptions),
    stop: async () => {
      await pages.stop();
      await server.stop();
      await redis.stop();
    },
  };
}

/** Opens a page as a new viewer, with a record of everything that goes wrong in it. */
async function view(opened: Browser, url: string, options: BrowserContextOptions = {}): Promise<Viewing> {
  const context = await opened.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  const { host } = new URL(url);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", ({ message }) => faults.push(`uncaught: ${message}`));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== host) faults.push(`request to ${request.url()}`);
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** What axe finds wrong with a page for people who use it with a screen reader, a keyboard, or little contrast. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(
    async () =>
      (await (globalThis as unknown as { axe: { run(): Promise<unknown> } }).axe.run()) as AxeResults,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}
