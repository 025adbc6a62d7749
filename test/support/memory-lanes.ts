/**
 * The lanes, in memory: what the scripts in src/store/scripts do in Redis. See src/delivery/lanes.ts.
 *
 * The suite in test/contract/ checks that they behave alike. Not modeled: keys that nobody touches are kept forever.
 */

import type { Invocation, Ordering } from "../../src/core/model/invocation.ts";
import type { DeliveryRequest } from "../../src/delivery/delivery-state.ts";
import type { Wakeable } from "../../src/delivery/http/endpoints.ts";
import type {
  JoinedLane,
  LanePlace,
  LaneStore,
  Leave,
  Move,
  Moved,
  RejoinFrom,
  Turn,
} from "../../src/delivery/ports.ts";
import type { MemoryJobs } from "./memory-jobs.ts";
import type { MemoryWorld } from "./memory-store.ts";
import type { Random } from "./random.ts";

interface LaneCells {
  /** Delivery ids to places. */
  readonly places: Map<string, number>;
  /** The delivery whose turn it is. */
  turn: string | null;
  /** The last place that the target accepted. */
  accepted: number;
}

/** What the queue does not have although it has a place is being added to it at the moment, for so long. */
const addingMs = 60_000;

export class MemoryLanes implements LaneStore {
  /** The deliveries that ever left for another lane; for tests to know. */
  readonly movedIds = new Set<string>();
  readonly #world: MemoryWorld;
  readonly #jobs: MemoryJobs;
  readonly #random: Random;
  readonly #lanes = new Map<string, LaneCells>();
  readonly #requests = new Map<string, string>();
  /** By endpoint: the deliveries that wait for it, and their places. */
  readonly #waiting = new Map<string, Map<string, number>>();
  /** Until when no other probe is sent to an endpoint. */
  readonly #probes = new Map<string, number>();
  #lastPlace = 0;

  /** @param random picks whom a probe wakes up */
  constructor(world: MemoryWorld, jobs: MemoryJobs, random: Random) {
    this.#world = world;
    this.#jobs = jobs;
    this.#random = random;
  }

  #lane({ thing, target }: Ordering): LaneCells {
    const key = `${thing}:${target}`;
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane: LaneCells = { places: new Map(), turn: null, accepted: 0 };
    this.#lanes.set(key, lane);
    return lane;
  }

  async join(invocations: readonly Invocation[]): Promise<(JoinedLane | null)[]> {
    if (invocations.every(({ ordering }) => ordering === undefined)) return invocations.map(() => null);
    this.#world.refuseIfFull();
    this.#lastPlace = Math.max(this.#lastPlace, this.#world.now() * 1_000);
    return invocations.map(({ id, ordering }) => {
      if (ordering === undefined || this.#jobs.cells.has(id)) return null;
      const { places } = this.#lane(ordering);
      if (!places.has(id)) places.set(id, ++this.#lastPlace);
      return { place: places.get(id)!, waits: places.size > 1 };
    });
  }

  async rejoin(
    { id, ordering, place }: LanePlace,
    { insists }: { readonly insists: boolean; readonly was: RejoinFrom },
  ): Promise<boolean> {
    const lane = this.#lane(ordering);
    if (!insists && lane.accepted > place) return false;
    this.#world.refuseIfFull();
    if (!lane.places.has(id)) lane.places.set(id, place);
    this.#requests.delete(id);
    return true;
  }

  async request(id: string, request: DeliveryRequest): Promise<void> {
    this.#world.refuseIfFull();
    this.#requests.set(id, JSON.stringify(request));
  }

  async forgetRequest(id: string, request: string): Promise<void> {
    if (this.#requests.get(id) === request) this.#requests.delete(id);
  }

  async claim({ id, ordering, place }: LanePlace, token: string, insists: boolean): Promise<Turn> {
    const turn = { other: "", request: null, wokenFor: null };
    if (this.#jobs.holder(id) !== token) return { ...turn, state: "lost" };
    const cells = this.#jobs.cells.get(id)!;
    // As in Redis: a script that has written something is not refused any more.
    if (cells.woken === null) this.#world.refuseIfFull();
    const wokenFor = cells.woken;
    cells.woken = null;
    const request = this.#requests.get(id) ?? null;
    const lane = this.#lane(ordering);
    if (!lane.places.has(id)) lane.places.set(id, place);
    if (!insists && lane.accepted > place) return { ...turn, state: "outdated", request, wokenFor };
    const first = lane.turn ?? firstOf(lane.places);
    if (first !== id) return { other: first ?? "", state: "wait", request, wokenFor };
    lane.turn = id;
    return { ...turn, state: "turn", request, wokenFor };
  }

  async leave({ id, ordering, place }: LanePlace, left: Leave): Promise<string[] | null> {
    const { outcome, endpoint, wokenCount, token, data } = left;
    if (this.#jobs.holder(id) !== token) return null;
    if (data !== null) {
      this.#world.refuseIfFull();
      this.#jobs.cells.get(id)!.data = data;
    }
    const lane = this.#lane(ordering);
    if (lane.turn === id) lane.turn = null;
    let woken: string[] = [];
    if (outcome === "later" || outcome === "postponed") {
      if (endpoint !== null && outcome === "later") this.#waitingFor(endpoint).set(id, place);
      else if (endpoint !== null) this.#waiting.get(endpoint)?.delete(id);
    } else {
      this.#requests.delete(id);
      if (lane.places.delete(id) && outcome === "accepted") lane.accepted = Math.max(lane.accepted, place);
      if (endpoint !== null) {
        this.#waiting.get(endpoint)?.delete(id);
        if (outcome === "accepted") woken = this.#popWaiting(endpoint, "drain", wokenCount);
      }
    }
    const first = lane.turn === null ? firstOf(lane.places) : null;
    return first !== null && first !== id ? [first, ...woken] : woken;
  }

  async move(from: LanePlace, to: LanePlace, { insists, endpoint, token, data }: Move): Promise<Moved> {
    const { id, ordering, place } = to;
    if (this.#jobs.holder(id) !== token) return { state: "lost", next: null };
    const [before, after] = [this.#lane(from.ordering), this.#lane(ordering)];
    if (!insists && after.accepted > place) return { state: "outdated", next: null };
    this.#world.refuseIfFull();
    this.#jobs.cells.get(id)!.data = data;
    this.movedIds.add(id);
    if (before.turn === id) before.turn = null;
    before.places.delete(id);
    if (!after.places.has(id)) after.places.set(id, place);
    if (endpoint !== null) this.#waiting.get(endpoint)?.delete(id);
    return { state: "moved", next: before.turn === null ? firstOf(before.places) : null };
  }

  async isWanted(id: string, endpoint: string | null): Promise<boolean> {
    return this.#requests.has(id) || (endpoint !== null && this.#waiting.get(endpoint)?.has(id) !== true);
  }

  async waitedFor(): Promise<string[]> {
    return [...this.#waiting.keys()];
  }

  async takeWaiting(endpoint: string, { mode, count, probeMs }: Wakeable): Promise<string[]> {
    if ((this.#waiting.get(endpoint)?.size ?? 0) === 0) {
      this.#waiting.delete(endpoint);
      return [];
    }
    if (mode === "probe") {
      this.#world.refuseIfFull();
      if ((this.#probes.get(endpoint) ?? 0) > this.#world.now()) return [];
      this.#probes.set(endpoint, this.#world.now() + Math.ceil(probeMs));
    }
    return this.#popWaiting(endpoint, mode, count);
  }

  async first(ordering: Ordering): Promise<string | null> {
    const { turn, places } = this.#lane(ordering);
    return turn ?? firstOf(places);
  }

  async evict(ordering: Ordering, id: string): Promise<boolean> {
    const lane = this.#lane(ordering);
    const place = lane.places.get(id);
    if (place === undefined) return true;
    if (place >= (this.#world.now() - addingMs) * 1_000) return false;
    const job = this.#jobs.cells.get(id);
    if (job !== undefined && job.place !== "completed" && job.place !== "failed") return false;
    lane.places.delete(id);
    if (lane.turn === id) lane.turn = null;
    return true;
  }

  /** Whether any delivery waits in a lane, or for an endpoint; for tests to check that everything has ended. */
  get waitingIds(): string[] {
    return [...this.#lanes.values(), ...[...this.#waiting.values()].map((places) => ({ places }))].flatMap(
      ({ places }) => [...places.keys()],
    );
  }

  #waitingFor(endpoint: string): Map<string, number> {
    const waiting = this.#waiting.get(endpoint) ?? new Map<string, number>();
    this.#waiting.set(endpoint, waiting);
    return waiting;
  }

  #popWaiting(endpoint: string, mode: Wakeable["mode"], count: number): string[] {
    const waiting = this.#waiting.get(endpoint);
    const popped: string[] = [];
    while (waiting !== undefined && waiting.size > 0 && popped.length < count) {
      const id = mode === "drain" ? firstOf(waiting)! : this.#random.pick([...waiting.keys()]);
      waiting.delete(id);
      const job = this.#jobs.cells.get(id);
      if (job !== undefined) job.woken = mode;
      popped.push(id);
    }
    return popped;
  }
}

/** The id with the lowest place. */
function firstOf(places: ReadonlyMap<string, number>): string | null {
  let first: string | null = null;
  let lowest = Number.POSITIVE_INFINITY;
  for (const [id, place] of places) {
    if (place >= lowest) continue;
    first = id;
    lowest = place;
  }
  return first;
}
