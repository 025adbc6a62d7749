/**
 * Says what a simulation must have done, from what was acknowledged, what the log holds and what the receivers saw.
 *
 * It knows nothing of how the processes work. What fires is what a core says that was never interrupted and reads each
 * event once.
 */

import {
  actionEventIdsOf,
  emittedEventIdOf,
  firingEvent,
  invocationsOf,
} from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import type { Firing } from "../../src/core/machine/firing.ts";
import { changedAutomationOf, type LogEntry } from "../../src/core/machine/log-entry.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { outdatedReason } from "../../src/delivery/deliverer.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { activityKinds } from "../../src/store/activity.ts";
import { comparePositions } from "../../src/store/position.ts";
import type { MemoryWorld } from "../support/memory-store.ts";
import type { ReceivedRequest } from "./receivers.ts";
import { retryPolicies } from "./rules.ts";
import type { SimulationResult } from "./simulation.ts";

export interface Verdict {
  /** Everything that is wrong, one sentence each. */
  readonly problems: readonly string[];
  readonly firingCount: number;
  readonly deliveryCount: number;
  readonly deadLetterCount: number;
  /** Requests that a receiver had accepted before. */
  readonly repeatCount: number;
}

export function judge(result: SimulationResult): Verdict {
  const { world, ownedCounts, completeAfterMs, programErrors, receivers } = result;
  const problems = programErrors.map((error) => `a program error: ${describe(error)}`);
  if (completeAfterMs === null) problems.push("not everything was complete in time after the faults ended");
  if (Math.max(...ownedCounts) - Math.min(...ownedCounts) > 1)
    problems.push(`the engines do not share the shards evenly: ${ownedCounts.join(", ")}`);
  const firings = uninterrupted(world, result.clockJumps, problems);
  const invocations = firings.flatMap((firing) => invocationsOf(firing));
  problems.push(
    ...problemsOfEvents(result),
    ...problemsOfFirings(world, firings),
    ...problemsOfCounts(world, firings),
    ...problemsOfQueue(result, invocations),
    ...problemsOfDeliveries(result, invocations),
    ...problemsOfOrder(result, invocations),
  );
  const accepted = [...receivers.received.values()].flat().filter(({ isAccepted }) => isAccepted);
  const deadLetterCount = [...result.jobs.cells.values()].filter(({ place }) => place === "failed").length;
  return {
    problems,
    firingCount: firings.length,
    deliveryCount: invocations.length,
    deadLetterCount,
    repeatCount: accepted.length - new Set(accepted.map(({ webhookId }) => webhookId)).size,
  };
}

function describe(error: unknown): string {
  const { err = error } = (error ?? {}) as { err?: unknown };
  return err instanceof Error ? (err.stack ?? err.message) : JSON.stringify(err);
}

/** Every acknowledged event counts, in the order of the acknowledgments; what nobody posted does not. */
function problemsOfEvents({ world, clients, posted }: SimulationResult): string[] {
  const problems: string[] = [];
  const first = new Map<string, number>();
  for (const [index, entry] of world.log.entries()) {
    if (entry.kind !== "event") continue;
    const { id, name } = entry.event;
    if (!first.has(id)) first.set(id, index);
    if (!posted.has(id) && !/^(prefect-cloud|tripline)\.|^vent\.opened$/.test(name))
      problems.push(`the event ${id} (${name}) is in the log, and nobody posted it`);
  }
  for (const { acknowledged } of clients) {
    let last = -1;
    const seen = new Set<string>();
    for (const { id } of acknowledged.flat()) {
      const index = first.get(id);
      if (index === undefined) problems.push(`the event ${id} was acknowledged, and is not in the log`);
      // One that was sent again later, or by another client too, has its first place.
      else if (index < last && !seen.has(id) && !isShared(id, clients))
        problems.push(`the event ${id} is in the log before one that was acknowledged before it was posted`);
      else if (!seen.has(id) && !isShared(id, clients)) last = index;
      seen.add(id);
    }
  }
  return problems;
}

/** Whether several batches hold an event: then its place says nothing about any of them. */
function isShared(id: string, clients: SimulationResult["clients"]): boolean {
  const batches = clients.flatMap(({ acknowledged, abandoned }) => [...acknowledged, ...abandoned]);
  return batches.filter((batch) => batch.some((event: WireEvent) => event.id === id)).length > 1;
}

/** Each firing is reported in the log, in effect once, and nothing else is. */
function problemsOfFirings(world: MemoryWorld, firings: readonly Firing[]): string[] {
  const expected = new Set(firings.map((firing) => firingEvent(firing).id));
  const reported = world.log.flatMap((entry) =>
    entry.kind === "event" && /automation\.(triggered|resolved)$/.test(entry.event.name)
      ? [entry.event.id]
      : [],
  );
  const problems: string[] = [];
  if (new Set(reported).size < reported.length) problems.push("a firing is reported twice in the log");
  for (const id of reported) if (!expected.has(id)) problems.push(`the firing reported by ${id} is false`);
  const known = new Set(reported);
  for (const id of expected) {
    if (!known.has(id)) problems.push(`the firing that ${id} should report is missing`);
  }
  return problems;
}

/** Everything is counted once, whatever was interrupted, repeated and divided anew. */
function problemsOfCounts(world: MemoryWorld, firings: readonly Firing[]): string[] {
  const counted = { events: 0, firings: 0, resolutions: 0 };
  for (const { events, firings, resolutions } of world.activity.values()) {
    counted.events += events;
    counted.firings += firings;
    counted.resolutions += resolutions;
  }
  const fired = firings.filter(({ state }) => state === "Triggered").length;
  const expected = {
    events: onceEach(world.log).filter(({ kind }) => kind === "event").length,
    firings: fired,
    resolutions: firings.length - fired,
  };
  return activityKinds.flatMap((kind) =>
    counted[kind] === expected[kind]
      ? []
      : [`${counted[kind]} ${kind} are counted instead of ${expected[kind]}`],
  );
}

/** The queue got exactly the deliveries of these firings, as they are. */
function problemsOfQueue(
  { jobs, lanes, world }: SimulationResult,
  invocations: readonly Invocation[],
): string[] {
  const problems: string[] = [];
  const expected = new Map(invocations.map((invocation) => [invocation.id, invocation]));
  for (const [id, { place }] of jobs.cells) {
    if (!expected.has(id)) problems.push(`no firing explains the delivery ${id}`);
    if (place !== "completed" && place !== "failed") problems.push(`the delivery ${id} is still ${place}`);
  }
  for (const id of expected.keys()) if (!jobs.cells.has(id)) problems.push(`the delivery ${id} is missing`);
  for (const id of lanes.waitingIds) problems.push(`the delivery ${id} has a place in a lane`);
  for (const shards of world.generations) {
    for (const { outbox } of shards) if (outbox.length > 0) problems.push("an outbox is not empty");
  }
  if (world.refusal === null && world.wantedCount !== null)
    problems.push(`the number of shards was not changed to ${world.wantedCount}`);
  return problems;
}

interface Outcome {
  readonly kind: string;
  readonly reason: string;
  readonly url: string;
  readonly attemptCount: number;
}

/** Each delivery has one outcome in the log, and it is true. */
function problemsOfDeliveries(
  { world, receivers }: SimulationResult,
  invocations: readonly Invocation[],
): string[] {
  const outcomes = new Map<string, Outcome>();
  const inLog = new Set<string>();
  for (const entry of world.log) {
    if (entry.kind !== "event") continue;
    inLog.add(entry.event.id);
    const { event, payload } = entry.event.wire;
    const kind = /automation\.action\.(executed|failed)$/.exec(event)?.[1];
    if (kind === undefined) continue;
    const { reason, url, attempts } = payload as Record<string, string> & { attempts?: number };
    outcomes.set(entry.event.id, { kind, reason: reason ?? "", url: url ?? "", attemptCount: attempts ?? 0 });
  }
  const requests = Map.groupBy([...receivers.received.values()].flat(), ({ webhookId }) => webhookId);
  const isGone = [...receivers.received.values()].flat().some(({ mood }) => mood === "is gone");
  /** The newest that a target has got, by what it is about. */
  const newest = new Map<string, number>();
  for (const [index, { id, ordering }] of invocations.entries()) {
    const isTold = requests.get(id)?.some(({ isAccepted }) => isAccepted) || outcomes.has(executedIdOf(id));
    if (ordering !== undefined && isTold) newest.set(ordering.thing, index);
  }
  const expected = new Set(invocations.map(({ id }) => id));
  const problems = [...requests.keys()]
    .filter((id) => !expected.has(id))
    .map((id) => `a receiver got the delivery ${id}, which no firing explains`);
  for (const [index, { id, action, ordering }] of invocations.entries()) {
    const [started = "", ...ended] = actionEventIdsOf(id);
    const found = ended.flatMap((eventId) => outcomes.get(eventId) ?? []);
    const [outcome] = found;
    if (outcome === undefined || found.length > 1) {
      problems.push(`the delivery ${id} has ${found.length} outcomes in the log`);
      continue;
    }
    const own = requests.get(id) ?? [];
    // A worker may die in its first attempt, before it reports that; and there may be no other.
    if (!inLog.has(started) && outcome.attemptCount > 0)
      problems.push(`nothing reports the start of the delivery ${id}`);
    if (outcome.kind === "executed") {
      if (action.type === "call-webhook" && !own.some(({ isAccepted }) => isAccepted))
        problems.push(`the delivery ${id} is reported as executed, and no receiver accepted it`);
      if (action.type === "emit-event" && !inLog.has(emittedEventIdOf(id)))
        problems.push(`the delivery ${id} is reported as executed, and its event is not in the log`);
    } else if (outcome.reason === outdatedReason) {
      if ((newest.get(ordering?.thing ?? "") ?? -1) < index)
        problems.push(`the delivery ${id} is reported as outdated, and nothing newer was accepted`);
    } else {
      const problem = problemOfFailure(outcome, own, isGone);
      if (problem !== null) problems.push(`the delivery ${id} failed (${outcome.reason}): ${problem}`);
    }
  }
  return problems;
}

function executedIdOf(id: string): string {
  return actionEventIdsOf(id)[1] ?? "";
}

interface RetryPolicy {
  readonly attempts?: number;
  readonly for?: string;
  readonly give_up_on?: readonly number[];
}

/** Whether what receivers did justifies that a delivery was given up. @returns null if so */
function problemOfFailure({ reason, url }: Outcome, requests: readonly ReceivedRequest[], isGone: boolean) {
  if (/responded 410|because it responded 410 Gone/.test(reason))
    return isGone ? null : "no receiver has responded 410";
  const failures = requests.filter(({ mood }) => mood !== "works");
  // The rule may have been changed since the last attempt, and allow no other.
  if (/^gave up after (\d+h)?\d+m/.test(reason)) return failures.length > 0 ? null : "no attempt failed";
  const path = url === "" ? requests.at(-1)?.path : new URL(url).pathname;
  const policy: RetryPolicy | undefined = retryPolicies[path as keyof typeof retryPolicies];
  if (policy === undefined) return `nothing is known of ${url}`;
  if (policy.attempts !== undefined)
    return failures.length >= policy.attempts ? null : `only ${failures.length} attempts failed`;
  if (policy.for !== undefined) return failures.length > 0 ? null : "no attempt failed";
  if (policy.give_up_on !== undefined)
    return failures.some(({ mood }) => mood === "rejects") ? null : "no receiver has responded 400";
  return "it should have been tried for longer";
}

/**
 * The last message that a target accepts in a lane is the true one, and it accepts them in order.
 *
 * A delivery that waits goes to the present target of its rule, and so may come into a lane whose next one has been sent,
 * but not yet known to be accepted. That one is sent again, and is the last one still, unless the rule has another target
 * by then.
 */
function problemsOfOrder(
  { receivers, jobs, lanes }: SimulationResult,
  invocations: readonly Invocation[],
): string[] {
  const order = new Map(invocations.map(({ id }, index) => [id, index]));
  const indexOf = ({ webhookId }: ReceivedRequest) => order.get(webhookId) ?? -1;
  const problems: string[] = [];
  const accepted = [...receivers.received.values()].flat().filter(({ isAccepted }) => isAccepted);
  const byLane = Map.groupBy(
    accepted.sort((a, b) => a.at - b.at),
    ({ lane }) => lane,
  );
  for (const [lane, requests] of byLane) {
    if (lane === null) continue;
    let newest = -1;
    for (const request of requests) {
      const { webhookId: id, at } = request;
      if (lanes.movedIds.has(id)) continue;
      if (indexOf(request) < newest)
        problems.push(`${id} was accepted at ${at}, after a later one of the lane ${lane}`);
      newest = Math.max(newest, indexOf(request));
    }
    const isKnown = ({ webhookId: id }: ReceivedRequest) =>
      jobs.cells.get(id)?.place === "completed" && jobs.laneOf(id) === lane;
    const last = requests.at(-1)!;
    if (requests.some((request) => isKnown(request) && indexOf(request) > indexOf(last)))
      problems.push(`${last.webhookId} was the last that was accepted in ${lane}, and is not the newest`);
  }
  return problems;
}

/**
 * The firings of cores that consume the log in one go: one core for all automations that were in the same shard all the time.
 *
 * @param clockJumps whether to advance a core with each commit, not only with the last: a watermark that was reached while
 *   the store's clock was ahead is part of what happened
 */
function uninterrupted(world: MemoryWorld, clockJumps: boolean, problems: string[]): Firing[] {
  const log = onceEach(world.log);
  const paths = new Set(log.flatMap((entry) => pathOf(entry, world) ?? []));
  return [...paths].flatMap((path) => {
    const core = new Core();
    const cells = path.split(" ").map((shard, generation) => world.shard(Number(shard), generation));
    const history = cells.flatMap(({ history }) => history);
    let next = 0;
    for (const { position, watermark } of clockJumps ? history : history.slice(-1)) {
      for (; next < log.length && comparePositions(log[next]!.position, position) <= 0; next += 1) {
        if ([path, null].includes(pathOf(log[next]!, world))) core.apply(log[next]!);
      }
      core.advance(watermark);
    }
    if (core.watermark !== cells.at(-1)?.cursor?.watermark)
      problems.push(`the shard ${path} did not come to its end`);
    return [...core.drain().firings];
  });
}

/** The log without events that it holds already: they count once. */
function onceEach(log: readonly LogEntry[]): LogEntry[] {
  const seen = new Set<string>();
  return log.filter((entry) => {
    if (entry.kind !== "event") return true;
    const isNew = !seen.has(entry.event.id);
    seen.add(entry.event.id);
    return isNew;
  });
}

/** The shards that an entry's automation was in, one after the other; null for an event, which concerns all. */
function pathOf(entry: LogEntry, { generations }: MemoryWorld): string | null {
  const id = changedAutomationOf(entry);
  if (id === null) return null;
  return generations.map((shards) => shardOf(id, shards.length)).join(" ");
}
