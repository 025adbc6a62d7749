/** Judges a chaos run: from what was sent and acknowledged it follows what must have fired, and what must not. */

import type { Ledger, LedgerEntry } from "./ledger.ts";
import type { HeartbeatPlan, Plan } from "./plans.ts";
import type { AcceptedDelivery } from "./receivers.ts";
import type { RecordedFiring, RecordedRun } from "./recorded.ts";
import { heartbeatLatenessMs, heartbeatWithinMs } from "./rules.ts";

export interface Verdict {
  readonly eventCount: number;
  readonly acknowledgedCount: number;
  /** Firings that must exist, and that do. */
  readonly expectedCount: number;
  readonly seenCount: number;
  /** Things about which nothing certain could be said: their heartbeats took longer than the lateness. */
  readonly uncertainCount: number;
  /** Acknowledged events that the history lacks. */
  readonly lost: readonly string[];
  /** Events, firings or deliveries that exist twice. */
  readonly doubled: readonly string[];
  /** Firings and deliveries that nothing justifies. */
  readonly false: readonly string[];
  /** Firings that should exist, and those whose webhook no receiver has accepted. */
  readonly missed: readonly string[];
  /** Deliveries whose first acceptance came after that of a later firing about the same thing. */
  readonly disordered: readonly string[];
  /** How often a receiver accepted a webhook-id that it had accepted before. */
  readonly repeatedCount: number;
}

export interface RunToJudge {
  readonly plan: Plan;
  readonly ledger: Ledger;
  readonly accepted: readonly AcceptedDelivery[];
  readonly recorded: RecordedRun;
  /** When the history was asked: it holds what was acknowledged before. In milliseconds since the epoch. */
  readonly readAt: number;
}

/** How many firings of a rule about a resource there must be at least and may be at most. */
interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Rules that send no webhook. */
const silentRules: ReadonlySet<string> = new Set(["link"]);

export function judgeRun({ plan, ledger, accepted, recorded, readAt }: RunToJudge): Verdict {
  const lost: string[] = [];
  const doubled: string[] = [];
  const wrong: string[] = [];
  const missed: string[] = [];
  const disordered: string[] = [];

  const recordedCounts = countOf(recorded.eventIds);
  for (const [id, count] of recordedCounts) {
    if (count > 1) doubled.push(`event ${id} is recorded ${count} times`);
    if (ledger.get(id) === undefined) wrong.push(`event ${id} is recorded and was never sent`);
  }
  let acknowledgedCount = 0;
  for (const entry of ledger.all()) {
    if (entry.acknowledged === null) continue;
    acknowledgedCount += 1;
    if (entry.acknowledged < readAt && !recordedCounts.has(entry.id))
      lost.push(`${show(entry)} was acknowledged and is not recorded`);
  }

  for (const [id, count] of countOf(recorded.firings.map((firing) => firing.id))) {
    if (count > 1) doubled.push(`firing ${id} is recorded ${count} times`);
  }
  const firings = new Map(recorded.firings.map((firing) => [firing.id, firing]));

  // Presence: exactly one firing for each event that is in the log, acknowledged or not.
  const byEvent = groupOf([...firings.values()].filter(isPresence), ({ eventId }) => eventId ?? "");
  for (const [eventId, found] of byEvent) {
    if (!recordedCounts.has(eventId)) wrong.push(`${showFiring(found[0]!)}: its event is not recorded`);
    if (found.length > 1) doubled.push(`event ${eventId} made ${found[0]?.rule} fire ${found.length} times`);
  }
  let expectedCount = 0;
  for (const id of recordedCounts.keys()) {
    const entry = ledger.get(id);
    if (entry?.event.startsWith("chaos.presence.") !== true) continue;
    expectedCount += 1;
    if (!byEvent.has(id)) missed.push(`${show(entry)} is recorded, and nothing fired`);
  }

  const bounds = boundsOf(plan, ledger);
  const keyed = groupOf(
    [...firings.values()].filter((firing) => !isPresence(firing)),
    ({ rule, state, resource }) => `${rule}${state === "Resolved" ? "/resolved" : ""} ${resource}`,
  );
  let uncertainCount = 0;
  for (const [name, { min, max }] of bounds) {
    if (max === Number.POSITIVE_INFINITY) uncertainCount += 1;
    expectedCount += min;
    const count = keyed.get(name)?.length ?? 0;
    if (count < min) missed.push(`${name}: ${count} firings, expected ${min}`);
    if (count > max) (max === 0 ? wrong : doubled).push(`${name}: ${count} firings, expected ${max}`);
  }
  for (const name of keyed.keys())
    if (!bounds.has(name)) wrong.push(`${name} fired, and nothing was sent for it`);

  const webhookIds = new Map<string, Set<string>>();
  const acceptedIds = new Set<string>();
  let repeatedCount = 0;
  const first: AcceptedDelivery[] = [];
  for (const delivery of accepted) {
    const firing = firings.get(delivery.firingId);
    if (firing === undefined)
      wrong.push(`delivery ${delivery.webhookId} of the unknown firing ${delivery.firingId}`);
    if (acceptedIds.has(delivery.webhookId)) {
      repeatedCount += 1;
      continue;
    }
    acceptedIds.add(delivery.webhookId);
    first.push(delivery);
    const ids = webhookIds.get(delivery.firingId) ?? new Set();
    webhookIds.set(delivery.firingId, ids.add(delivery.webhookId));
  }
  for (const [firingId, ids] of webhookIds) {
    if (ids.size > 1) doubled.push(`firing ${firingId} was delivered as ${[...ids].join(" and ")}`);
  }
  for (const firing of firings.values()) {
    if (!silentRules.has(firing.rule) && !webhookIds.has(firing.id)) {
      missed.push(`${showFiring(firing)}: no receiver has accepted it`);
    }
  }
  for (const deliveries of groupOf(first, ({ rule, resource }) => `${rule} ${resource}`).values()) {
    // Times of firings that are equal say nothing about their order.
    let latest = Number.NEGATIVE_INFINITY;
    for (const { order, webhookId, rule, resource } of deliveries) {
      if (order < latest)
        disordered.push(`delivery ${webhookId} of ${rule} about ${resource} came after a later one`);
      else latest = order;
    }
  }
  return {
    eventCount: ledger.count,
    acknowledgedCount,
    expectedCount,
    seenCount: firings.size,
    uncertainCount,
    lost,
    doubled,
    false: wrong,
    missed,
    disordered,
    repeatedCount,
  };
}

/** Whether nothing is missing. What is there too often or wrongly does not get better by waiting. */
export function isComplete({ lost, missed }: Verdict): boolean {
  return lost.length === 0 && missed.length === 0;
}

export function isGood({ lost, doubled, false: wrong, missed, disordered }: Verdict): boolean {
  return [lost, doubled, wrong, missed, disordered].every(({ length }) => length === 0);
}

function boundsOf(plan: Plan, ledger: Ledger): Map<string, Bounds> {
  const bounds = new Map<string, Bounds>();
  for (const [name, expectation] of plan.expected) {
    const count = expectation === "fires once" ? 1 : 0;
    bounds.set(name, { min: count, max: count });
  }
  for (const heartbeat of plan.heartbeats) {
    const { firings, resolutions } = boundsOfHeartbeat(heartbeat, ledger.about(heartbeat.resource));
    bounds.set(`heartbeat ${heartbeat.resource}`, firings);
    bounds.set(`heartbeat/resolved ${heartbeat.resource}`, resolutions);
  }
  return bounds;
}

/** Enough for the way from the acknowledgement back to the log. */
const certainMs = 5_000;

function boundsOfHeartbeat(
  { lastMs, returns }: HeartbeatPlan,
  beats: readonly LedgerEntry[],
): { readonly firings: Bounds; readonly resolutions: Bounds } {
  const goesSilent = Number.isFinite(lastMs);
  let silenceCount = 0;
  const arrivedInTime = beats.every(
    ({ acknowledged, occurred }) =>
      acknowledged !== null && acknowledged - occurred < heartbeatLatenessMs - certainMs,
  );
  for (const [index, beat] of beats.entries()) {
    const next = beats[index + 1];
    if (next !== undefined && next.occurred - beat.occurred >= heartbeatWithinMs) silenceCount += 1;
  }
  const planned = { firings: goesSilent ? 1 : 0, resolutions: returns ? 1 : 0 };
  // One that came late may have been missed, and one that is back must have been reported silent exactly once.
  const isCertain = arrivedInTime && silenceCount === planned.resolutions;
  return {
    firings: { min: planned.firings, max: isCertain ? planned.firings : Number.POSITIVE_INFINITY },
    resolutions: {
      min: planned.resolutions,
      max: isCertain ? planned.resolutions : Number.POSITIVE_INFINITY,
    },
  };
}

function isPresence({ rule }: RecordedFiring): boolean {
  return rule.startsWith("presence-");
}

function countOf(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function groupOf<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  return Map.groupBy(values, keyOf);
}

function show({ event, resource, id }: LedgerEntry): string {
  return `${event} ${id} about ${resource}`;
}

function showFiring({ id, rule, state, resource }: RecordedFiring): string {
  return `firing ${id} of ${rule} (${state}) about ${resource}`;
}
