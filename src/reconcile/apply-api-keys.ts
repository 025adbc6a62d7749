/** Makes the API keys in Redis match a key file. */

import type { ApiKey } from "../store/api-key.ts";

/** The part of `ApiKeyStore` that is needed here. */
export interface ApiKeyTarget {
  all(): Promise<readonly ApiKey[]>;
  update(id: string, change: (key: ApiKey | null) => ApiKey | null): Promise<ApiKey | null>;
}

/** What a key file says about one key. */
export type WantedApiKey = Pick<ApiKey, "id" | "name" | "workspace" | "scopes" | "hash" | "expires" | "rate">;

/** The ids of the keys that changed. */
export interface AppliedApiKeys {
  readonly created: readonly string[];
  readonly changed: readonly string[];
  readonly revoked: readonly string[];
  /** In the file, but revoked with `tripline keys revoke`, which wins. */
  readonly stillRevoked: readonly string[];
}

/** The id of a key in the file belongs to a different key, which `tripline keys create` made. */
export class ApiKeyTaken extends Error {
  override readonly name = "ApiKeyTaken";
  readonly id: string;

  constructor(id: string) {
    super(`The id ${id} belongs to a different key`);
    this.id = id;
  }
}

/**
 * Creates and changes keys to match the file, and revokes those that the file no longer names. Several servers may do this
 * at the same time; doing it again changes nothing.
 *
 * @param workspaces the workspaces of this server. Only their keys are revoked, so that servers of other workspaces can
 *   have their own files
 * @throws ApiKeyTaken, RedisUnreachable
 */
export async function applyApiKeys(
  store: ApiKeyTarget,
  wanted: readonly WantedApiKey[],
  workspaces: readonly string[],
  now: Date,
): Promise<AppliedApiKeys> {
  const created: string[] = [];
  const changed: string[] = [];
  const revoked: string[] = [];
  const stillRevoked: string[] = [];
  // Check all keys before changing the first.
  const stored = new Map((await store.all()).map((key) => [key.id, key]));
  for (const key of wanted) checkIsSame(stored.get(key.id) ?? null, key);

  for (const key of wanted) {
    let isNew = false;
    const next = await store.update(key.id, (current) => {
      checkIsSame(current, key);
      isNew = current === null;
      return nextOf(current, key, now);
    });
    if (next !== null) (isNew ? created : changed).push(key.id);
    if (isRevokedByHand(next ?? stored.get(key.id) ?? null)) stillRevoked.push(key.id);
  }

  const ids = new Set(wanted.map(({ id }) => id));
  const isRemoved = ({ id, source, revoked, workspace }: ApiKey): boolean =>
    source === "file" && revoked === null && workspaces.includes(workspace) && !ids.has(id);
  for (const { id } of [...stored.values()].filter(isRemoved)) {
    const next = await store.update(id, (current) =>
      current !== null && isRemoved(current)
        ? { ...current, revoked: now.toISOString(), revokedBy: "file" }
        : null,
    );
    if (next !== null) revoked.push(id);
  }
  return { created, changed, revoked, stillRevoked };
}

function checkIsSame(current: ApiKey | null, { id, hash }: Pick<ApiKey, "id" | "hash">): void {
  if (current?.source === "command" && current.hash !== hash) throw new ApiKeyTaken(id);
}

/** The key as it should be; null if it already is. */
function nextOf(current: ApiKey | null, wanted: WantedApiKey, now: Date): ApiKey | null {
  const next: ApiKey = {
    ...wanted,
    created: current?.created ?? now.toISOString(),
    revoked: isRevokedByHand(current) ? (current?.revoked ?? null) : null,
    revokedBy: isRevokedByHand(current) ? "command" : null,
    source: "file",
  };
  return current !== null && sameKey(current, next) ? null : next;
}

function isRevokedByHand(key: ApiKey | null): boolean {
  return key !== null && key.revoked !== null && key.revokedBy !== "file";
}

function sameKey(a: ApiKey, b: ApiKey): boolean {
  const inOrder = (key: ApiKey) => JSON.stringify(Object.entries(key).sort(([x], [y]) => (x < y ? -1 : 1)));
  return inOrder(a) === inOrder(b);
}
