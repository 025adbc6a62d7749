/** Which addresses webhooks may be sent to: public ones, unless the operator allows more. */

import ipaddr from "ipaddr.js";

/** `true`: every address. Otherwise networks in CIDR notation, single addresses, or `loopback`. */
export type AllowedPrivateAddresses = boolean | readonly string[];

/** Says whether an address (not a name) may be connected to. */
export type AddressPolicy = (address: string) => boolean;

/** An address that webhooks may not be sent to. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";

  constructor(host: string, address: string) {
    const subject = host === address ? address : `${host} resolves to ${address}, which`;
    super(
      `${subject} is not a public address. If you trust it, allow it with --allow-private-addresses ${address}`,
    );
  }
}

const loopback = ["127.0.0.0/8", "::1/128"];
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

/** @throws Error when an allowed network is invalid */
export function addressPolicy(allowed: AllowedPrivateAddresses): AddressPolicy {
  if (allowed === true) return () => true;
  const texts = (allowed === false ? [] : allowed).flatMap((text) =>
    text === "loopback" ? loopback : [text],
  );
  const networks = texts.map(parseNetwork);
  return (text) => {
    // A zone (`fe80::1%eth0`) names an interface; it is not part of the address.
    const [address = ""] = text.split("%");
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address); // turns an IPv4 address in IPv6 notation into plain IPv4
    return (
      isPublic(parsed) ||
      networks.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits))
    );
  };
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast") return false;
  return address instanceof ipaddr.IPv4 || address.match(globalUnicast);
}

function parseNetwork(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    if (text.includes("/")) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch (error) {
    const remedy = "use a network such as 10.1.0.0/16, an address, or loopback";
    throw new Error(`invalid network ${JSON.stringify(text)}; ${remedy}`, { cause: error });
  }
}
