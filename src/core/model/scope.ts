/** Scopes: what an API key may do, as they are written in keys, routes and the API's document. */

export const scopes = [
  "events:write",
  "events:read",
  "automations:read",
  "automations:write",
  "admin",
] as const;

/** `admin` may do everything in its workspace. */
export type Scope = (typeof scopes)[number];
