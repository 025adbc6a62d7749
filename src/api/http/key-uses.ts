/** When API keys were last used, to the minute, so that people see which ones no one needs anymore. */

import type { ApiKeyStore } from "../../store/api-key-store.ts";

/** A key that is used all the time costs Redis one command in this time, for each process. */
const everyMs = 60_000;

/** A bound on memory. */
const rememberedCountMax = 10_000;

export class KeyUses {
  readonly #store: Pick<ApiKeyStore, "recordUse">;
  readonly #recordedAt = new Map<string, number>();

  constructor(store: Pick<ApiKeyStore, "recordUse">) {
    this.#store = store;
  }

  /** Takes note that a key has let a request in. The request does not wait for Redis. */
  note(id: string): void {
    const now = Date.now();
    if (now - (this.#recordedAt.get(id) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    if (this.#recordedAt.size >= rememberedCountMax) this.#recordedAt.clear();
    this.#recordedAt.set(id, now);
    // Best effort: an outage is reported elsewhere, and the next minute has another try.
    void this.#store.recordUse(id, now).catch(() => {});
  }
}
