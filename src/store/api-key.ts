/**
 * API keys: what is stored about a key, and how a token is checked against it.
 *
 * A token looks like `tripline_<id>_<secret>`. The id finds the record, which holds only the SHA-256 of the secret. A slow
 * hash, as passwords need, would not help: the secret is 256 random bits, too many to guess at any speed. A fast hash can
 * be checked on every request.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { scopes } from "../core/model/scope.ts";

/** At most `count` requests and events in `seconds`, both on average and in one burst. */
const RateSchema = z.object({ count: z.int().min(1), seconds: z.number().positive() });

export const ApiKeySchema = z.object({
  id: z.string(),
  name: z.string(),
  /** The only workspace that the key gives access to. */
  workspace: z.string(),
  scopes: z.array(z.enum(scopes)),
  /** SHA-256 of the secret, in hex. */
  hash: z.string(),
  /** Times are RFC 3339. */
  created: z.string(),
  expires: z.string().nullable(),
  revoked: z.string().nullable(),
  /** What revoked the key. A key that a file revoked becomes active again when the file names it again. */
  revokedBy: z.enum(["command", "file"]).nullable().default(null),
  rate: RateSchema.nullable(),
  /** Where the key comes from: `tripline keys create`, or the file that TRIPLINE_API_KEYS_FILE names. */
  source: z.enum(["command", "file"]).default("command"),
});

/** The stored form of a key: enough to recognize a token, not enough to make one. */
export type ApiKey = z.infer<typeof ApiKeySchema>;

export type NewApiKey = Pick<ApiKey, "name" | "workspace" | "scopes" | "expires" | "rate">;

const secretBytes = 32;

/**
 * Makes a key.
 *
 * @returns the record to store, and the token, which is shown once and cannot be recovered
 */
export function makeKey(wanted: NewApiKey, now: Date): { key: ApiKey; token: string } {
  const id = randomBytes(6).toString("hex");
  const secret = randomBytes(secretBytes).toString("base64url");
  const key: ApiKey = {
    ...wanted,
    id,
    hash: hashOf(secret),
    created: now.toISOString(),
    revoked: null,
    revokedBy: null,
    source: "command",
  };
  return { key, token: `tripline_${id}_${secret}` };
}

/** The stored form of a secret: its SHA-256, in hex. */
export function hashOf(secret: string): string {
  return sha256(secret).toString("hex");
}

/** Splits a token; null if it is not a Tripline token. In an auth string it may follow a name: `anything:<token>`. */
export function readToken(token: string): { id: string; secret: string } | null {
  const [, id, secret] = /(?:^|:)tripline_([0-9a-f]{12})_([\w-]{43})$/.exec(token) ?? [];
  return id === undefined || secret === undefined ? null : { id, secret };
}

export type KeyState = "active" | "revoked" | "expired";

export function stateOf({ expires, revoked }: Pick<ApiKey, "expires" | "revoked">, now: number): KeyState {
  if (revoked !== null) return "revoked";
  return expires !== null && Date.parse(expires) <= now ? "expired" : "active";
}

/** Whether a secret is that of a key, and the key is active. Takes the same time for a wrong secret as for the right one. */
export function unlocks(secret: string, key: ApiKey, now: number): boolean {
  const hash = Buffer.from(key.hash, "hex");
  const presented = sha256(secret);
  const isMatch = hash.length === presented.length && timingSafeEqual(hash, presented);
  return isMatch && stateOf(key, now) === "active";
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
