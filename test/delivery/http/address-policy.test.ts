import { describe, expect, test } from "vitest";
import { addressPolicy } from "../../../src/delivery/http/address-policy.ts";

describe("by default, a webhook", () => {
  const isAllowed = addressPolicy(false);

  test.each(["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])(
    "may go to %s",
    (address) => {
      expect(isAllowed(address)).toBe(true);
    },
  );

  test.each([
    ..."127.0.0.1 127.255.1.2 0.0.0.0 0.1.2.3 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254".split(" "),
    ..."100.64.0.1 224.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 240.0.0.1".split(" "),
    ..."::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 ::ffff:127.0.0.1 ::ffff:a00:1".split(
      " ",
    ),
    ..."::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1 100::1 4000::1".split(" "),
    ..."localhost  256.1.1.1".split(" "),
  ])("may not go to %s", (address) => {
    expect(isAllowed(address)).toBe(false);
  });
});

test("only the private addresses that are listed are allowed", () => {
  const isAllowed = addressPolicy(["loopback", "10.1.0.0/16", "fd00::5"]);
  expect(["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.9.9", "fd00::5"].filter(isAllowed)).toHaveLength(5);
  expect(["10.2.0.1", "192.168.0.1", "fd00::6", "169.254.169.254"].filter(isAllowed)).toEqual([]);
});

test("an invalid network is refused with an example", () => {
  expect(() => addressPolicy(["10.1.0.0/99"])).toThrow(
    'invalid network "10.1.0.0/99"; use a network such as 10.1.0.0/16',
  );
});
