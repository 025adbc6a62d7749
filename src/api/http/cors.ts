/**
 * CORS: which web pages of other sites a browser lets read the API's answers. None, unless the settings name their
 * origins. What such pages may change is decided in origin.ts.
 */

import type { Hono } from "hono";
import { cors } from "hono/cors";

/** How long a browser may remember that an origin is allowed; the maximum of Chromium. */
const preflightSeconds = 7_200;

/** Lets browsers give the API's answers to pages of these origins, and answers their preflight requests. */
export function allowOrigins(app: Hono, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.use(
    cors({
      origin: [...origins],
      allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
      allowHeaders: ["Authorization", "Content-Type", "Content-Encoding", "X-Prefect-Api-Version"],
      exposeHeaders: ["Retry-After", "Tripline-History-Behind"],
      maxAge: preflightSeconds,
    }),
  );
}

/** Why a text is not the origin of a web page, such as `https://app.example.org`; null when it is. */
export function originProblem(text: string): string | null {
  if (URL.canParse(text) && /^https?:/.test(text) && new URL(text).origin === text) return null;
  return `${JSON.stringify(text)} is not an origin; write scheme, host and port only, such as https://app.example.org`;
}
