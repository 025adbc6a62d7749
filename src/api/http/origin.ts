/**
 * Requests that a web page elsewhere has made a browser send.
 *
 * A server that asks for no key trusts whoever can reach it, and a browser on the same machine can: a page may post
 * forms and open WebSockets to any address, and with a name of its own that it points at 127.0.0.1 (DNS rebinding) it
 * may even read the answers. The browser says honestly what it was told to do: in Host the name, in Origin the page.
 */

import { Refusal } from "./refusal.ts";

/**
 * Where no key is asked for: lets pass what names this machine and, when it changes something, comes from no page or
 * from one of ours.
 *
 * @throws Refusal 403
 */
export function checkFromHere(headers: Headers, changesState: boolean): void {
  const host = headers.get("host");
  // Without a Host it is no browser.
  if (host === null) return;
  const place = placeOf(`http://${host}`);
  if (place === null || !isLoopbackName(place.hostname)) {
    refuse(
      `The request names the host ${host.slice(0, 200)}; while there are no API keys, only names of this machine are ` +
        "answered. Use 127.0.0.1 or localhost, or create a key: tripline keys create",
    );
  }
  const origin = headers.get("origin");
  if (!changesState || origin === null || placeOf(origin)?.host === place.host) return;
  refuse(
    `The request comes from a page of ${origin.slice(0, 200)}; while there are no API keys, pages of other sites may ` +
      "change nothing. Create a key: tripline keys create",
  );
}

/**
 * Where a key is needed: a page elsewhere has none, but a browser may know one that a person typed.
 *
 * @throws Refusal 403
 */
export function checkNotCrossSite(headers: Headers, changesState: boolean): void {
  if (changesState && headers.get("sec-fetch-site") === "cross-site") {
    refuse("The request comes from a page of another site, which may change nothing");
  }
}

/** True for the names that stand for the machine itself wherever they are used. */
export function isLoopbackName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  return (
    name === "localhost" ||
    name.endsWith(".localhost") ||
    name === "::1" ||
    name === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(name)
  );
}

function placeOf(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}

function refuse(detail: string): never {
  throw new Refusal(403, "origin", { detail });
}
