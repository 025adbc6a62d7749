/**
 * Followers: events that wait for the event that they follow.
 *
 * A follower waits until its leader has been evaluated, or until its patience ends. A leader may itself be waiting. Such
 * a chain is released as a whole when its head arrives.
 */

import type { Event } from "../model/event.ts";
import { followerPatience } from "../model/limits.ts";
import { type Arrival, type Arrivals, type StoredReference, writeState } from "./arrival.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import type { SeenIds } from "./seen.ts";
import type { Cells } from "./state.ts";

export class Followers {
  // Sets, because thousands may wait for one leader, and removing one must not depend on their number.
  readonly #byLeader = new Map<string, Set<Arrival>>();
  readonly #waiting = new Map<string, Arrival>();
  readonly #arrivals: Arrivals;
  readonly #cells: Cells;
  readonly #await: (waiter: Waiter, deadline: Deadline) => void;
  readonly #release: (arrival: Arrival) => void;

  /** @param release evaluates a follower whose patience has ended */
  constructor(
    arrivals: Arrivals,
    cells: Cells,
    awaitDeadline: (waiter: Waiter, deadline: Deadline) => void,
    release: (arrival: Arrival) => void,
  ) {
    this.#arrivals = arrivals;
    this.#cells = cells;
    this.#await = awaitDeadline;
    this.#release = release;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** True when the event has to wait, because its leader is unknown or waiting itself. */
  mustWait({ id, follows, occurred, received, lineage }: Event, seen: SeenIds): boolean {
    // Tripline's own events are appended in order, so their leader came before them, however long ago.
    if (follows === null || follows === id || lineage.length > 0) return false;
    if (received - occurred > followerPatience) return false;
    return this.#waiting.has(follows) || !seen.knows(follows, received);
  }

  /** @param order the follower's place among all followers that ever waited */
  wait(arrival: Arrival, order: number): void {
    this.#arrivals.hold(arrival);
    this.#cells.write(`f:${arrival.position}`, () =>
      writeState((refer): StoredFollower => [order, refer(arrival)]),
    );
    this.#keep(arrival, order);
  }

  /** Restores followers, given in any order as their positions and what is stored of each. */
  restore(stored: Iterable<readonly [position: string, text: string]>): void {
    const followers: [order: number, Arrival][] = [];
    for (const [position, text] of stored) {
      const state = this.#arrivals.read(text);
      const header = state.header as StoredFollower | number;
      if (typeof header === "number") followers.push([header, this.#arrivals.at(position)]);
      else followers.push([header[0], state.arrival(header[1])]);
    }
    followers.sort(([a], [b]) => a - b);
    for (const [order, arrival] of followers) {
      this.#arrivals.hold(arrival);
      this.#keep(arrival, order);
    }
  }

  #keep(arrival: Arrival, order: number): void {
    const { id, follows, received } = arrival.event;
    const siblings = this.#byLeader.get(follows ?? "") ?? new Set();
    siblings.add(arrival);
    this.#byLeader.set(follows ?? "", siblings);
    this.#waiting.set(id, arrival);
    const meet = (): void => {
      if (this.#waiting.get(id) === arrival && !this.#leaderIsDueToo(arrival)) this.#release(arrival);
    };
    const { position } = arrival;
    const due = received + followerPatience;
    this.#await({ place: position, meet }, { due, rank: rank.follower, order, key: "" });
  }

  /**
   * True when the leader waits as well and its patience ends at the same instant. Then the leader is released, and this
   * follower right after it. False for events that wait for each other in a circle.
   */
  #leaderIsDueToo(arrival: Arrival): boolean {
    const visited = new Set<Arrival>();
    for (let current = arrival; ; ) {
      const leader = this.#waiting.get(current.event.follows ?? "");
      if (leader === undefined || leader.event.received !== arrival.event.received) return visited.size > 0;
      if (visited.has(leader) || leader === arrival) return false;
      visited.add(leader);
      current = leader;
    }
  }

  /** The event and all its followers, direct and indirect: each right after its leader, siblings by the time they occurred. */
  chainFrom(head: Arrival): Iterable<Arrival> {
    return this.#waiting.size === 0 ? [head] : this.#releaseChain(head); // mostly, no one waits for anything
  }

  *#releaseChain(head: Arrival): Iterable<Arrival> {
    this.#stopWaiting(head);
    const stack = [head];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const followers = [...(this.#byLeader.get(next.event.id) ?? [])];
      followers.sort((a, b) => a.event.occurred - b.event.occurred);
      // Stop them all first, so that nothing that happens between two events of the chain releases one a second time.
      for (const follower of followers) this.#stopWaiting(follower);
      for (const follower of followers.toReversed()) stack.push(follower);
      yield next;
    }
  }

  #stopWaiting(arrival: Arrival): void {
    const { id, follows } = arrival.event;
    if (this.#waiting.get(id) !== arrival) return;
    this.#waiting.delete(id);
    const siblings = this.#byLeader.get(follows ?? "");
    siblings?.delete(arrival);
    if (siblings?.size === 0) this.#byLeader.delete(follows ?? "");
    this.#cells.write(`f:${arrival.position}`, null);
    this.#arrivals.release(arrival);
  }
}

/** Before version 3, the order alone. */
type StoredFollower = [order: number, arrival: StoredReference];
