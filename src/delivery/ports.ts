/**
 * The interfaces between delivery and the outside: the jobs of the queue, the lanes, the log and HTTP. The clock is in
 * `src/retry`.
 *
 * Delivery reaches BullMQ, Redis, receivers and time only through these, so that a simulator can run the same code with
 * faults.
 */

import type { Invocation, Ordering } from "../core/model/invocation.ts";
import type { DestinationStore } from "../store/destination-store.ts";
import type { DisabledEndpointStore } from "../store/disabled-endpoints.ts";
import type { Log } from "../store/log.ts";
import type { RequestLimitStore } from "../store/request-limits.ts";
import type { DeliveryRequest, JobData } from "./delivery-state.ts";
import type { Wakeable } from "./http/endpoints.ts";
import type { WebhookClient } from "./http/webhook-client.ts";

/** A job that a worker has taken from the queue, as BullMQ hands it over. */
export interface TakenJob {
  readonly id?: string | undefined;
  data: JobData;
  /** When it was added to the queue, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** How often a worker was lost in the middle of it. */
  readonly stalledCounter: number;
  /**
   * Gives the job back, to come again later.
   *
   * @param due in milliseconds since the epoch
   * @throws Error if the lock has another token or is gone
   */
  moveToDelayed(due: number, token: string): Promise<void>;
}

/** The queue's jobs, for a worker that has taken some. Identified by their deliveries. Every method may throw `RedisUnreachable`. */
export interface JobStore {
  /** Stores the data of a job. @returns false, with nothing written, if the lock has another token or is gone */
  write(id: string, token: string, data: JobData): Promise<boolean>;
  /** The token of the worker that has the job; null if none has. */
  holder(id: string): Promise<string | null>;
  /** Lets a worker take a job now. @returns false if it is not one that comes back later; it need not exist */
  promote(id: string): Promise<boolean>;
  /** Lets a worker take a deferred delivery now. @returns false if it is not deferred, or not yet */
  wake(id: string): Promise<boolean>;
}

/** A job to add. */
export interface NewJob {
  readonly invocation: Invocation;
  readonly data: JobData;
  /** How long no worker takes it, in milliseconds. */
  readonly delayMs: number;
}

/** The queue, for whoever adds to it. Every method may throw `RedisUnreachable`. */
export interface NewJobs extends Pick<JobStore, "promote"> {
  /** Adds jobs. One whose delivery the queue knows is ignored. Some may have been added if it throws. */
  add(jobs: readonly NewJob[]): Promise<void>;
}

/** A delivery in its lane. */
export interface LanePlace {
  /** The delivery's id. */
  readonly id: string;
  readonly ordering: Ordering;
  /** Its place in the lane: when it was dispatched, in microseconds since the epoch; unique. */
  readonly place: number;
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
   */
  readonly outcome: "later" | "postponed" | "accepted" | "dead";
  /** Where it was sent, or will be; null if nowhere. */
  readonly endpoint: string | null;
  /** How many of those that wait for the endpoint to wake up, if it accepted this one. */
  readonly wokenCount: number;
  /** The token of the job's lock. */
  readonly token: string;
  /** What to store in the job in the same step; null if that has not changed. */
  readonly data: string | null;
}

export interface Move {
  /** Whether to move it even if the other target has accepted a later one. */
  readonly insists: boolean;
  /** Where it was sent; null if nowhere. */
  readonly endpoint: string | null;
  /** The token of the job's lock. */
  readonly token: string;
  /** What to store in the job in the same step. */
  readonly data: string;
}

export interface Moved {
  /** `outdated`, with nothing done: the other target has accepted a later one. `lost`: another worker has the job. */
  readonly state: "moved" | "outdated" | "lost";
  /** The delivery to wake up. */
  readonly next: string | null;
}

/** How a delivery has ended that is put into its lane again. */
export type RejoinFrom = "dead" | "delivered";

/** The lanes of a workspace. `Lanes` is the real one. Every method may throw `RedisUnreachable`. */
export interface LaneStore {
  /** Gives each invocation its place. @returns null for one that needs none, or that the queue already knows */
  join(invocations: readonly Invocation[]): Promise<(JoinedLane | null)[]>;
  /**
   * Puts a delivery that has ended at its old place.
   *
   * @param options.insists even if the target has accepted a later one
   * @returns false, with nothing done, if the target has accepted a later one
   */
  rejoin(
    place: LanePlace,
    options: { readonly insists: boolean; readonly was: RejoinFrom },
  ): Promise<boolean>;
  /** Notes what a person asks for. The worker reads it when it next looks at the delivery. */
  request(id: string, request: DeliveryRequest): Promise<void>;
  /** This request has been followed. */
  forgetRequest(id: string, request: string): Promise<void>;
  /** Begins a delivery's turn, if it is. @param token of the job's lock */
  claim(place: LanePlace, token: string, insists: boolean): Promise<Turn>;
  /** Ends its turn. @returns the deliveries to wake up; null, with nothing done, if another worker has the job */
  leave(place: LanePlace, left: Leave): Promise<string[] | null>;
  /** Moves a delivery to the lane of another target, at its old place, and ends its turn. */
  move(from: LanePlace, to: LanePlace, move: Move): Promise<Moved>;
  /**
   * Whether a delivery that has just become delayed should come back at once: a person asked for something, or it was
   * woken up, while that could not reach it.
   *
   * @param endpoint what it waits for, if anything
   */
  isWanted(id: string, endpoint: string | null): Promise<boolean>;
  /** Some of the endpoints that deliveries wait for. */
  waitedFor(): Promise<string[]>;
  /** Takes deliveries that wait for an endpoint out of the line. @returns which to wake up */
  takeWaiting(endpoint: string, wakeable: Wakeable): Promise<string[]>;
  /** The delivery that is first in a lane, whether or not its turn has begun. */
  first(ordering: Ordering): Promise<string | null>;
  /** Removes a delivery from a lane if the queue does not have it any more. @returns whether it is gone */
  evict(ordering: Ordering, id: string): Promise<boolean>;
}

/** What a delivery needs of the log. `Log` is the real one. */
export interface DeliveryLog
  extends Pick<
    Log,
    "appendEvents" | "automations" | "openSecrets" | "sealedAutomation" | "updateAutomation"
  > {
  readonly destinations: Pick<DestinationStore, "get" | "getByName" | "requireSecrets">;
  readonly endpoints: Pick<DisabledEndpointStore, "disable" | "find" | "idOf">;
  readonly limits: Pick<RequestLimitStore, "enter" | "keep" | "leave" | "slotMs">;
}

/** What sends requests, and knows the state of each endpoint. `WebhookClient` is the real one. */
export type HttpSender = Pick<WebhookClient, "checkHost" | "endpoints" | "lookup" | "send">;
