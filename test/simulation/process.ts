/** A process of the simulation: whatever it does may take long, fail, be repeated or never end. */

import type { WallClock } from "../../src/retry/clock.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { Random } from "../support/random.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

/** What may happen to a call. A pause is like a suspended process: it goes on later without noticing. */
export const callFaults = [
  "crash before",
  "crash after",
  "unreachable",
  "lost reply",
  "pause before",
  "pause after",
] as const;

export type CallFault = (typeof callFaults)[number];

/** What all processes of a simulation share. */
export interface Stage {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** How likely a fault is in each call. */
  faultProbability: number;
  readonly faultCounts: Map<string, number>;
  /** How many calls were made to stores, queues and receivers. */
  callCount: number;
}

/** The longest pause: longer than leases and locks. */
const pauseMsMax = 20_000;
/** How long a connection stays lost. */
const reconnectMsMax = 3_000;

/** Counts something that went wrong on purpose. */
export function countFault({ faultCounts }: Stage, kind: string): void {
  faultCounts.set(kind, (faultCounts.get(kind) ?? 0) + 1);
}

export interface PortOptions<T> {
  /** Whether the connection sends a call again by itself after an outage, as that of a worker does. */
  readonly isPatient?: boolean;
  /** What reaches nothing outside the process. */
  readonly local?: readonly (keyof T)[];
}

export class SimulatedProcess {
  readonly name: string;
  readonly clock: WallClock;
  readonly #stage: Stage;
  readonly #death = Promise.withResolvers<void>();
  #isDead = false;
  #pausedUntil = 0;
  /** How far its time of day is ahead, in milliseconds. */
  #aheadMs: number;

  constructor(name: string, stage: Stage, startMs: number) {
    this.name = name;
    this.#stage = stage;
    const { random, clock } = stage;
    this.#aheadMs = random.integer(-300, 300);
    this.clock = {
      now: () => clock.now(),
      random: () => random.next(),
      timeOfDay: () => startMs + Math.floor(clock.now()) + this.#aheadMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves when the process dies. */
  get death(): Promise<void> {
    return this.#death.promise;
  }

  /** Whatever it was doing never goes on. */
  die(): void {
    this.#isDead = true;
    this.#death.resolve();
  }

  /** Sets its time of day. */
  stepClock(ms: number): void {
    this.#aheadMs += ms;
  }

  /** The same thing as this process reaches it: each call may fail. */
  port<T extends object>(target: T, { isPatient = false, local = [] }: PortOptions<T> = {}): T {
    const members = new Map<PropertyKey, unknown>();
    return new Proxy(target, {
      get: (_, name) => {
        if (members.has(name)) return members.get(name);
        let member: unknown = Reflect.get(target, name);
        if (typeof member === "function") {
          const method = member.bind(target) as (...given: unknown[]) => Promise<unknown>;
          const isLocal = local.includes(name as keyof T);
          member = isLocal ? method : (...given: unknown[]) => this.call(() => method(...given), isPatient);
        }
        members.set(name, member);
        return member;
      },
    });
  }

  /**
   * One call over the network.
   *
   * @param operation happens at once, at some time after the call
   */
  async call<T>(operation: () => Promise<T>, isPatient = false): Promise<T> {
    for (;;) {
      this.#stage.callCount += 1;
      const fault = this.#drawFault();
      if (fault === "crash before") this.die();
      if (fault === "pause before") this.#pause();
      await this.#sleep(this.#latencyMs());
      if (fault === "unreachable") {
        await this.#reconnect(isPatient, "simulated");
        continue;
      }
      const result = await operation();
      if (fault === "crash after") this.die();
      if (fault === "pause after") this.#pause();
      await this.#sleep(this.#latencyMs());
      if (fault !== "lost reply") return result;
      await this.#reconnect(isPatient, "simulated, after the fact");
    }
  }

  /**
   * One request to a receiver. Once it is sent, it arrives whatever becomes of the process.
   *
   * @param arrive happens when it arrives. @returns when to go on, and with what
   */
  async request<T>(arrive: () => { readonly afterMs: number; readonly answer: () => T }): Promise<T> {
    this.#stage.callCount += 1;
    const fault = this.#drawFault();
    await this.#stage.clock.sleep(this.#latencyMs());
    const { afterMs, answer } = arrive();
    if (fault === "crash before" || fault === "crash after") this.die();
    if (fault === "pause before" || fault === "pause after") this.#pause();
    await this.#sleep(afterMs + this.#latencyMs());
    return answer();
  }

  #drawFault(): CallFault | null {
    const { random, faultProbability } = this.#stage;
    if (this.#isDead || !random.chance(faultProbability)) return null;
    const fault = random.pick(callFaults);
    countFault(this.#stage, fault);
    return fault;
  }

  #pause(): void {
    const { random, clock } = this.#stage;
    this.#pausedUntil = Math.max(this.#pausedUntil, clock.now() + random.integer(1, pauseMsMax));
  }

  async #reconnect(isPatient: boolean, reason: string): Promise<void> {
    if (!isPatient) throw new RedisUnreachable(reason);
    await this.#sleep(this.#stage.random.integer(1, reconnectMsMax));
  }

  /** Mostly about a millisecond, so that the calls of different processes meet in every order. */
  #latencyMs(): number {
    const { random } = this.#stage;
    const share = random.next();
    return random.chance(0.02) ? share * 100 : share * 2;
  }

  async #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#stage.clock.sleep(ms, signal);
    await this.#untilRuns();
  }

  async #untilRuns(): Promise<void> {
    const { clock } = this.#stage;
    while (!this.#isDead && this.#pausedUntil > clock.now())
      await clock.sleep(this.#pausedUntil - clock.now());
    if (this.#isDead) await new Promise<never>(() => {});
  }
}
