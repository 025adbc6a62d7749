/**
 * The endpoints of a workspace that are disabled, because they responded 410 Gone.
 *
 * Each process remembers their ids for a few seconds, so that a delivery to a working endpoint costs no round trip. A
 * delivery to one that seems to be disabled looks again, so that enabling one works at once.
 */

import { createHmac, randomUUID } from "node:crypto";
import { parseExactJson } from "../core/json/exact-json.ts";
import { destinationAddress } from "../core/model/destination.ts";
import {
  type DisabledEndpoint,
  type Enabling,
  endpointEnabledEvent,
} from "../core/model/disabled-endpoint.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import type { DestinationStore } from "./destination-store.ts";
import { encodeEvent, type NewEvent } from "./entry.ts";
import { encodeJson } from "./json.ts";
import { type WorkspaceKeys, workspaceKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import type { WorkspaceBox } from "./workspace-box.ts";
import { workspaceSecret } from "./workspace-secret.ts";

/** Where a delivery goes. */
export interface EndpointAddress {
  /** The name of the destination; null for the URL of an action. */
  readonly destination: string | null;
  /** Everything that decides where requests go. Secret. */
  readonly address: string;
}

/** How long a process remembers which endpoints are disabled. */
const rememberedMs = 5_000;

/** URLs may come from templates, so their number has no limit. Beyond this, a 410 ends its own delivery and no other. */
const disabledCountMax = 1_000;

const addressChanged: Enabling = {
  reason: "the destination has another address now, or was deleted",
  actor: null,
};

const disableScript = new Script(scripts.disableEndpoint);
const enableScript = new Script(scripts.enableEndpoint);

/** Every method may throw RedisUnreachable. */
export class DisabledEndpointStore {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  readonly #destinations: DestinationStore;
  readonly #keys: WorkspaceKeys;
  readonly #box: WorkspaceBox;
  #secret: Promise<string> | null = null;
  #known: Promise<Set<string>> | null = null;
  #knownUntil = 0;

  constructor(redis: RedisConnection, workspace: string, destinations: DestinationStore, box: WorkspaceBox) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.#destinations = destinations;
    this.#keys = workspaceKeys(workspace);
    this.#box = box;
  }

  /** The id of an endpoint, from which nobody can guess its address. */
  async idOf({ destination, address }: EndpointAddress): Promise<string> {
    this.#secret ??= workspaceSecret(this.#redis, this.#workspace, "endpoints", this.#box).catch(
      (error: unknown) => {
        this.#secret = null;
        throw error;
      },
    );
    const hmac = createHmac("sha256", await this.#secret);
    return hmac
      .update(JSON.stringify([destination, address]))
      .digest("hex")
      .slice(0, 16);
  }

  /** The endpoint, if it is disabled. */
  async find(address: EndpointAddress): Promise<DisabledEndpoint | null> {
    const known = await this.#disabledIds();
    if (known.size === 0) return null; // mostly, and an id costs time
    const id = await this.idOf(address);
    if (!known.has(id)) return null;
    const body = await callRedis(() => this.#redis.hget(this.#keys.disabledEndpoints, id));
    if (body === null) known.delete(id);
    return body === null ? null : (parseExactJson(body) as DisabledEndpoint);
  }

  /** The ids of those that are disabled, as of a few seconds ago. */
  #disabledIds(): Promise<Set<string>> {
    const now = performance.now();
    if (this.#known === null || now >= this.#knownUntil) {
      this.#knownUntil = now + rememberedMs;
      this.#known = callRedis(() => this.#redis.hkeys(this.#keys.disabledEndpoints)).then(
        (ids) => new Set(ids),
        (error: unknown) => {
          this.#known = null;
          throw error;
        },
      );
    }
    return this.#known;
  }

  /**
   * Disables an endpoint.
   *
   * @param event reports it; appended in the same step, unless the endpoint is disabled already
   * @returns whether it was not disabled before
   */
  async disable(endpoint: DisabledEndpoint, event: NewEvent): Promise<boolean> {
    const parameters = [endpoint.id, encodeJson(endpoint), disabledCountMax, ...encodeEvent(event)];
    const { disabledEndpoints, log } = this.#keys;
    const changed = await callRedis(() =>
      disableScript.run(this.#redis, [disabledEndpoints, log], parameters),
    );
    this.#known = null;
    return changed === 1;
  }

  /** Enables an endpoint. @returns false if it is not disabled */
  async enable(id: string, enabling: Enabling): Promise<boolean> {
    const { disabledEndpoints, log } = this.#keys;
    const body = await callRedis(() => this.#redis.hget(disabledEndpoints, id));
    if (body === null) return false;
    const fields = { id: randomUUID(), occurred: new Date().toISOString(), ...enabling };
    const event = endpointEnabledEvent(parseExactJson(body) as DisabledEndpoint, fields);
    const parameters = [id, ...encodeEvent({ event })];
    return (await callRedis(() => enableScript.run(this.#redis, [disabledEndpoints, log], parameters))) === 1;
  }

  /**
   * All disabled endpoints, the latest first. A destination that has changed its address since, or is gone, is enabled
   * now.
   */
  async list(): Promise<DisabledEndpoint[]> {
    const bodies = await callRedis(() => this.#redis.hvals(this.#keys.disabledEndpoints));
    if (bodies.length === 0) return [];
    const endpoints = bodies.map((body) => parseExactJson(body) as DisabledEndpoint);
    const current = new Map<string, string>();
    for (const destination of await this.#destinations.list()) {
      this.#destinations.requireSecrets(destination); // an address that cannot be read has not changed
      const { definition } = destination;
      const address = { destination: definition.name, address: destinationAddress(definition) };
      current.set(definition.name, await this.idOf(address));
    }
    const disabled: DisabledEndpoint[] = [];
    for (const endpoint of endpoints) {
      const { id, destination } = endpoint;
      if (destination === null || current.get(destination) === id) disabled.push(endpoint);
      else await this.enable(id, addressChanged);
    }
    return disabled.sort((a, b) => (a.since < b.since ? 1 : -1));
  }
}
