/**
 * Lanes keep deliveries about one thing to one target in order.
 *
 * A delivery gets its place when it is dispatched, and is attempted only when it is first in its lane; the others wait
 * outside the workers. The next one is woken up once the first was delivered or given up. Nothing is sent that is older
 * than what the target accepted last, so that the last thing it heard is true; a person can insist.
 *
 * Workers may die between any two steps: a delivery keeps its turn until it ends, a step may be repeated, and those that
 * wait look again by themselves now and then.
 */

import type { Invocation, Ordering } from "../core/model/invocation.ts";
import { callRedis, type RedisConnection } from "../store/connection.ts";
import { Script, type ScriptArgument } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import type { DeliveryRequest, DeliveryState } from "./delivery-state.ts";
import type { Wakeable } from "./http/endpoints.ts";
import { jobIdOf, type QueueKeys, queueKeys } from "./queue-keys.ts";

/** Why a delivery waits for another one. Shown to people. */
export const parkedReason = "waits for an earlier delivery about the same thing to the same target";

/** A delivery in its lane. */
export interface LanePlace {
  /** The delivery's id. */
  readonly id: string;
  readonly ordering: Ordering;
  /** Its place in the lane: when it was dispatched, in microseconds since the epoch; unique. */
  readonly place: number;
}

/** @returns null for a delivery whose order makes no difference */
export function placeOf({ invocation: { id, ordering }, place }: DeliveryState): LanePlace | null {
  return ordering === undefined || place === undefined ? null : { id, ordering, place };
}

/** Where a new delivery stands. */
export interface JoinedLane {
  readonly place: number;
  /** Whether others of the lane are before it. */
  readonly waits: boolean;
}

/** Whose turn it is, and what a person asked for in the meantime. */
export interface Turn {
  /** `outdated`: the target has accepted a later delivery. `lost`: another worker has the job. */
  readonly state: "turn" | "wait" | "outdated" | "lost";
  /** The delivery that it waits for. */
  readonly other: string;
  readonly request: string | null;
  /** Why it was woken up before its time: because its endpoint may work again, or does. */
  readonly wokenFor: Wakeable["mode"] | null;
}

export interface Leave {
  /**
   * `later`: its turn comes again. `postponed`: the same, but the endpoint asked for a wait, and nothing shortens it.
   * `moved`: it goes to another lane.
   */
  readonly outcome: "later" | "postponed" | "accepted" | "dead" | "moved";
  /** Where it was sent, or will be; null if nowhere. */
  readonly endpoint: string | null;
  /** How many of those that wait for the endpoint to wake up, if it accepted this one. */
  readonly wokenCount: number;
  /** The token of the job's lock. */
  readonly token: string;
  /** What to store in the job in the same step; null if that has not changed. */
  readonly data: string | null;
}

export interface LaneSettings {
  /** How long the last place that a target accepted is remembered after everything about the thing was delivered. */
  readonly keepAcceptedSeconds: number;
}

const join = new Script(scripts.joinLanes);
const rejoin = new Script(scripts.rejoinLane);
const claim = new Script(scripts.claimTurn);
const leave = new Script(scripts.leaveTurn);
const forgetRequest = new Script(scripts.forgetRequest);
const wakeWaiting = new Script(scripts.wakeWaiting);
const evict = new Script(scripts.evictFromLane);

/** Longer than the longest retries and the life of a dead letter together. */
const keepSeconds = 62 * 86_400;

/** If more endpoints are down, each is looked at less often. */
const endpointsPerLook = 200;

/** What the queue does not have although it has a place is being added to it at the moment, for so long. */
const addingMs = 60_000;

/** Every method may throw `RedisUnreachable`. */
export class Lanes {
  readonly #redis: RedisConnection;
  readonly #keys: QueueKeys;
  readonly #settings: LaneSettings;

  constructor(
    redis: RedisConnection,
    workspace: string,
    settings: LaneSettings = { keepAcceptedSeconds: 25 * 3_600 },
  ) {
    this.#redis = redis;
    this.#keys = queueKeys(workspace);
    this.#settings = settings;
  }

  /** Gives each invocation its place. @returns null for one that needs none, or that the queue already knows */
  async join(invocations: readonly Invocation[]): Promise<(JoinedLane | null)[]> {
    const ordered = invocations.flatMap(({ id, ordering }) =>
      ordering === undefined ? [] : [{ id, ordering }],
    );
    if (ordered.length === 0) return invocations.map(() => null);
    const { clock, job, lane, thing } = this.#keys;
    const keys = ordered.flatMap(({ id, ordering }) => [job(id), lane(ordering), thing(ordering)]);
    const parameters = [keepSeconds, ...ordered.map(({ id }) => id)];
    const answer = (await callRedis(() => join.run(this.#redis, [clock, ...keys], parameters))) as (
      | string
      | number
    )[];
    let next = 0;
    return invocations.map(({ ordering }) => {
      if (ordering === undefined) return null;
      const place = answer[next++] ?? "";
      const waits = answer[next++] === 1;
      return place === "" ? null : { place: Number(place), waits };
    });
  }

  /**
   * Puts a delivery that has ended, or was in another lane, at its old place.
   *
   * @param options.insists even if the target has accepted a later one
   * @param options.was where it stood until now; `waiting`: in another lane
   * @returns false, with nothing done, if the target has accepted a later one
   */
  async rejoin(
    { id, ordering, place }: LanePlace,
    options: { readonly insists: boolean; readonly was: "dead" | "delivered" | "waiting" },
  ): Promise<boolean> {
    const { lane, thing, requests } = this.#keys;
    const keys = [lane(ordering), thing(ordering), requests];
    const parameters = [id, place, ordering.target, keepSeconds, options.insists ? 1 : 0, options.was];
    return (await callRedis(() => rejoin.run(this.#redis, keys, parameters))) === 1;
  }

  /** Notes what a person asks for. The worker reads it when it next looks at the delivery. */
  async request(id: string, request: DeliveryRequest): Promise<void> {
    await callRedis(() => this.#redis.hset(this.#keys.requests, id, JSON.stringify(request)));
  }

  /** This request has been followed. */
  async forgetRequest(id: string, request: string): Promise<void> {
    await callRedis(() => forgetRequest.run(this.#redis, [this.#keys.requests], [id, request]));
  }

  /** Begins a delivery's turn, if it is. @param token of the job's lock */
  async claim({ id, ordering, place }: LanePlace, token: string, insists: boolean): Promise<Turn> {
    const { lane, thing, requests, lock, job } = this.#keys;
    const keys = [lane(ordering), thing(ordering), requests, lock(id), job(id)];
    const parameters = [id, place, ordering.target, insists ? 1 : 0, token];
    const answer = await callRedis(() => claim.run(this.#redis, keys, parameters));
    const [state, other, request, woken] = answer as [Turn["state"], string, string, Wakeable["mode"] | ""];
    return {
      ...{ state, other },
      request: request === "" ? null : request,
      wokenFor: woken === "" ? null : woken,
    };
  }

  /** Ends its turn. @returns the deliveries to wake up; null, with nothing done, if another worker has the job */
  async leave({ id, ordering, place }: LanePlace, left: Leave): Promise<string[] | null> {
    const { outcome, endpoint, wokenCount, token, data } = left;
    const { lane, thing, requests, job, lock, endpoints } = this.#keys;
    const endpointKey = endpoint === null ? lane(ordering) : this.#keys.endpoint(endpoint);
    const keys = [lane(ordering), thing(ordering), requests, endpointKey, job(id), lock(id), endpoints];
    const parameters: ScriptArgument[] = [
      ...[id, place, ordering.target, outcome, wokenCount, endpoint ?? ""],
      ...[keepSeconds, this.#settings.keepAcceptedSeconds, token, data ?? ""],
    ];
    return (await callRedis(() => leave.run(this.#redis, keys, parameters))) as string[] | null;
  }

  /**
   * Whether a delivery that has just become delayed should come back at once: a person asked for something, or it was
   * woken up, while that could not reach it.
   *
   * @param endpoint what it waits for, if anything
   */
  async isWanted(id: string, endpoint: string | null): Promise<boolean> {
    const { requests } = this.#keys;
    const [isRequested, place] = await callRedis(() =>
      Promise.all([
        this.#redis.hexists(requests, id),
        endpoint === null ? "" : this.#redis.zscore(this.#keys.endpoint(endpoint), id),
      ]),
    );
    return isRequested === 1 || place === null;
  }

  /** Some of the endpoints that deliveries wait for. */
  async waitedFor(): Promise<string[]> {
    return callRedis(() => this.#redis.srandmember(this.#keys.endpoints, endpointsPerLook));
  }

  /** Takes deliveries that wait for an endpoint out of the line. @returns which to wake up */
  async takeWaiting(endpoint: string, { mode, count, probeMs }: Wakeable): Promise<string[]> {
    const keys = [this.#keys.endpoint(endpoint), this.#keys.endpoints, this.#keys.probe(endpoint)];
    const parameters = [endpoint, count, mode === "probe" ? 1 : 0, Math.ceil(probeMs), this.#keys.job("")];
    return (await callRedis(() => wakeWaiting.run(this.#redis, keys, parameters))) as string[];
  }

  /** The delivery that is first in a lane, whether or not its turn has begun. */
  async first(ordering: Ordering): Promise<string | null> {
    const [first] = await callRedis(() => this.#redis.zrange(this.#keys.lane(ordering), 0, "0"));
    return first?.replace(/^=/, "") ?? null;
  }

  /** Removes a delivery from a lane if the queue does not have it any more. @returns whether it is gone */
  async evict(ordering: Ordering, id: string): Promise<boolean> {
    const { lane, thing, job, completed, failed } = this.#keys;
    const keys = [lane(ordering), thing(ordering), job(id), completed, failed];
    const parameters: ScriptArgument[] = [id, jobIdOf(id), (Date.now() - addingMs) * 1_000];
    return (await callRedis(() => evict.run(this.#redis, keys, parameters))) === 1;
  }
}
