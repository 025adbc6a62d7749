/**
 * API keys: what one is, and how a secret is known without being kept.
 *
 * A key reads `tripline_<id>_<secret>`. The id finds the record; of the secret only its SHA-256 is kept. A slow hash, as
 * passwords need, would add nothing: the secret is 256 random bits, which nobody can guess however fast they try, and a
 * fast one can be checked at each request.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { scopes } from "../core/model/scope.ts";
import { formatDuration, parseDuration, second } from "../core/model/time.ts";

/** At most `count` requests and events in `seconds`, on the average and at once. */
const RateSchema = z.object({ count: z.int().min(1), seconds: z.number().positive() });

export const ApiKeySchema = z.object({
  id: z.string(),
  name: z.string(),
  /** The one workspace that it opens. */
  workspace: z.string(),
  scopes: z.array(z.enum(scopes)),
  /** SHA-256 of the secret, in hex. */
  hash: z.string(),
  /** Times are RFC 3339. */
  created: z.string(),
  expires: z.string().nullable(),
  revoked: z.string().nullable(),
  /** What revoked it. A key that a file revoked becomes active again when the file names it again. */
  revokedBy: z.enum(["command", "file"]).nullable().default(null),
  rate: RateSchema.nullable(),
  /** Where it comes from: `tripline keys create`, or the file that TRIPLINE_API_KEYS_FILE names. */
  source: z.enum(["command", "file"]).default("command"),
});

export type Rate = z.infer<typeof RateSchema>;
/** What is kept of a key: enough to know it, not enough to use it. */
export type ApiKey = z.infer<typeof ApiKeySchema>;

export type NewApiKey = Pick<ApiKey, "name" | "workspace" | "scopes" | "expires" | "rate">;

const secretBytes = 32;

/**
 * Makes a key.
 *
 * @returns what to keep, and the token to show once
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

/** What is stored of a secret: its SHA-256, in hex. */
export function hashOf(secret: string): string {
  return sha256(secret).toString("hex");
}

/** A token in its parts; null when it is none of ours. As an auth string it may follow a name: `anything:<key>`. */
export function readToken(token: string): { id: string; secret: string } | null {
  const [, id, secret] = /(?:^|:)tripline_([0-9a-f]{12})_([\w-]{43})$/.exec(token) ?? [];
  return id === undefined || secret === undefined ? null : { id, secret };
}

export type KeyState = "active" | "revoked" | "expired";

export function stateOf({ expires, revoked }: Pick<ApiKey, "expires" | "revoked">, now: number): KeyState {
  if (revoked !== null) return "revoked";
  return expires !== null && Date.parse(expires) <= now ? "expired" : "active";
}

/** Whether a secret opens a key now. The time that it takes says nothing of the hash. */
export function opens(secret: string, key: ApiKey, now: number): boolean {
  const hash = Buffer.from(key.hash, "hex");
  const presented = sha256(secret);
  const isRight = hash.length === presented.length && timingSafeEqual(hash, presented);
  return isRight && stateOf(key, now) === "active";
}

/** A rate such as `100/s`, `5000/h` or `10/30s`; null when the text is not one. */
export function parseRate(text: string): Rate | null {
  const [, count, unit = ""] = /^(\d{1,9})\/(\d*[smhd])$/.exec(text) ?? [];
  const length = parseDuration(/^\d/.test(unit) ? unit : `1${unit}`);
  if (length === null || length <= 0 || !(Number(count) > 0)) return null;
  return { count: Number(count), seconds: length / second };
}

/** The inverse of `parseRate`. */
export function formatRate({ count, seconds }: Rate): string {
  return `${count}/${formatDuration(seconds * second).replace(/^1(?=[a-z]$)/, "")}`;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
