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
import { callRedis, type RedisConnection, RedisUnreachable } from "../store/connection.ts";
import { Script, type ScriptArgument } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import type { DeliveryRequest, DeliveryState } from "./delivery-state.ts";
import type { Wakeable } from "./http/endpoints.ts";
import type { JoinedLane, LanePlace, LaneStore, Leave, Move, Moved, RejoinFrom, Turn } from "./ports.ts";
import { jobIdOf, type QueueKeys, queueKeys } from "./queue-keys.ts";

/** Why a delivery waits for another one. Shown to people. */
export const parkedReason = "waits for an earlier delivery about the same thing to the same target";

/** @returns null for a delivery whose order makes no difference */
export function placeOf({ invocation: { id, ordering }, place }: DeliveryState): LanePlace | null {
  return ordering === undefined || place === undefined ? null : { id, ordering, place };
}

/** A place as a job stores it; nothing if there is none. */
export function placeField(place: number | null | undefined): Pick<DeliveryState, "place"> {
  return place == null ? {} : { place };
}

/** What is known in Redis of an endpoint that is down. Each process knows more of its own requests. */
export interface EndpointRest {
  /** Deliveries that wait for it. */
  readonly waitingCount: number;
  /** When a probe may find out again whether it works, in milliseconds since the epoch; null if it does not rest. */
  readonly until: number | null;
}

export interface LaneSettings {
  /** How long the last place that a target accepted is remembered after everything about the thing was delivered. */
  readonly keepAcceptedSeconds: number;
}

const join = new Script(scripts.joinLanes);
const rejoin = new Script(scripts.rejoinLane);
const claim = new Script(scripts.claimTurn);
const leave = new Script(scripts.leaveTurn);
const moveTurn = new Script(scripts.moveTurn);
const forgetRequest = new Script(scripts.forgetRequest);
const wakeWaiting = new Script(scripts.wakeWaiting);
const evict = new Script(scripts.evictFromLane);

/** Longer than the longest retries and the life of a dead letter together. */
const keepSeconds = 62 * 86_400;

/** If more endpoints are down, each is looked at less often. */
const endpointsPerLook = 200;

/** What the queue does not have although it has a place is being added to it at the moment, for so long. */
const addingMs = 60_000;

/** The lanes in Redis. */
export class Lanes implements LaneStore {
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

  async rejoin(
    { id, ordering, place }: LanePlace,
    options: { readonly insists: boolean; readonly was: RejoinFrom },
  ): Promise<boolean> {
    const { lane, thing, requests } = this.#keys;
    const keys = [lane(ordering), thing(ordering), requests];
    const parameters = [id, place, ordering.target, keepSeconds, options.insists ? 1 : 0, options.was];
    return (await callRedis(() => rejoin.run(this.#redis, keys, parameters))) === 1;
  }

  async request(id: string, request: DeliveryRequest): Promise<void> {
    await callRedis(() => this.#redis.hset(this.#keys.requests, id, JSON.stringify(request)));
  }

  async forgetRequest(id: string, request: string): Promise<void> {
    await callRedis(() => forgetRequest.run(this.#redis, [this.#keys.requests], [id, request]));
  }

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

  async move(from: LanePlace, to: LanePlace, { insists, endpoint, token, data }: Move): Promise<Moved> {
    const { id, place, ordering } = to;
    const { lane, thing, job, lock } = this.#keys;
    const lanes = [lane(from.ordering), lane(ordering)];
    const endpointKey = endpoint === null ? lanes[0]! : this.#keys.endpoint(endpoint);
    const keys = [...lanes, thing(ordering), endpointKey, job(id), lock(id)];
    const parameters = [
      id,
      place,
      ordering.target,
      insists ? 1 : 0,
      token,
      data,
      endpoint ?? "",
      keepSeconds,
    ];
    const answer = await callRedis(() => moveTurn.run(this.#redis, keys, parameters));
    const [state, next] = answer as [Moved["state"], string];
    return { state, next: next === "" ? null : next };
  }

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

  async waitedFor(): Promise<string[]> {
    return callRedis(() => this.#redis.srandmember(this.#keys.endpoints, endpointsPerLook));
  }

  async takeWaiting(endpoint: string, { mode, count, probeMs }: Wakeable): Promise<string[]> {
    const keys = [this.#keys.endpoint(endpoint), this.#keys.endpoints, this.#keys.probe(endpoint)];
    const parameters = [endpoint, count, mode === "probe" ? 1 : 0, Math.ceil(probeMs), this.#keys.job("")];
    return (await callRedis(() => wakeWaiting.run(this.#redis, keys, parameters))) as string[];
  }

  /** What waits for each of these endpoints, in their order. */
  async rests(origins: readonly string[]): Promise<EndpointRest[]> {
    if (origins.length === 0) return [];
    const now = Date.now();
    const steps = this.#redis.pipeline();
    for (const origin of origins) steps.zcard(this.#keys.endpoint(origin)).pttl(this.#keys.probe(origin));
    const answers = await callRedis(async () => (await steps.exec()) ?? []);
    const numbers = answers.map(([error, answer]) => {
      if (error !== null) throw new RedisUnreachable(error);
      return Number(answer);
    });
    return origins.map((_, index) => {
      const [waitingCount = 0, probeMs = 0] = numbers.slice(2 * index, 2 * index + 2);
      return { waitingCount, until: waitingCount > 0 && probeMs > 0 ? now + probeMs : null };
    });
  }

  async first(ordering: Ordering): Promise<string | null> {
    const [first] = await callRedis(() => this.#redis.zrange(this.#keys.lane(ordering), 0, "0"));
    return first?.replace(/^=/, "") ?? null;
  }

  async evict(ordering: Ordering, id: string): Promise<boolean> {
    const { lane, thing, job, completed, failed } = this.#keys;
    const keys = [lane(ordering), thing(ordering), job(id), completed, failed];
    const parameters: ScriptArgument[] = [id, jobIdOf(id), (Date.now() - addingMs) * 1_000];
    return (await callRedis(() => evict.run(this.#redis, keys, parameters))) === 1;
  }
}
