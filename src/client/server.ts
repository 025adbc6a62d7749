/** The server itself. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type { DoctorReport, ServerSettings } from "./types.ts";

/** What the server runs with, and what is wrong with it. Both need a key with the scope `admin`, once there are keys. */
export class Server {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Reads versions, limits and settings. */
  settings(options: CallOptions = {}): Promise<ServerSettings> {
    return this.#http.request("GET", "/settings", {
      repeatable: true,
      ...options,
    }) as Promise<ServerSettings>;
  }

  /** Checks the deployment, which takes some seconds if something is wrong. */
  doctor(options: CallOptions = {}): Promise<DoctorReport> {
    return this.#http.request("GET", "/doctor", { repeatable: true, ...options }) as Promise<DoctorReport>;
  }
}
