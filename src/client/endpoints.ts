/** Disabled endpoints. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type { DisabledEndpoint } from "./types.ts";

/** Endpoints that responded 410 Gone, and are sent nothing until they are enabled. */
export class DisabledEndpoints {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Lists disabled endpoints, the latest first. */
  list(options: CallOptions = {}): Promise<DisabledEndpoint[]> {
    return this.#http.request("GET", "/endpoints", { repeatable: true, ...options }) as Promise<
      DisabledEndpoint[]
    >;
  }

  /** Enables an endpoint. What it missed are dead letters, which can be redelivered. @throws NotFound */
  async enable(id: string, options: CallOptions = {}): Promise<void> {
    const path = `/endpoints/${encodeURIComponent(id)}/enable`;
    await this.#http.request("POST", path, { repeatable: false, ...options });
  }
}
