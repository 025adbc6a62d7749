/** The shards of a workspace. */

import type { CallOptions } from "./events.ts";
import type { Http } from "./http.ts";
import type { Shards } from "./types.ts";

/** The parts of the workspace's automations, and the engines that own them. */
export class WorkspaceShards {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** Which engines are alive, and which shard each owns. */
  read(options: CallOptions = {}): Promise<Shards> {
    return this.#http.request("GET", "/shards", { repeatable: true, ...options }) as Promise<Shards>;
  }

  /** Asks the engines to change the number of shards. Read them to see when it is done. @throws Refused */
  setCount(count: number, options: CallOptions = {}): Promise<Shards> {
    const body = { count };
    return this.#http.request("PUT", "/shards", { body, repeatable: true, ...options }) as Promise<Shards>;
  }
}
