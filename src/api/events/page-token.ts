/**
 * Page tokens: all that the next page of a query needs, carried by whoever asks for it.
 *
 * They are signed, because a filter and a place that anyone could write would have to be checked like a request, and
 * because they then cannot leave their workspace: each has a secret of its own.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { EventFilter } from "../../history/filter.ts";
import type { PageCursor } from "../../history/query-events.ts";

/** A page to come. */
export interface PageToken {
  /** With the times fixed that the first request left out, so that pages do not slide as time passes. */
  readonly filter: EventFilter;
  readonly limit: number;
  readonly after: PageCursor;
}

/** Changes with what a token holds, so that one of an older program is refused rather than misread. */
const purpose = "tripline page 1\0";

const signatureLength = 32;
const contentLengthMax = 16 * 1024 * 1024;

export function sealPage(secret: string, page: PageToken): string {
  const content = deflateRawSync(JSON.stringify(page));
  return Buffer.concat([signatureOf(secret, content), content]).toString("base64url");
}

/** What a token holds; null when it is not, to the letter, one that was sealed with this secret. */
export function openPage(secret: string, token: string): PageToken | null {
  const bytes = Buffer.from(token, "base64url");
  // Decoding passes over characters that do not belong there.
  if (bytes.length <= signatureLength || bytes.toString("base64url") !== token) return null;
  const signature = bytes.subarray(0, signatureLength);
  const content = bytes.subarray(signatureLength);
  if (!timingSafeEqual(signature, signatureOf(secret, content))) return null;
  return JSON.parse(inflateRawSync(content, { maxOutputLength: contentLengthMax }).toString()) as PageToken;
}

function signatureOf(secret: string, content: Buffer): Buffer {
  return createHmac("sha256", secret).update(purpose).update(content).digest();
}
