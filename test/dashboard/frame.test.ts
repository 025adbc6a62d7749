/** The frame of all pages: files, headers, signing in, and what happens when the server is away. */

import { existsSync, readdirSync, statSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dashboardFolder } from "../../scripts/dashboard-config.ts";
import { until } from "../api/http/auth-support.ts";
import { accessibilityFaults, startDashboard, type TestDashboard } from "./support.ts";

/** Of the first load, compressed. It was 110 kB when this was written. */
const firstLoadBytesMax = 150_000;

let dashboard: TestDashboard;

beforeAll(async () => {
  dashboard = await startDashboard();
});
afterAll(() => dashboard?.stop());

describe("the page", () => {
  test("allows nothing inline, from another host, or in a frame", async () => {
    for (const path of ["/", "/events", "/events/some/thing", "/settings"]) {
      const { status, headers } = await fetch(`${dashboard.url}${path}`);
      const policy = headers.get("content-security-policy") ?? "";
      expect({ path, status }).toEqual({ path, status: 200 });
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(policy).not.toMatch(/https?:/);
    }
  });

  test("leaves every other path to the API, and serves nothing from outside its folder", async () => {
    for (const path of [
      "/no-such-page",
      "/assets/none.js",
      "/assets/../index.html",
      "/assets/%2e%2e/index.html",
    ])
      expect({ path, status: (await fetch(`${dashboard.url}${path}`)).status }).toEqual({
        path,
        status: 404,
      });
    expect((await fetch(`${dashboard.url}/api/no-such-path`)).headers.get("content-type")).toContain("json");
  });

  test("loads little, compressed, and its files never again", async () => {
    const { page, close } = await dashboard.view("about:blank");
    let bytes = 0;
    page.on("response", async (response) => {
      const sizes = await response.request().sizes();
      bytes += sizes.responseBodySize;
    });
    await page.goto(`${dashboard.url}/`, { waitUntil: "networkidle" });
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThan(firstLoadBytesMax);
    await close();
    for (const name of readdirSync(join(dashboardFolder, "assets"))) {
      if (!/\.(js|css)$/.test(name) || statSync(join(dashboardFolder, "assets", name)).size < 1_000) continue;
      expect(existsSync(join(dashboardFolder, "assets", `${name}.br`))).toBe(true);
      const { headers } = await fetch(`${dashboard.url}/assets/${name}`, {
        headers: { "Accept-Encoding": "gzip, br" },
      });
      expect(headers.get("cache-control")).toContain("immutable");
      expect(headers.get("content-encoding")).toBe("br");
    }
  });

  test("for a path that does not exist says so, and leads back", async () => {
    const { page, close } = await dashboard.view("/settings/no/such/page");
    await page.getByRole("heading", { name: "Not found" }).waitFor();
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/");
    await close();
  });
});

test("works below a path that a proxy puts before it", async () => {
  const proxy = await startProxy("/tools/tripline", dashboard.url);
  try {
    const { page, faults, close } = await dashboard.view(`${proxy.url}/tools/tripline/events`);
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Overview", exact: true }).click();
    expect(new URL(page.url()).pathname).toMatch(/^\/tools\/tripline\/?$/);
    await page.getByRole("link", { name: "Events", exact: true }).click();
    expect(new URL(page.url()).pathname).toBe("/tools/tripline/events");
    expect(faults).toEqual([]);
    await close();
  } finally {
    await proxy.stop();
  }
});

test("can be used with the keyboard alone", async () => {
  const { page, close } = await dashboard.view("/");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("Skip to the content");
  for (let tab = 0; tab < 4; tab++) await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("Events");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  // A screen reader continues at the title of the new page.
  await expect.poll(() => focused(page)).toBe("Events");
  await close();
});

test("shows that the server is away, and continues once it is back", async () => {
  const proxy = await startProxy("", dashboard.url);
  const { page, close } = await dashboard.view(`${proxy.url}/events`);
  await page.getByText("live", { exact: true }).waitFor();
  await proxy.stop();
  await page.getByText("The server does not answer.").waitFor();
  await page.getByText("reconnecting", { exact: true }).waitFor();
  await dashboard.tripline.events.emit({
    event: "pump.missed",
    resource: { "prefect.resource.id": "pump.9" },
  });
  const again = await startProxy("", dashboard.url, proxy.port);
  await page.getByText("The server does not answer.").waitFor({ state: "detached" });
  await page.getByText("live", { exact: true }).waitFor();
  // What came while it was away is there, too.
  await page.getByRole("link", { name: "pump.missed" }).waitFor();
  expect(await page.locator(".feed-row").count()).toBeGreaterThan(0);
  await close();
  await again.stop();
});

// An upgrade changes the names of the files, and an open page knows the old ones.
test("says what to do when a page cannot be loaded", async () => {
  const { page, close } = await dashboard.view("/events");
  await page.getByText("live", { exact: true }).waitFor();
  await page.route("**/assets/settings-page-*.js", (route) => route.fulfill({ status: 404 }));
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await page.getByRole("heading", { name: "This page cannot be shown" }).waitFor();
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.unroute("**/assets/settings-page-*.js");
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await page.getByRole("button", { name: "Load it again" }).click();
  await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/settings");
  await close();
});

describe("with keys", () => {
  let keyed: TestDashboard;
  let token: string;

  beforeAll(async () => {
    keyed = await startDashboard();
    token = (await keyed.server.key({ name: "gardener", scopes: ["events:read", "automations:read"] })).token;
    await until(async () => (await fetch(`${keyed.url}/api/hello`)).status === 401, 5_000);
  });
  afterAll(() => keyed?.stop());

  test("it asks for one, refuses a wrong one, and remembers a right one where no script can read it", async () => {
    const { page, faults, close } = await keyed.view("/events?event=pump.*");
    await page.getByRole("heading", { name: "Sign in to Tripline" }).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel("API key").fill("tripline_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("not a valid API key").waitFor();
    await page.getByLabel("API key").fill(token);
    await page.keyboard.press("Enter");
    // The page that was asked for, with its filter.
    await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
    expect(await page.getByLabel("Event", { exact: true }).inputValue()).toBe("pump.*");
    await page.getByText("live", { exact: true }).waitFor();
    expect(await page.evaluate("document.cookie + JSON.stringify(localStorage)")).not.toContain("tripline_");
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Tripline" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Sign in to Tripline" }).waitFor();
    // A browser reports every 401 as an error of the console; there are no others.
    expect(faults.filter((fault) => !fault.includes("401"))).toEqual([]);
    await close();
  });
});

/** The text of what has the focus. */
function focused(page: Page): Promise<string | null> {
  return page.locator(":focus").textContent();
}

interface Proxy {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A proxy like those in front of servers: it takes a prefix away, and passes everything on, WebSockets too. */
async function startProxy(prefix: string, target: string, port = 0): Promise<Proxy> {
  const { hostname, port: targetPort } = new URL(target);
  const optionsFor = (url: string | undefined, method: string | undefined, headers: object) => ({
    hostname,
    port: targetPort,
    method: method ?? "GET",
    path: (url ?? "/").slice(prefix.length) || "/",
    headers: { ...headers } as Record<string, string>,
  });
  const server: Server = createServer((incoming, outgoing) => {
    const passed = request(optionsFor(incoming.url, incoming.method, incoming.headers), (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    incoming.pipe(passed);
  });
  server.on("upgrade", (incoming, socket, head) => {
    const passed = request(optionsFor(incoming.url, incoming.method, incoming.headers));
    passed.on("upgrade", (answer, upstream, upstreamHead) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
      socket.write(upstreamHead);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
      for (const end of [socket, upstream])
        end
          .on("error", () => {})
          .on("close", () => [socket, upstream].forEach((each) => void each.destroy()));
      sockets.add(socket);
    });
    passed.on("error", () => socket.destroy());
    passed.end();
  });
  const sockets = new Set<{ destroy(): unknown }>();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
