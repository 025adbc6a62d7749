import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { Refusal } from "../../../src/api/http/refusal.ts";
import { checkSignature } from "../../../src/api/ingest/hook-signatures.ts";
import type { Signature } from "../../../src/core/model/hook.ts";
import fc from "../../support/fast-check.ts";

const now = Date.parse("2026-03-01T09:30:00Z");
const seconds = Math.floor(now / 1_000);
const secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface Signed {
  readonly signature: Signature;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** When it is received; now by default. */
  readonly receivedAt?: number;
}

function hex(text: string, key = secret): string {
  return createHmac("sha256", key).update(text).digest("hex");
}

/** The reason for which the request is refused; null if it is accepted. */
async function refusal({ signature, body, headers, receivedAt = now }: Signed): Promise<string | null> {
  const bytes = new Uint8Array(Buffer.from(body));
  try {
    const checkBody = await checkSignature(signature, new Headers(headers), receivedAt);
    await checkBody(bytes);
    return null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(error.status).toBe(401);
    return (error.body as { detail: string }).detail;
  }
}

const body = '{"pump":"1","note":"ü"}';
const whsec = `whsec_${Buffer.from(secret).toString("base64")}`;

const plain = "hush, little pump";

function standardHeaders(
  prefix: string,
  sent = new Date(now),
  keys: readonly string[] = [whsec],
): Record<string, string> {
  return {
    [`${prefix}-id`]: "msg_1",
    [`${prefix}-timestamp`]: String(Math.floor(sent.getTime() / 1_000)),
    [`${prefix}-signature`]: keys.map((key) => new Webhook(key).sign("msg_1", sent, body)).join(" "),
  };
}

const validRequests: Readonly<Record<string, Signed>> = {
  "Standard Webhooks, encoded secret": {
    signature: { type: "standard-webhooks", secret: whsec, tolerance: 300 },
    body,
    headers: standardHeaders("webhook"),
  },
  "Standard Webhooks, plain secret": {
    signature: { type: "standard-webhooks", secret: plain, tolerance: 300 },
    body,
    headers: standardHeaders("webhook", new Date(now), [Buffer.from(plain).toString("base64")]),
  },
  // As the official libraries read it.
  "Standard Webhooks, base64 without whsec_": {
    signature: { type: "standard-webhooks", secret, tolerance: 300 },
    body,
    headers: standardHeaders("webhook", new Date(now), [secret]),
  },
  "Standard Webhooks, one of two secrets": {
    signature: { type: "standard-webhooks", secret: `whsec_bmV3IG9uZQ== v1,${whsec}`, tolerance: 300 },
    body,
    headers: standardHeaders("webhook"),
  },
  "Standard Webhooks, signed with two secrets": {
    signature: { type: "standard-webhooks", secret: whsec, tolerance: 300 },
    body,
    headers: standardHeaders("webhook", new Date(now), ["whsec_bmV3IG9uZQ==", whsec]),
  },
  Svix: {
    signature: { type: "standard-webhooks", secret: whsec, tolerance: 300 },
    body,
    headers: standardHeaders("svix"),
  },
  // The example in GitHub's documentation.
  GitHub: {
    signature: { type: "github", secret: "It's a Secret to Everybody" },
    body: "Hello, World!",
    headers: {
      "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    },
  },
  // The example in Slack's documentation.
  Slack: {
    signature: { type: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5", tolerance: 300 },
    receivedAt: 1_531_420_618_000,
    body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
    headers: {
      "X-Slack-Request-Timestamp": "1531420618",
      "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    },
  },
  Stripe: {
    signature: { type: "stripe", secret, tolerance: 300 },
    body,
    headers: { "Stripe-Signature": `t=${seconds},v1=${hex(`${seconds}.${body}`)},v0=${"0".repeat(64)}` },
  },
  "a shared secret": {
    signature: { type: "shared-secret", header: "X-Gitlab-Token", secret },
    body,
    headers: { "x-gitlab-token": secret },
  },
};
const schemes = Object.entries(validRequests);
const signedSchemes = schemes.filter(([, { signature }]) => signature.type !== "shared-secret");
const timedSchemes = schemes.filter(([, { signature }]) => "tolerance" in signature);

describe("a signature", () => {
  test.each(schemes)("of %s lets the request pass", async (_, signed) => {
    expect(await refusal(signed)).toBeNull();
  });

  test.each(schemes)("of %s with another secret does not", async (_, signed) => {
    const other = { ...signed, signature: { ...signed.signature, secret: "another secret" } };
    expect(await refusal(other)).toMatch("does not match");
  });

  test.each(signedSchemes)("of %s covers the whole body", async (_, signed) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(signed.body.length), fc.string({ minLength: 1 }), async (at, more) => {
        const changed = signed.body.slice(0, at) + more + signed.body.slice(at);
        expect(await refusal({ ...signed, body: changed })).toMatch("does not match");
      }),
      { numRuns: 20 },
    );
  });

  test.each(schemes)("of %s cannot be left out, even in part", async (_, signed) => {
    for (const name of Object.keys(signed.headers)) {
      const { [name]: _left, ...headers } = signed.headers;
      expect(await refusal({ ...signed, headers })).toMatch(/^The header \S+ is missing$/);
      expect(await refusal({ ...signed, headers: { ...headers, [name]: "" } })).toMatch("is missing");
    }
  });

  test.each(schemes)("of %s is refused if it is malformed", async (_, signed) => {
    for (const malformed of [
      "x",
      "v1,",
      "sha256=",
      "sha256=zz",
      "v0=",
      "t=,v1=",
      "=",
      "v1,☃",
      "a".repeat(9_999),
    ]) {
      const names = Object.keys(signed.headers);
      for (const name of names) {
        const headers = { ...signed.headers, [name]: encodeURI(malformed) };
        expect(await refusal({ ...signed, headers })).not.toBeNull();
      }
    }
  });

  test.each(timedSchemes)("of %s is valid within its tolerance, in both directions", async (_, signed) => {
    const signedAt = signed.receivedAt ?? now;
    expect(await refusal({ ...signed, receivedAt: signedAt + 300_000 })).toBeNull();
    expect(await refusal({ ...signed, receivedAt: signedAt - 300_000 })).toBeNull();
    expect(await refusal({ ...signed, receivedAt: signedAt + 301_000 })).toMatch("301 s old");
    expect(await refusal({ ...signed, receivedAt: signedAt - 301_000 })).toMatch("301 s in the future");
  });

  // A sender that changes its secret signs with the old one and the new one for a while.
  test.each([
    ["standard-webhooks", "webhook-signature", (valid: string) => `v1,${"A".repeat(43)}= ${valid} v1a,xyz`],
    ["stripe", "Stripe-Signature", (valid: string) => valid.replace(",v1=", `,v1=${"0".repeat(64)},v1=`)],
  ])("of %s may be one of several", async (type, header, several) => {
    const [, signed] = schemes.find(([, { signature }]) => signature.type === type)!;
    const headers = { ...signed.headers, [header]: several(signed.headers[header] ?? "") };
    expect(await refusal({ ...signed, headers })).toBeNull();
  });

  // Each costs as much as the whole body takes to hash, and anyone can send thousands.
  test.each([
    ["standard-webhooks", "webhook-signature", `v1,${"A".repeat(43)}= `],
    ["stripe", "Stripe-Signature", `v1=${"0".repeat(64)},`],
  ])("of %s is found among the first ten only", async (type, header, wrong) => {
    const [, signed] = schemes.find(([, { signature }]) => signature.type === type)!;
    const refusalAfter = (wrongCount: number) => {
      const headers = { ...signed.headers, [header]: wrong.repeat(wrongCount) + signed.headers[header] };
      return refusal({ ...signed, headers });
    };
    expect(await refusalAfter(9)).toBeNull();
    expect(await refusalAfter(10)).toMatch("does not match");
  });
});
