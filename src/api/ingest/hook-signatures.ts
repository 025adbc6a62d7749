/**
 * Verifies the signatures of other services' requests, each in its own scheme and in constant time.
 *
 * Uses Web Crypto, so it runs in Node and in a Worker.
 */

import type { Signature } from "../../core/model/hook.ts";
import { signingKeysOf } from "../../core/model/secret.ts";
import { excerpt, Refusal } from "../http/refusal.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The rest of a check, once the body has been read. @throws Refusal 401 */
export type CheckBody = (body: Bytes) => Promise<void>;

/**
 * Checks everything about the signature of a request that does not need its body: so no one can make the server read a
 * large one without a fresh request of the sender.
 *
 * @param nowMs milliseconds since the epoch
 * @returns checks the raw bytes of the body, decompressed
 * @throws Refusal 401 that says what is missing or wrong, but never what would be right
 */
export async function checkSignature(
  signature: Signature,
  headers: Headers,
  nowMs: number,
): Promise<CheckBody> {
  switch (signature.type) {
    case "standard-webhooks":
      return checkStandardWebhooks(signature, headers, nowMs);
    case "github": {
      const digest = digestIn(headers, "X-Hub-Signature-256", "sha256=");
      return async (body) => requireMatch(await matches(utf8(signature.secret), body, digest));
    }
    case "stripe":
      return checkStripe(signature, headers, nowMs);
    case "slack": {
      const digest = digestIn(headers, "X-Slack-Signature", "v0=");
      const sent = required(headers, "X-Slack-Request-Timestamp");
      checkTime(sent, signature.tolerance, nowMs);
      return async (body) =>
        requireMatch(await matches(utf8(signature.secret), joined(utf8(`v0:${sent}:`), body), digest));
    }
    case "shared-secret":
      requireMatch(await isEqual(signature.secret, required(headers, signature.header)));
      return async () => {};
  }
}

/** The bytes of a SHA-256 digest in a header. One of another length matches nothing. */
function digestIn(headers: Headers, name: string, prefix: string): Bytes {
  const value = required(headers, name);
  const digest = value.startsWith(prefix) ? fromHex(value.slice(prefix.length)) : new Uint8Array();
  requireMatch(digest.length === digestLength);
  return digest;
}

const digestLength = 32;

/** The prefixes of the headers of Standard Webhooks, and of Svix, where it comes from. */
export const standardWebhooksPrefixes = ["webhook", "svix"] as const;

function checkStandardWebhooks(
  { secret, tolerance }: Extract<Signature, { type: "standard-webhooks" }>,
  headers: Headers,
  nowMs: number,
): CheckBody {
  const prefix = standardWebhooksPrefixes.find((name) => headers.has(`${name}-signature`)) ?? "webhook";
  const id = required(headers, `${prefix}-id`);
  const sent = required(headers, `${prefix}-timestamp`);
  const given = required(headers, `${prefix}-signature`);
  checkTime(sent, tolerance, nowMs);
  const keys = signingKeysOf(secret).map((key) =>
    "base64" in key ? fromBase64(key.base64) : utf8(key.text),
  );
  const parts = given.split(" ").flatMap((part) => (part.startsWith("v1,") ? [part.slice(3)] : []));
  const digests = wellFormed(parts.map(fromBase64));
  return (body) => requireAnyMatch(keys, joined(utf8(`${id}.${sent}.`), body), digests);
}

function checkStripe(
  { secret, tolerance }: Extract<Signature, { type: "stripe" }>,
  headers: Headers,
  nowMs: number,
): CheckBody {
  const parts = required(headers, "Stripe-Signature")
    .split(",")
    .map((part) => part.trim().split("=", 2) as [string, string?]);
  const valuesOf = (name: string) => parts.flatMap(([key, value]) => (key === name ? [value ?? ""] : []));
  const [sent = ""] = valuesOf("t");
  checkTime(sent, tolerance, nowMs);
  const digests = wellFormed(valuesOf("v1").map(fromHex));
  return (body) => requireAnyMatch([utf8(secret)], joined(utf8(`${sent}.`), body), digests);
}

/** The digests that may match. @throws Refusal 401 if there are none */
function wellFormed(digests: readonly Bytes[]): readonly Bytes[] {
  const found = digests.filter(({ length }) => length === digestLength).slice(0, signatureCountMax);
  requireMatch(found.length > 0);
  return found;
}

/** Further signatures of a request are ignored. A sender that is rotating its secret sends two. */
const signatureCountMax = 10;

async function requireAnyMatch(
  keys: readonly Bytes[],
  signed: Bytes,
  digests: readonly Bytes[],
): Promise<void> {
  const found = await Promise.all(
    keys.flatMap((key) => digests.map((digest) => matches(key, signed, digest))),
  );
  requireMatch(found.includes(true));
}

const hmac = { name: "HMAC", hash: "SHA-256" };

async function matches(key: Bytes, signed: Bytes, digest: Bytes): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key, hmac, false, ["verify"]);
  return crypto.subtle.verify("HMAC", imported, digest, signed); // which compares in constant time
}

/** Compares two strings. The time that it takes reveals neither their lengths nor where they differ. */
async function isEqual(a: string, b: string): Promise<boolean> {
  const random = crypto.getRandomValues(new Uint8Array(32));
  const key = await crypto.subtle.importKey("raw", random, hmac, false, ["sign", "verify"]);
  return crypto.subtle.verify("HMAC", key, await crypto.subtle.sign("HMAC", key, utf8(a)), utf8(b));
}

/** @param sent seconds since the epoch, as a string */
function checkTime(sent: string, tolerance: number, nowMs: number): void {
  if (!/^\d{1,12}$/.test(sent)) {
    refuse(`The signature's time is ${JSON.stringify(excerpt(sent))}; expected whole seconds since 1970`);
  }
  const seconds = Math.floor(nowMs / 1_000) - Number(sent);
  if (Math.abs(seconds) <= tolerance) return;
  const off = seconds > 0 ? `${seconds} s old` : `${-seconds} s in the future`;
  refuse(`The signature is ${off}, which is more than the ${tolerance} s allowed; check both clocks`);
}

function required(headers: Headers, name: string): string {
  const value = headers.get(name);
  return value === null || value === "" ? refuse(`The header ${name} is missing`) : value;
}

function requireMatch(isMatch: boolean): void {
  if (!isMatch) refuse("The signature does not match; check that both sides use the same secret");
}

function refuse(detail: string): never {
  throw new Refusal(401, "signature", { detail });
}

const encoder = new TextEncoder();

function utf8(text: string): Bytes {
  return encoder.encode(text);
}

function joined(a: Bytes, b: Bytes): Bytes {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** The bytes of a hexadecimal string. An invalid one gives no bytes, which match no signature. */
function fromHex(text: string): Bytes {
  if (!/^(?:[0-9a-f]{2})+$/i.test(text)) return new Uint8Array();
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The bytes of a base64 string. An invalid one gives no bytes. */
function fromBase64(text: string): Bytes {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
