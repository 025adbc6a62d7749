/**
 * Serves the dashboard: its files as they were built, and one page for every path that the dashboard knows.
 *
 * The page's own links are relative to `<base>`, which is written into it as the way back from the requested path. So the
 * dashboard works below any path that a proxy puts before it and removes again, and needs no setting for that.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Context, Hono, MiddlewareHandler } from "hono";

/** The first parts of the paths that are pages. The dashboard reads the rest. */
const sections = [
  "events",
  "automations",
  "deliveries",
  "destinations",
  "rules",
  "map",
  "settings",
  "sign-in",
] as const;

/** Nothing from another host, nothing inline, and in no frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const pageHeaders = {
  "Content-Security-Policy": policy,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-cache",
};

/** The files have their content's hash in their names. */
const foreverSeconds = 31_536_000;

/**
 * Mounts the dashboard.
 *
 * @param folder where it was built: `index.html`, and `assets/` with compressed copies
 */
export function mountPages(app: Hono, folder: string): void {
  let assets: MiddlewareHandler | null = null;
  app.get("/assets/*", async (context, next) => {
    if (!existsSync(folder)) return context.notFound();
    assets ??= serveStatic({
      root: folder,
      precompressed: true,
      onFound: (_path, { header }) => {
        header("Cache-Control", `public, max-age=${foreverSeconds}, immutable`);
        header("X-Content-Type-Options", "nosniff");
      },
    });
    return assets(context, next);
  });
  const page = (context: Context) => pageAt(context, folder);
  app.get("/", page);
  for (const section of sections) {
    app.get(`/${section}`, page);
    app.get(`/${section}/*`, page);
  }
}

async function pageAt(context: Context, folder: string): Promise<Response> {
  // A program that looks for the API here should learn that it is wrong.
  if (!/text\/html|\*\/\*/.test(context.req.header("accept") ?? "*/*")) return context.notFound();
  const text = await readFile(join(folder, "index.html"), "utf8").catch(() => null);
  if (text === null) return context.text(notBuilt, 503);
  const depth = context.req.path.split("/").length - 2;
  const root = depth === 0 ? "./" : "../".repeat(depth);
  return context.html(text.replace('<base href="./"', `<base href="${root}"`), 200, pageHeaders);
}

const notBuilt =
  "The dashboard has not been built in this clone. Run `npm run build`, and reload this page. The API works without it.\n";
