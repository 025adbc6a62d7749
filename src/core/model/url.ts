/**
 * The http(s) URLs that requests are sent to, and their hosts.
 *
 * A URL is valid when a request to it can be made at all. Whether its host exists, and whether connecting to it is
 * allowed, shows only at delivery.
 */

/** The platform's URL parser, which is pure. The HTTP client uses the same one, so the two cannot disagree. */
declare const URL: {
  parse(text: string): null | {
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

/** True when a URL's host, port or scheme is known only once its template is rendered. */
export function takesHostFromTemplate(url: string): boolean {
  const [, address] = /^\s*https?:\/\/((?:\{#|[^/\\?#])*)/i.exec(url) ?? [];
  return /\{[{%#]/.test(address ?? url);
}

/** True when what an event says decides the host that a URL leads to. */
export function takesHostFromEvent(url: string): boolean {
  const [, address] = /^\s*https?:\/\/((?:\{#|[^/\\?#])*)/i.exec(url) ?? [];
  return takesHostFromTemplate(url) && /\b(?:event|events|labels|firing|firings)\b/.test(address ?? url);
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
