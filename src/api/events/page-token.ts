/**
 * Page tokens: the client carries everything that the next page of a query needs.
 *
 * They are signed, so their content need not be checked like a request, and a token of one workspace is useless in
 * another: each workspace has its own secret.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { EventFilter } from "../../history/filter.ts";
import type { PageCursor } from "../../history/query-events.ts";

/** The content of a page token. */
export interface PageToken {
  /** With fixed times, even if the first request left them out, so that pages do not shift as time passes. */
  readonly filter: EventFilter;
  readonly limit: number;
  readonly after: PageCursor;
}

/** Change this when the content of tokens changes. Then older tokens are refused, not misread. */
const purpose = "tripline page 1\0";

const signatureLength = 32;
const contentLengthMax = 16 * 1024 * 1024;

export function sealPage(secret: string, page: PageToken): string {
  const content = deflateRawSync(JSON.stringify(page));
  return Buffer.concat([signatureOf(secret, content), content]).toString("base64url");
}

/** The content of a token; null unless it is exactly a token that was sealed with this secret. */
export function openPage(secret: string, token: string): PageToken | null {
  const bytes = Buffer.from(token, "base64url");
  // The decoder skips invalid characters.
  if (bytes.length <= signatureLength || bytes.toString("base64url") !== token) return null;
  const signature = bytes.subarray(0, signatureLength);
  const content = bytes.subarray(signatureLength);
  if (!timingSafeEqual(signature, signatureOf(secret, content))) return null;
  return JSON.parse(inflateRawSync(content, { maxOutputLength: contentLengthMax }).toString()) as PageToken;
}

function signatureOf(secret: string, content: Buffer): Buffer {
  return createHmac("sha256", secret).update(purpose).update(content).digest();
}
