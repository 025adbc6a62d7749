/** Scopes: what an API key may do. The same words appear in keys, routes and the OpenAPI document. */

export const scopes = [
  "events:write",
  "events:read",
  "automations:read",
  "automations:write",
  "admin",
] as const;

/** A key with `admin` may do everything in its workspace. */
export type Scope = (typeof scopes)[number];
