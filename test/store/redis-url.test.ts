import { describe, expect, test } from "vitest";
import {
  clusterUrlOf,
  isRedisUrl,
  parseRedisUrl,
  redisUrlExample,
  withoutPassword,
} from "../../src/store/redis-url.ts";

const plain = {
  kind: "single",
  addresses: [{ host: "pump", port: 6_379 }],
  tls: false,
  servername: null,
  username: null,
  password: null,
  database: 0,
  family: null,
  sentinel: null,
} as const;

describe("the URL of a Redis", () => {
  test.each([
    ["redis://pump", {}],
    ["REDIS://pump", {}],
    ["redis://pump/", {}],
    ["rediss://pump:1/3", { tls: true, addresses: [{ host: "pump", port: 1 }], database: 3 }],
    ["redis://[::1]:7000", { addresses: [{ host: "::1", port: 7_000 }] }],
    ["redis://user:wr%40n:g@pump", { username: "user", password: "wr@n:g" }],
    ["redis://:wr@ng@pump", { password: "wr@ng" }],
    ["redis://user@pump", { username: "user", password: "" }],
    ["redis://pump?password=w%26t&db=2&family=6", { password: "w&t", database: 2, family: 6 }],
    ["rediss://10.0.0.1?servername=pump.example.org", { tls: true, servername: "pump.example.org" }],
  ])("%s names one server", (text, expected) => {
    const addresses = text.includes("10.0.0.1") ? [{ host: "10.0.0.1", port: 6_379 }] : plain.addresses;
    expect(parseRedisUrl(text)).toEqual({ ...plain, addresses, ...expected });
  });

  test.each([
    ["redis+cluster://a:7000,b", [7_000, 6_379], {}],
    ["redis+cluster://a,b/0", [6_379, 6_379], {}],
    ["rediss+cluster://user:pw@a:1,b:2", [1, 2], { tls: true, username: "user", password: "pw" }],
  ])("%s names nodes of a cluster", (text, [first, second], expected) => {
    const addresses = [
      { host: "a", port: first },
      { host: "b", port: second },
    ];
    expect(parseRedisUrl(text)).toEqual({ ...plain, kind: "cluster", addresses, ...expected });
  });

  test.each([
    ["redis+sentinel://a,b:1/greenhouse", {}, {}],
    ["redis+sentinel://user:pw@a,b:1/greenhouse/4", { username: "user", password: "pw", database: 4 }, {}],
    [
      "redis+sentinel://a,b:1/greenhouse?sentinel_username=u&sentinel_password=p",
      {},
      { username: "u", password: "p" },
    ],
    ["redis+sentinel://a,b:1/greenhouse?sentinelPassword=p", {}, { password: "p" }],
    ["rediss+sentinel://a,b:1/greenhouse", { tls: true }, { tls: true }],
    ["rediss+sentinel://a,b:1/greenhouse?sentinel_tls=no", { tls: true }, {}],
  ])("%s names Sentinels", (text, expected, sentinel) => {
    expect(parseRedisUrl(text)).toEqual({
      ...plain,
      kind: "sentinel",
      addresses: [
        { host: "a", port: 26_379 },
        { host: "b", port: 1 },
      ],
      ...expected,
      sentinel: { master: "greenhouse", username: null, password: null, tls: false, ...sentinel },
    });
  });

  test.each([
    ["localhost:6379", `Use ${redisUrlExample}.`],
    ["http://pump", `Use ${redisUrlExample}.`],
    ["redis://", `Use ${redisUrlExample}.`],
    ["redis://a b", `Use ${redisUrlExample}.`],
    ["redis-sentinel://a", "Write redis+sentinel://…"],
    ["redis-cluster://a", "Write redis+cluster://…"],
    ["redis://a,b", /^redis:\/\/ names one server\. For the nodes of a cluster use redis\+cluster:\/\//],
    ["redis://:6379", "An address should be host:port, or [::1]:port for IPv6."],
    ["redis+cluster://a,", "A host is missing."],
    ["redis://a:port", "The port of a should be a number from 1 to 65535."],
    ["redis://a:65536", "The port of a should be a number from 1 to 65535."],
    ["redis://a/pumps", "The database should be a number, such as 0, not pumps."],
    ["redis://a/1/2", "The URL goes on after the database: /2"],
    ["redis+cluster://a/1", "A cluster has the database 0 only. Leave the number out of the URL."],
    ["redis+cluster://u:p@a,u:p@b", /^Put the user and the password once/],
    ["redis+sentinel://a,b", /^Name the master as the Sentinels know it/],
    ["redis+sentinel://a/m?sentinel_tls=maybe", "sentinel_tls should be yes or no."],
    ["redis://a?sentinel_password=x", "sentinel_password is for redis+sentinel:// URLs."],
    ["redis://a?retries=3", /^There is no option retries; there are username, password, db/],
    ["redis://a?family=5", "family should be 4 or 6."],
    ["redis://:a/b@pump", "Write a /, ? or # in the password as %2F, %3F or %23."],
    ["redis://:50%@pump", "Write a % in the password as %25."],
  ])("%s is refused, with the reason", (text, reason) => {
    expect(() => parseRedisUrl(text)).toThrow(reason);
    expect(isRedisUrl(text)).toBe(false);
  });

  test.each([
    ["redis://user:hunter2@host:1/0", "redis://user:********@host:1/0"],
    ["redis://:hunter2@host", "redis://:********@host"],
    ["redis://host:6379", "redis://host:6379"],
    ["redis://:hun@ter2@host:1/0", "redis://:********@host:1/0"],
    ["redis://host:1?password=hun@ter2&db=1", "redis://host:1?password=********&db=1"],
    ["rediss+cluster://user:hunter2@a:1,b:2", "rediss+cluster://user:********@a:1,b:2"],
    [
      "redis+sentinel://:pw@a/m?sentinel_password=x&db=1",
      "redis+sentinel://:********@a/m?sentinel_password=********&db=1",
    ],
    ["redis+sentinel://a/m?sentinelPassword=x", "redis+sentinel://a/m?sentinelPassword=********"],
  ])("%s is shown without its passwords", (text, shown) => {
    expect(isRedisUrl(text)).toBe(true);
    expect(withoutPassword(text)).toBe(shown);
  });

  test.each([
    ["redis://user:pw@a:7000/0", "redis+cluster://user:pw@a:7000"],
    ["rediss://a?family=6", "rediss+cluster://a?family=6"],
  ])("%s of a node is that of its cluster", (text, expected) => {
    expect(clusterUrlOf(text)).toBe(expected);
    expect(parseRedisUrl(clusterUrlOf(text)).kind).toBe("cluster");
  });
});
