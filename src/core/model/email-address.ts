/** E-mail addresses, as a message's headers have them: `ops@example.org`, or `Ops <ops@example.org>`. */

import { hostProblem } from "./url.ts";

/** The name in `Name <address>`: in quotes when it holds a comma or the like. */
const displayName = /^(?:"[^"\\\r\n]*"|[^"<>@,;:\r\n]*)$/;
const localPart = /^[^\s@<>(),;:"\\[\]]+$/;

/** What is wrong with an address, or with one of several separated by commas; null when nothing is. */
export function emailAddressProblem(text: string): string | null {
  // Commas in a quoted name separate nothing.
  const addresses = text.match(/(?:"[^"]*"|[^",])+/g)?.map((address) => address.trim()) ?? [];
  const isComplete = !/^\s*,|,\s*(?:,|$)/.test(text) && text.split('"').length % 2 === 1;
  if (addresses.length > 0 && isComplete && addresses.every(isAddress)) return null;
  return "should be an e-mail address, such as ops@example.org";
}

function isAddress(text: string): boolean {
  const [, name = "", inBrackets] = /^(.*?)\s*<\s*([^<>]*?)\s*>$/s.exec(text) ?? [];
  const address = inBrackets ?? text;
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  return (
    displayName.test(name) &&
    localPart.test(address.slice(0, Math.max(at, 0))) &&
    !/[\s<>(),;"]/.test(domain) &&
    hostProblem(domain.replace(/^\[(?:IPv6:)?(.*)\]$/i, "$1")) === null
  );
}
