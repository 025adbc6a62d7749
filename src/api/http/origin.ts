/**
 * Requests that a web page of another site made a browser send.
 *
 * A server without API keys trusts everyone who can reach it, and a browser on the same machine can: a page may post
 * forms and open WebSockets to any address, and with a host name of its own that points to 127.0.0.1 (DNS rebinding)
 * it may even read the answers. The browser reports honestly what it was told to do: `Host` holds the name, `Origin`
 * the page.
 *
 * Pages of the origins that the server is configured with (`--cors-origin`) are treated like its own.
 */

import { BoundedCache } from "../../core/model/bounded-cache.ts";
import { Refusal } from "./refusal.ts";

/** What the latest texts of `Host` stand for: nearly all requests name the same few, and parsing takes as long as routing. */
const addresses = new BoundedCache<URL | null>(10_000);

/**
 * While no key is required: accepts requests that name this machine and, when they change state, come from no page,
 * from one of the server's own, or from an allowed origin.
 *
 * @throws Refusal 403
 */
export function checkFromHere(headers: Headers, changesState: boolean, allowed: ReadonlySet<string>): void {
  const host = headers.get("host");
  // Browsers always send Host.
  if (host === null) return;
  const address = addresses.get(host, (name) => URL.parse(`http://${name}`));
  if (address === null || !isLoopbackName(address.hostname)) {
    refuse(
      `The request names the host ${host.slice(0, 200)}. Without API keys, the server answers only to names of this ` +
        "machine. Use 127.0.0.1 or localhost, or create a key: tripline keys create",
    );
  }
  const origin = headers.get("origin");
  if (!changesState || origin === null || allowed.has(origin) || URL.parse(origin)?.host === address.host)
    return;
  refuse(
    `The request comes from a page of ${origin.slice(0, 200)}. Without API keys, pages of other sites may not change ` +
      "anything. Create a key (tripline keys create), or allow the origin: --cors-origin",
  );
}

/**
 * Where a key is required: a page of another site has none, but a browser may remember one that a person typed.
 *
 * @throws Refusal 403
 */
export function checkNotCrossSite(
  headers: Headers,
  changesState: boolean,
  allowed: ReadonlySet<string>,
): void {
  if (!changesState || headers.get("sec-fetch-site") !== "cross-site") return;
  if (allowed.has(headers.get("origin") ?? "")) return;
  refuse(
    "The request comes from a page of another site, which may not change anything. To allow the page's origin: --cors-origin",
  );
}

/** True for names that always stand for the machine itself. */
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

function refuse(detail: string): never {
  throw new Refusal(403, "origin", { detail });
}
