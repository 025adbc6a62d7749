/** E-mail addresses as they appear in a message's headers: `ops@example.org`, or `Ops <ops@example.org>`. */

import { hostProblem } from "./url.ts";

/** The name in `Name <address>`. A name with a comma or another special character needs quotes. */
const displayName = /^(?:"[^"\\\r\n]*"|[^"<>@,;:\r\n]*)$/;
const localPart = /^[^\s@<>(),;:"\\[\]]+$/;

/** What is wrong with an address, or with one in a list separated by commas; null when nothing is. */
export function emailAddressProblem(text: string): string | null {
  // A comma in a quoted name does not separate addresses.
  const addresses = text.match(/(?:"[^"]*"|[^",])+/g)?.map((address) => address.trim()) ?? [];
  const isComplete = !/^\s*,|,\s*(?:,|$)/.test(text) && text.split('"').length % 2 === 1;
  if (addresses.length > 0 && isComplete && addresses.every(isAddress)) return null;
  return "should be an e-mail address, such as ops@example.org";
}

function isAddress(text: string): boolean {
  const open = text.endsWith(">") ? text.lastIndexOf("<") : -1;
  const name = open === -1 ? "" : text.slice(0, open).trimEnd();
  const address = open === -1 ? text : text.slice(open + 1, -1).trim();
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  return (
    displayName.test(name) &&
    localPart.test(address.slice(0, Math.max(at, 0))) &&
    !/[\s<>(),;"]/.test(domain) &&
    hostProblem(domain.replace(/^\[(?:IPv6:)?(.*)\]$/i, "$1")) === null
  );
}
