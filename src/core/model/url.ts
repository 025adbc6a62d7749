/**
 * The http(s) URLs that requests are sent to, and their hosts.
 *
 * A URL is valid when a request to it can be made at all. Whether its host exists, and whether connecting to it is
 * allowed, shows only at delivery.
 */

import { soleReferenceIn } from "./reference.ts";

/** The platform's URL parser, which is pure. The HTTP client uses the same one, so the two cannot disagree. */
declare const URL: {
  parse(text: string): null | {
    readonly origin: string;
    readonly hostname: string;
    readonly port: string;
    readonly username: string;
    readonly password: string;
  };
};

/** What is wrong with a URL; null when a request can be sent to it. Never repeats the URL, which may hold a secret. */
export function urlProblem(text: string): string | null {
  if (!/^https?:\/\/[^\s/\\]/i.test(text.trim()))
    return "url should be an address that begins with http:// or https://";
  const url = URL.parse(text);
  if (url === null || url.port === "0" || !isHostname(url.hostname))
    return "url should be a valid address; check its host and port";
  if (isPercentEncoded(url.username) && isPercentEncoded(url.password)) return null;
  return "url should be a valid address; in its user name and password, write % as %25";
}

/** What is wrong with the name or IP address of a host, without a port; null when nothing is. */
export function hostProblem(host: string): string | null {
  const isName = isHostname(host) && !/[/\\@:?#%[\]]/.test(host) && URL.parse(`http://${host}/`) !== null;
  if (isName || (host.includes(":") && URL.parse(`http://[${host}]/`) !== null)) return null;
  return "host should be a host name or an IP address, without a port, such as mail.example.org";
}

/** The scheme, host and port of a URL; null if it is not valid. */
export function originOf(url: string): string | null {
  return URL.parse(url)?.origin ?? null;
}

/** A URL without the user name and password written into it. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/?#\\]*@/, "//…@"); // up to the last @: a password may hold others
}

/** True when a URL's host, port or scheme is known only once its template is rendered. */
export function takesHostFromTemplate(url: string): boolean {
  return /\{[{%#]/.test(addressIn(url));
}

/** True when what an event says decides the host that a URL leads to. */
export function takesHostFromEvent(url: string): boolean {
  return takesHostFromTemplate(url) && takesFromEvent(addressIn(url));
}

/** True when a template reads an event or what an event decides. */
export function takesFromEvent(template: string): boolean {
  return /\{[{%]/.test(template) && /\b(?:event|events|labels|firing|firings)\b/.test(template);
}

/**
 * The user names and passwords of URLs in a longer text: no white space, and templates as a whole. Each step takes one
 * character or one template, so the time grows with the length of the text.
 */
const credentials = /:\/\/((?:[^\s/?#"'<>{]|\{\{[^{}]{0,200}\}\}|\{(?!\{))*)@/g;

/** A text in which no URL shows the user name and password written into it. References to the environment stay. */
export function withoutCredentialsIn(text: string): string {
  return text.replaceAll(credentials, (written, user: string) => {
    const password = soleReferenceIn(user.slice(user.indexOf(":") + 1));
    return password !== null && password.fallback === undefined ? written : "://…@";
  });
}

/** The user name, host and port of a URL, with templates as they are written; all of it if only rendering shows those. */
function addressIn(url: string): string {
  const [start] = /^\s*https?:\/\//i.exec(url) ?? [];
  if (start === undefined) return url;
  let position = start.length;
  while (position < url.length && !/[/\\?#]/.test(url[position] ?? "")) {
    // A slash or question mark within a template does not end the address.
    const close = { "{{": "}}", "{%": "%}", "{#": "#}" }[url.slice(position, position + 2)];
    const end = close === undefined ? position + 1 : endOfTemplate(url, position + 2, close);
    if (end === -1) return url;
    position = end;
  }
  return url.slice(start.length, position);
}

/** Where a part of a template ends that began before `position`; -1 if it does not. Its strings may hold anything. */
function endOfTemplate(text: string, position: number, close: string): number {
  for (let index = position; index < text.length; index++) {
    if (text.startsWith(close, index)) return index + close.length;
    const quote = text[index] ?? "";
    if (close === "#}" || !/["']/.test(quote)) continue;
    index += 1;
    while (index < text.length && text[index] !== quote) index += text[index] === "\\" ? 2 : 1;
  }
  return -1;
}

/** True for an address in brackets, and for a valid DNS name: labels of 1 to 63 characters, 253 in all. */
function isHostname(host: string): boolean {
  if (host.startsWith("[")) return true;
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  return name.length <= 253 && name.split(".").every((label) => label.length >= 1 && label.length <= 63);
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
