/** The names of HTTP headers, where rules and destinations give some. */

import type { z } from "zod";

/** Refuses what no request can carry (a token, RFC 9110), before anything is to be sent. */
export function checkHeaderNames(headers: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  for (const name of Object.keys(headers)) {
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) continue;
    const message = `${JSON.stringify(name)} cannot be the name of a header; use letters, digits and hyphens`;
    context.addIssue({ code: "custom", path: [name], message });
  }
}
