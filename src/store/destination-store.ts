/**
 * The destinations of a workspace, in a Redis hash. They are not part of the log, because they do not affect what fires:
 * an action looks its destination up when it is delivered.
 */

import { parseExactJson } from "../core/json/exact-json.ts";
import { type Destination, destinationIdOf } from "../core/model/destination.ts";
import { chunksOf, mapInSlices } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { workspaceKeys } from "./keys.ts";
import type { WorkspaceBox } from "./workspace-box.ts";

/** How many destinations are written in one step, for which Redis does nothing else. */
const destinationsPerStep = 100;

/** Every method may throw RedisUnreachable. A secret that no key opens is read as it is stored. */
export class DestinationStore {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #workspace: string;
  readonly #box: WorkspaceBox;

  constructor(redis: RedisConnection, workspace: string, box: WorkspaceBox) {
    this.#redis = redis;
    this.#key = workspaceKeys(workspace).destinations;
    this.#workspace = workspace;
    this.#box = box;
  }

  /** Ordered by name. */
  async list(): Promise<Destination[]> {
    const bodies = await callRedis(() => this.#redis.hvals(this.#key));
    const destinations = await mapInSlices(bodies, (body) => this.#decode(body));
    return destinations.sort((a, b) => (a.definition.name < b.definition.name ? -1 : 1));
  }

  async get(id: string): Promise<Destination | null> {
    const body = await callRedis(() => this.#redis.hget(this.#key, id));
    return body === null ? null : this.#decode(body);
  }

  getByName(name: string): Promise<Destination | null> {
    return this.get(destinationIdOf(this.#workspace, name));
  }

  /** @returns false if a destination of that name exists; then nothing changes */
  async create(destination: Destination): Promise<boolean> {
    const body = this.#encode(destination);
    return (await callRedis(() => this.#redis.hsetnx(this.#key, destination.id, body))) === 1;
  }

  /** Creates or replaces destinations, some of them in each step. */
  async put(destinations: readonly Destination[]): Promise<void> {
    for (const some of chunksOf(destinations, destinationsPerStep)) {
      const bodies = await mapInSlices(some, (destination) => [destination.id, this.#encode(destination)]);
      await callRedis(() => this.#redis.hset(this.#key, ...bodies.flat()));
    }
  }

  /** @returns how many of them existed */
  async delete(ids: readonly string[]): Promise<number> {
    if (ids.length === 0) return 0;
    return callRedis(() => this.#redis.hdel(this.#key, ...ids));
  }

  /** For one that is about to be used. @throws SecretUnreadable if no key opens one of its secrets */
  requireSecrets(destination: Destination): void {
    this.#box.requireDestination(destination);
  }

  #encode(destination: Destination): string {
    return encodeJson(this.#box.sealDestination(destination));
  }

  #decode(body: string): Destination {
    return this.#box.openDestination(parseExactJson(body) as Destination);
  }
}
