/**
 * Changes of API keys, as commands and the API make them: each is announced in the log of the workspace that the key
 * gives access to.
 */

import type { Actor } from "../core/model/actor.ts";
import { announceKey } from "./announce-key.ts";
import { type ApiKey, makeKey, type NewApiKey, stateOf } from "./api-key.ts";
import { ApiKeyStore } from "./api-key-store.ts";
import type { RedisConnection } from "./connection.ts";

/** So that a program that creates keys in a loop does not fill Redis. Far more than people can keep track of. */
export const apiKeysMax = 10_000;

export interface CreatedApiKey {
  readonly key: ApiKey;
  /** Shown once; it cannot be recovered. */
  readonly token: string;
  readonly isFirst: boolean;
}

/** Every method may throw RedisUnreachable. */
export class ApiKeyChanges {
  readonly store: ApiKeyStore;
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.store = new ApiKeyStore(redis);
  }

  /**
   * Creates a key.
   *
   * @param options.onlyAsFirst create it only if there is no other: two that are made at the same time are not both first
   * @param options.now when it is created
   * @returns null if there are other keys, or too many; then nothing changed
   */
  async create(
    wanted: NewApiKey,
    actor: Actor,
    { onlyAsFirst = false, now = new Date() }: { readonly onlyAsFirst?: boolean; readonly now?: Date } = {},
  ): Promise<CreatedApiKey | null> {
    const { key, token } = makeKey(wanted, now);
    const countBefore = await this.store.create(key, onlyAsFirst ? 0 : apiKeysMax - 1);
    if (countBefore === null) return null;
    await announceKey(this.#redis, key, "created", actor);
    return { key, token, isFirst: countBefore === 0 };
  }

  /** Revokes a key. One that is revoked already stays so. @returns false if there is no such key */
  async revoke(id: string, actor: Actor): Promise<boolean> {
    const found = await this.store.find(id);
    if (found === null) return false;
    const revoked = await this.store.update(id, (current) =>
      current === null ? null : revokedForm(current),
    );
    if (revoked !== null) await announceKey(this.#redis, revoked, "revoked", actor);
    return true;
  }

  /**
   * Revokes a key of a workspace, unless it is the last active one there with the scope `admin`: then no one could make
   * another over the API.
   */
  async revokeUnlessLastAdmin(
    id: string,
    workspace: string,
    actor: Actor,
  ): Promise<"revoked" | "last admin" | "unknown"> {
    let outcome: "revoked" | "last admin" | "unknown" = "revoked";
    const revoked = await this.store.updateRelyingOnAnother((keys) => {
      const key = keys.find((each) => each.id === id && each.workspace === workspace);
      outcome = key === undefined ? "unknown" : "revoked";
      const next = key === undefined ? null : revokedForm(key);
      if (key === undefined || next === null) return null;
      if (!isActiveAdmin(key)) return { next, reliesOn: null };
      const reliesOn = keys.find(
        (other) => other.id !== id && other.workspace === workspace && isActiveAdmin(other),
      );
      if (reliesOn !== undefined) return { next, reliesOn };
      outcome = "last admin";
      return null;
    });
    if (revoked !== null) await announceKey(this.#redis, revoked, "revoked", actor);
    return outcome;
  }

  /** Removes a key that no longer lets anyone in. */
  async forget(key: ApiKey, actor: Actor): Promise<void> {
    await this.store.remove(key.id);
    await announceKey(this.#redis, key, "deleted", actor);
  }
}

function isActiveAdmin(key: ApiKey): boolean {
  return key.scopes.includes("admin") && stateOf(key, Date.now()) === "active";
}

/** The key once it was revoked by hand; null if it is. One that its file revoked must not come back with the file. */
function revokedForm(key: ApiKey): ApiKey | null {
  if (key.revokedBy === "command") return null;
  return { ...key, revoked: key.revoked ?? new Date().toISOString(), revokedBy: "command" };
}
