/** One chaos run: a deployment, load, faults, and the verdict once everything had time to arrive. */

import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../../test/support/random.ts";
import { Clients } from "./clients.ts";
import { Deployment, type DeploymentOptions } from "./deployment.ts";
import { drawFaults, type Fault } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { isComplete, judgeRun, type Verdict } from "./oracle.ts";
import { planLoad } from "./plans.ts";
import type { AcceptedDelivery } from "./receivers.ts";
import { readHistory } from "./recorded.ts";
import { heartbeatLatenessMs, heartbeatWithinMs, receiverNames } from "./rules.ts";

export interface ChaosOptions extends Pick<DeploymentOptions, "folder" | "redis" | "counts" | "shardCount"> {
  readonly seed: number;
  readonly minutes: number;
  /** Parts of the names of the faults to suffer; empty for all. */
  readonly only: readonly string[];
  /** Besides heartbeats. */
  readonly eventsPerSecond: number;
  /** How long everything may take to arrive after the last fault, besides what silences need to be noticed. */
  readonly drainMs: number;
  /** Given one line at a time. */
  readonly print: (line: string) => void;
}

export interface FaultReport {
  readonly kind: string;
  readonly target: string;
  readonly ms: number;
  /** From the end of the fault until new events had gone all the way to every receiver; null: it never happened. */
  readonly recoveryMs: number | null;
  /** From the end of the fault until every event acknowledged before had reached its receiver. */
  readonly drainedMs: number | null;
  /** Whether another fault began before it had recovered; then its times are not its own. */
  readonly isOverlapped: boolean;
}

export interface ChaosResult {
  readonly verdict: Verdict;
  readonly faults: readonly FaultReport[];
  /** Processes that ended without having been asked to. */
  readonly crashes: readonly string[];
  /** Events that a client sent again, and requests that failed. */
  readonly resentCount: number;
  readonly failedRequestCount: number;
  readonly refusedDeliveryCount: number;
  /** From the end of the last fault until every webhook of events before it had been accepted. */
  readonly drainedMs: number | null;
}

const probeLimitMs = 120_000;
const lookMs = 100;
/** What is there twice may come late. */
const settleMs = 5_000;

export class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #stops: (() => unknown)[] = [];
  readonly #ledger = new Ledger();
  readonly #accepted: AcceptedDelivery[] = [];
  readonly #acceptedEvents = new Set<string>();
  /** Acknowledged events that must reach a receiver and have not yet, and when they were acknowledged. */
  readonly #outstanding = new Map<string, number>();
  readonly #crashes: string[] = [];
  readonly #startedAt = performance.now();
  #refusedCount = 0;
  #load: Load | null = null;
  #isStopped = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  async run(): Promise<ChaosResult> {
    const { seed, minutes, eventsPerSecond, print, ...rest } = this.#options;
    print(this.#line("starting", "Redis, servers and receivers"));
    const deployment = await Deployment.start(
      {
        ...rest,
        onAccepted: (delivery) => this.#accept(delivery),
        onRefused: () => {
          this.#refusedCount += 1;
        },
        onCrash: (name, how) => {
          this.#crashes.push(`${name} ended with ${how}`);
          print(this.#line("CRASH", `${name} ended with ${how}`));
        },
      },
      (stop) => this.#stopLater(stop),
    );
    const clients = new Clients(deployment.apis, this.#ledger, new Random(seed + 1), (event) => {
      if (!event.event.startsWith("chaos.presence.") || this.#acceptedEvents.has(event.id)) return;
      this.#outstanding.set(event.id, Date.now());
    });
    this.#stopLater(() => clients.stop());
    const lengthMs = minutes * 60_000;
    const plan = planLoad(new Random(seed + 2), lengthMs, eventsPerSecond);
    const load = new Load(plan, clients, seed);
    this.#load = load;
    this.#stopLater(() => load.stop());
    print(
      this.#line("load", `${plan.events.length} events and ${plan.heartbeats.length} senders of heartbeats`),
    );

    const faults = await this.#suffer(deployment, clients, new Random(seed + 3), lengthMs);
    const lastEnd = Date.now();
    print(this.#line("quiet", "no more faults; waiting until everything has arrived"));
    const deadline = lastEnd + heartbeatWithinMs + heartbeatLatenessMs + this.#options.drainMs;
    await this.#until(deadline, () => load.isOver && clients.isIdle && this.#outstanding.size === 0);
    const drainedMs = this.#outstanding.size === 0 ? Date.now() - lastEnd : null;
    // Silences are noticed this much later.
    await this.#until(lastEnd + heartbeatWithinMs + heartbeatLatenessMs, () => false);
    const judge = async () => {
      const readAt = Date.now();
      const recorded = await readHistory(deployment.apis[0]!);
      return judgeRun({ plan, ledger: this.#ledger, accepted: this.#accepted, recorded, readAt });
    };
    let verdict = await judge();
    while (!isComplete(verdict) && Date.now() < deadline && !this.#isStopped) {
      const [missing = ""] = [...verdict.lost, ...verdict.missed];
      const count = verdict.lost.length + verdict.missed.length;
      print(this.#line("incomplete", `${count} things are missing, such as: ${missing}`));
      await pause(settleMs);
      verdict = await judge();
    }
    await pause(settleMs);
    verdict = await judge();
    return {
      verdict,
      faults,
      crashes: this.#crashes,
      resentCount: this.#ledger.repeatedCount,
      failedRequestCount: this.#ledger.failedCount,
      refusedDeliveryCount: this.#refusedCount,
      drainedMs,
    };
  }

  /** Ends everything that was started, however far the run has come. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** What starts while everything is being stopped must not stay behind. */
  #stopLater(stop: () => unknown): void {
    if (this.#isStopped) void stop();
    else this.#stops.push(stop);
  }

  async #suffer(
    deployment: Deployment,
    clients: Clients,
    random: Random,
    lengthMs: number,
  ): Promise<FaultReport[]> {
    const end = Date.now() + lengthMs;
    const reports: Promise<FaultReport>[] = [];
    await this.#recover(clients, "start"); // so that the first fault is not charged for a cold start
    let running = 0;
    for (const fault of drawFaults(random, deployment, this.#options.only)) {
      await pause(random.integer(500, 3_000));
      if (Date.now() >= end || this.#isStopped) break;
      const report = this.#sufferOne(fault, deployment, clients, () => running > 1);
      running += 1;
      const ended = report.finally(() => {
        running -= 1;
      });
      reports.push(report);
      // Some strike while others have not been overcome, unless they are about the same thing.
      const mayOverlap = running === 1 && random.chance(0.4);
      if (!mayOverlap)
        await Promise.race([Promise.all([ended, ...reports]), pause(Math.max(0, end - Date.now()))]);
    }
    return Promise.all(reports);
  }

  async #sufferOne(
    fault: Fault,
    deployment: Deployment,
    clients: Clients,
    isOverlappedNow: () => boolean,
  ): Promise<FaultReport> {
    const { kind, target, ms } = fault;
    this.#options.print(this.#line(kind, ms > 0 ? `${target} (${(ms / 1_000).toFixed(1)} s)` : target));
    await fault.run(deployment);
    let isOverlapped = isOverlappedNow();
    const watch = setInterval(() => {
      isOverlapped ||= isOverlappedNow();
    }, lookMs);
    const { recoveryMs, drainedMs } = await this.#recover(clients, kind);
    clearInterval(watch);
    return { kind, target, ms, recoveryMs, drainedMs, isOverlapped };
  }

  /** Sends an event for each receiver and waits until they have them, and all that were acknowledged before. */
  async #recover(
    clients: Clients,
    kind: string,
  ): Promise<{ readonly recoveryMs: number | null; readonly drainedMs: number | null }> {
    const began = Date.now();
    const ids = receiverNames.map((receiver) => {
      const id = this.#load?.uuid() ?? "";
      const resource = `probe.${id}`;
      void clients.postNow({ id, event: `chaos.presence.${receiver}`, resource, occurred: began });
      return id;
    });
    const limit = began + probeLimitMs;
    const passed = await this.#until(limit, () => ids.every((id) => this.#acceptedEvents.has(id)));
    const recoveryMs = passed ? Date.now() - began : null;
    const drained = await this.#until(limit, () =>
      [...this.#outstanding.values()].every((acknowledged) => acknowledged > began),
    );
    const drainedMs = drained ? Date.now() - began : null;
    if (recoveryMs === null || drainedMs === null) {
      this.#options.print(this.#line("STUCK", `not recovered ${probeLimitMs / 1_000} s after ${kind}`));
    }
    return { recoveryMs, drainedMs };
  }

  #accept(delivery: AcceptedDelivery): void {
    this.#accepted.push(delivery);
    const { rule, state, resource, eventId } = delivery;
    if (rule === "heartbeat" && state === "Triggered") this.#load?.returned(resource);
    if (eventId === null) return;
    this.#acceptedEvents.add(eventId);
    this.#outstanding.delete(eventId);
  }

  async #until(deadline: number, isSo: () => boolean): Promise<boolean> {
    while (!isSo()) {
      if (Date.now() >= deadline || this.#isStopped) return false;
      await pause(lookMs);
    }
    return true;
  }

  #line(what: string, detail: string): string {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    return `${seconds.toFixed(1).padStart(7)}  ${what.padEnd(26)} ${detail}`;
  }
}
