/** Who the requests come from, and what they may do. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type { Session } from "./types.ts";

/** The key of this client; and, for pages in a browser, signing in with a key that the browser keeps in a cookie. */
export class Sessions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Reads what the key of this client may do. It is answered without a valid key, too. */
  read(options: CallOptions = {}): Promise<Session> {
    return this.#http.request("GET", "/session", { repeatable: true, ...options }) as Promise<Session>;
  }

  /** Signs in: the server puts the key into a cookie that no script can read. @throws NotAllowed if it is not valid */
  signIn(key: string, options: CallOptions = {}): Promise<Session> {
    const body = { key };
    return this.#http.request("POST", "/session", { body, repeatable: true, ...options }) as Promise<Session>;
  }

  /** Signs out: the browser forgets the key. */
  async signOut(options: CallOptions = {}): Promise<void> {
    await this.#http.request("DELETE", "/session", { repeatable: true, ...options });
  }
}
