/**
 * The destinations of a workspace: a hash in Redis. They are no part of the log, because none can change an outcome;
 * what an action refers to is looked up when it is delivered.
 */

import type { Redis } from "ioredis";
import { type Destination, destinationIdOf } from "../core/model/destination.ts";
import { reaching } from "./connection.ts";
import { encodeJson } from "./json.ts";
import { workspaceKeys } from "./keys.ts";

/** Every method may throw RedisUnreachable. */
export class DestinationStore {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #workspace: string;

  constructor(redis: Redis, workspace: string) {
    this.#redis = redis;
    this.#key = workspaceKeys(workspace).destinations;
    this.#workspace = workspace;
  }

  async list(): Promise<Destination[]> {
    const bodies = await reaching(() => this.#redis.hvals(this.#key));
    const destinations = bodies.map((body) => JSON.parse(body) as Destination);
    return destinations.sort((a, b) => (a.definition.name < b.definition.name ? -1 : 1));
  }

  async get(id: string): Promise<Destination | null> {
    const body = await reaching(() => this.#redis.hget(this.#key, id));
    return body === null ? null : (JSON.parse(body) as Destination);
  }

  named(name: string): Promise<Destination | null> {
    return this.get(destinationIdOf(this.#workspace, name));
  }

  /** @returns false, and nothing is changed, when there is one of that name already */
  async create(destination: Destination): Promise<boolean> {
    const body = encodeJson(destination);
    return (await reaching(() => this.#redis.hsetnx(this.#key, destination.id, body))) === 1;
  }

  async put(destinations: readonly Destination[]): Promise<void> {
    if (destinations.length === 0) return;
    const fields = destinations.flatMap((destination) => [destination.id, encodeJson(destination)]);
    await reaching(() => this.#redis.hset(this.#key, ...fields));
  }

  /** @returns how many of them there were */
  async delete(ids: readonly string[]): Promise<number> {
    if (ids.length === 0) return 0;
    return reaching(() => this.#redis.hdel(this.#key, ...ids));
  }
}
