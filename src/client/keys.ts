/** API keys. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type { ApiKeys, ApiKeyView, CreatedApiKey, NewApiKey } from "./types.ts";

/** The API keys of the workspace. Every method needs a key with the scope `admin`, once there are keys. */
export class WorkspaceApiKeys {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Lists the keys, the oldest first, including revoked and expired ones. */
  async list(options: CallOptions = {}): Promise<readonly ApiKeyView[]> {
    const answer = await this.#http.request("GET", "/keys", { repeatable: true, ...options });
    return (answer as ApiKeys).keys;
  }

  /**
   * Creates a key. Its token is shown this once. The first key closes the server for everyone without one.
   *
   * @throws Refused with status 409 if it would be the first key and has not the scope `admin`
   */
  create(key: NewApiKey, options: CallOptions = {}): Promise<CreatedApiKey> {
    return this.#http.request("POST", "/keys", {
      body: key,
      repeatable: false,
      ...options,
    }) as Promise<CreatedApiKey>;
  }

  /** Revokes a key. @throws NotFound; Refused with status 409 if it is the last one with the scope `admin` */
  async revoke(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.request("DELETE", `/keys/${encodeURIComponent(id)}`, { repeatable: true, ...options });
  }
}
