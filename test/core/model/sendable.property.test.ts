/**
 * Tripline's checks agree with the libraries that send: what a check accepts can be sent, and what it refuses could not
 * have been sent.
 */

import addressparser from "nodemailer/lib/addressparser/index.js";
import { Webhook } from "standardwebhooks";
import { Agent } from "undici";
import { afterAll, describe, expect, test } from "vitest";
import { emailAddressProblem } from "../../../src/core/model/email-address.ts";
import { headerNameProblem, headerValueProblem } from "../../../src/core/model/header.ts";
import { signingKeysOf, signingSecretProblem } from "../../../src/core/model/secret.ts";
import { hostProblem, urlProblem } from "../../../src/core/model/url.ts";
import fc from "../../support/fast-check.ts";

/** The HTTP client that deliveries use. It tries to connect only for a request that can be sent. */
const connecting = "connecting";
const agent = new Agent({ connect: (_options, callback) => callback(new Error(connecting), null) });
afterAll(() => agent.destroy());

async function isSendable(url: URL, headers: Record<string, string> = {}): Promise<boolean> {
  const { origin, pathname, search } = url;
  try {
    await agent.request({ origin, path: pathname + search, method: "POST", headers, body: "{}" });
  } catch (error) {
    if (error instanceof Error && error.message === connecting) return true;
  }
  return false;
}

/** Drawn from the parts of URLs, so that valid ones are about as common as invalid ones. */
const anyUrl = fc
  .tuple(
    fc.constantFrom("http://", "https://", "HTTP://", "http:/", "ftp://", "file:///", "//", ""),
    fc.constantFrom("", "", "", "user:pass@", "100%@", ":%zz@", "user@name@"),
    fc.constantFrom(
      "example.org",
      "[::1]",
      "[bad",
      "127.0.0.1",
      "a b",
      "bücher.example",
      "a..b",
      "",
      "x\ny",
      "1.2.3.4.5",
    ),
    fc.constantFrom("", ":80", ":0", ":65535", ":65536", ":99999", ":x", ":"),
    fc.oneof(
      fc.constantFrom("", "/", "/a b", "?q={}", "/ü#x", "\\x", "/\u0000"),
      fc.string({ maxLength: 5 }),
    ),
  )
  .map((parts) => parts.join(""));

const anyText = fc.string({ unit: fc.constantFrom(..."aZ09-_.:;,@<>\"' \t\r\n\0é✓%[]"), maxLength: 8 });

describe("a URL", () => {
  test("without a problem can be sent to", async () => {
    await fc.assert(
      fc.asyncProperty(anyUrl, async (text) => {
        fc.pre(urlProblem(text) === null);
        expect(await isSendable(new URL(text))).toBe(true);
      }),
    );
  });

  test("that the parser accepts has a problem only if no request can be made", () => {
    fc.assert(
      fc.property(anyUrl, (text) => {
        const url = URL.parse(text);
        fc.pre(url !== null && /^https?:\/\/[^\s/\\]/i.test(text) && url.port !== "0");
        fc.pre(
          !/%(?![0-9a-f]{2})/i.test(url.username + url.password) &&
            /^(\[.*\]|[^.]+(\.[^.]+)*\.?)$/.test(url.hostname),
        );
        expect(urlProblem(text)).toBe(null);
      }),
    );
  });

  test.each([
    "http://[bad",
    "http://host:99999/",
    "http://host:0/",
    "https://exa mple.org/x",
    "https://",
    "https:example.org",
    "http:///x",
    "http://100%@example.org/",
    `http://${"a".repeat(64)}.example/`,
    "ftp://example.org/",
    "localhost",
    "",
  ])("such as %j has a problem", (text) => {
    expect(urlProblem(text)).toMatch(/^url should be /);
  });

  test.each([
    "http://x/",
    "HTTPS://EXAMPLE.org",
    "http://user:p%40ss@[::1]:8080/a?b#c",
    "https://bücher.example./",
    " https://example.org/x\n",
  ])("such as %j has no problem", (text) => {
    expect(urlProblem(text)).toBe(null);
  });
});

test.each([
  ["mail.example.org", true],
  ["localhost", true],
  ["192.0.2.1", true],
  ["2001:db8::1", true],
  ["smtp://mail.example.org", false],
  ["mail.example.org:587", false],
  ["mail example.org", false],
  ["mail..example.org", false],
  ["user@mail.example.org", false],
])("%s is a host: %s", (host, isHost) => {
  expect(hostProblem(host) === null).toBe(isHost);
});

describe("a header", () => {
  const url = new URL("http://127.0.0.1/");
  const set = (name: string, value: string): Record<string, string> | null => {
    try {
      return Object.fromEntries(new Headers([[name, value.trim()]]));
    } catch {
      return null;
    }
  };

  test("has a problem exactly when it cannot be sent", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(anyText, fc.constantFrom("x-zone", "Expect", "Upgrade")),
        anyText,
        async (name, value) => {
          const headers = set(name, value);
          const sendable = headers !== null && (await isSendable(url, headers));
          expect((headerNameProblem(name) ?? headerValueProblem(value)) === null).toBe(sendable);
        },
      ),
    );
  });

  test.each(["Transfer-Encoding", "keep-alive", "upgrade", "expect"])(
    "named %s belongs to the connection",
    async (name) => {
      expect(headerNameProblem(name)).toContain("remove it");
      expect(await isSendable(url, { [name]: "7" })).toBe(false);
    },
  );
});

describe("a signing secret", () => {
  const sign = (key: string) => new Webhook(key).sign("id", new Date(0), "{}");
  const signWith = (secret: string) =>
    signingKeysOf(secret).map((key) =>
      sign("base64" in key ? key.base64 : Buffer.from(key.text).toString("base64")),
    );

  test("without a problem can sign", () => {
    const digits = fc.string({ unit: fc.constantFrom(..."aZ+/=-_ "), maxLength: 9 });
    fc.assert(
      fc.property(fc.constantFrom("whsec_", "whsec", ""), digits, (prefix, rest) => {
        const secret = prefix + rest;
        fc.pre(signingSecretProblem(secret) === null);
        expect(signWith(secret)).toEqual([expect.stringMatching(/^v1,/)]);
      }),
    );
  });

  test("signs the same with and without padding", () => {
    expect(signWith("whsec_c3VtbWVyCg")).toEqual([sign("whsec_c3VtbWVyCg==")]);
  });

  // The official libraries read base64 either way.
  test("signs the same with and without whsec_ in front", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
        const key = Buffer.from(bytes).toString("base64");
        const expected = [sign(key)];
        const written = [key, `whsec_${key}`, `v1,whsec_${key}`, ` ${key}\n`, `whsec_${key} `];
        expect(written.map(signWith)).toEqual(Array(5).fill(expected));
      }),
    );
  });

  test("may be several, which all sign, while one replaces another", () => {
    expect(signWith("whsec_bmV3IG9uZQ== v1,whsec_b2xkIG9uZQ==")).toEqual([
      sign("whsec_bmV3IG9uZQ=="),
      sign("whsec_b2xkIG9uZQ=="),
    ]);
    expect(signingKeysOf("hush, little pump")).toEqual([{ text: "hush, little pump" }]);
    const [first, second] = [1, 2].map((byte) => Buffer.alloc(24, byte).toString("base64"));
    for (const both of [`${first} ${second}`, `whsec_${first}\n${second}`, `${first} whsec_${second}`])
      expect(signWith(both)).toEqual([sign(first ?? ""), sign(second ?? "")]);
    expect(signingKeysOf("test word pump")).toEqual([{ text: "test word pump" }]);
  });

  test("may lack its padding if it is too long for a word", () => {
    const key = Buffer.alloc(23, 7).toString("base64");
    expect(signWith(key.replace("=", ""))).toEqual([sign(key)]);
    expect(signingKeysOf("plainsecret")).toEqual([{ text: "plainsecret" }]);
  });

  test.each(["whsk_AAAA", "whpk_AAAA", "v1a,whpk_AAAA", "whsec_AAAA whsk_AAAA"])(
    "such as %j is for another scheme",
    (secret) => expect(signingSecretProblem(secret)).toContain("asymmetric"),
  );

  test.each([
    "",
    "whsec_",
    "whsec_a",
    "whsec_aaaaa",
    "whsec_a===",
    "whsec_YQ=",
    "whsec_Y-_a",
    "whsec_YW Fh",
    "hush whsec_YWFh",
  ])("such as %j has a problem", (secret) => {
    expect(signingSecretProblem(secret)).not.toBe(null);
  });
});

describe("an email address", () => {
  test("without a problem is one that the mailer can send to", () => {
    const address = fc
      .tuple(
        fc.constantFrom("", "Ops ", '"Ops, Inc" ', "Ops, Inc ", '"Ops ', "é"),
        fc.constantFrom("<", ""),
        fc.constantFrom("ops", "a.b+c", "é", "a b", "", '"', "a@b"),
        fc.constantFrom("@", " @", ""),
        fc.constantFrom("example.org", "x", "[192.0.2.1]", "a..b", "b c", ""),
        fc.constantFrom(">", "", ">>", ";"),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(address, { minLength: 1, maxLength: 2 }), (drawn) => {
        const text = drawn.join(", ");
        if (emailAddressProblem(text) !== null) return;
        const found = addressparser(text, { flatten: true });
        expect(found.length).toBeGreaterThan(0);
        for (const { address } of found) expect(address).toMatch(/^[^\s@<>,]+@[^\s@<>,]+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ["ops@example.org", true],
    ["Tripline <tripline@example.org>", true],
    ['"Ops, Night" <ops@example.org>, b@example.org', true],
    ["ops@[192.0.2.1]", true],
    ["ops@exam ple.org", false],
    ["Ops <ops@example.org", false],
    ["ops example.org", false],
    ["a@b@example.org", false],
    ["ops@example.org,", false],
    ["ops@example..org", false],
    ["a@example.org\r\nBcc: b@example.org", false],
    ["", false],
  ])("%j is valid: %s", (text, isAddress) => {
    expect(emailAddressProblem(text) === null).toBe(isAddress);
  });
});
