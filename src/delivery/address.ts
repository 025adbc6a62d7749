/** Which addresses webhooks may be sent to: the public ones, unless more is allowed. */

import ipaddr from "ipaddr.js";

/** `true`: every address. Otherwise networks in CIDR notation, single addresses, or `loopback`. */
export type AllowedPrivateAddresses = boolean | readonly string[];

export type AddressPolicy = (address: string) => boolean;

/** An address that webhooks may not be sent to. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";

  constructor(host: string, address: string) {
    const at = host === address ? address : `${host} is at ${address}, which`;
    super(`${at} is no public address; allow it with --allow-private-addresses if it is meant`);
  }
}

const loopback = ["127.0.0.0/8", "::1/128"];
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * @returns what says of an address (not a name) whether it may be connected to
 * @throws Error when an allowed network is none
 */
export function addressPolicy(allowed: AllowedPrivateAddresses): AddressPolicy {
  if (allowed === true) return () => true;
  const texts = (allowed === false ? [] : allowed).flatMap((text) =>
    text === "loopback" ? loopback : [text],
  );
  const networks = texts.map(networkOf);
  return (text) => {
    // A zone (`fe80::1%eth0`) says which interface, not which address.
    const [address = ""] = text.split("%");
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address); // an IPv4 address written as an IPv6 one is judged as what it is
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

function networkOf(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    if (text.includes("/")) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch (error) {
    throw new Error(
      `${JSON.stringify(text)} is no network; write one such as 10.1.0.0/16, an address, or loopback`,
      {
        cause: error,
      },
    );
  }
}
