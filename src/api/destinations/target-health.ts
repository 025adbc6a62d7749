/**
 * How the targets of a workspace fare: its destinations, and the URLs that automations name themselves.
 *
 * Nothing is counted while deliveries are made, so that they cost nothing more: this reads the queue, some thousands of
 * deliveries at most, and lets the history count those of a day.
 */

import { type Automation, actionLists } from "../../core/model/automation.ts";
import { type Destination, destinationOrigin } from "../../core/model/destination.ts";
import type { DisabledEndpoint } from "../../core/model/disabled-endpoint.ts";
import { day, formatTime, type Micros, millisecond } from "../../core/model/time.ts";
import { originOf, takesHostFromTemplate } from "../../core/model/url.ts";
import { resolveFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { breathe } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import { shownTargetOf } from "../../templates/shown-target.ts";
import type { DeliveryLookup, QueuedDelivery } from "../deliveries/deliveries.ts";
import { isHistoryUnavailable } from "../events/events.ts";

/** How many deliveries of each state are looked at. */
const lookedAtMax = 1_000;
const usedByMax = 100;

/** How one target fares. */
export interface TargetHealth {
  disabled: boolean;
  resting_until: string | null;
  waiting: number;
  retrying: number;
  dead: number;
  delivered_last_day: number | null;
  failed_last_day: number | null;
  last_delivered: string | null;
  last_failed: { at: string; reason: string | null } | null;
  used_by: { id: string; name: string }[];
  used_by_count: number;
}

/** What the history counted in a day, by the resource of the events: the action of an automation. */
export interface DayCounts {
  readonly delivered: ReadonlyMap<string, DayCount>;
  readonly failed: ReadonlyMap<string, DayCount>;
}

interface DayCount {
  readonly count: number;
  /** When the last of them was. */
  readonly last: string;
}

/** The targets of a workspace by what they are called: the id of a destination, or a URL. */
export interface AllTargets {
  readonly destinations: readonly (readonly [Destination, TargetHealth])[];
  readonly urls: ReadonlyMap<string, TargetHealth>;
  /** False if the queue has more deliveries of some state than were looked at. */
  readonly isComplete: boolean;
}

/** Counts the deliveries of the last day; null if that is not known. */
export async function countDay(history: History | null, now: Micros): Promise<DayCounts | null> {
  if (history === null) return null;
  const counted = async (outcome: "executed" | "failed") => {
    const written = { event: { name: [`prefect-cloud.automation.action.${outcome}`] } };
    const filter = { ...resolveFilter(written, now), since: now - day };
    const counts = await history.countBy("resource", filter, { unit: "day", interval: 1, now });
    return new Map(counts.map(({ value, count, end_time: last }) => [value, { count, last }]));
  };
  try {
    return { delivered: await counted("executed"), failed: await counted("failed") };
  } catch (error) {
    if (isHistoryUnavailable(error)) return null;
    throw error;
  }
}

/** @throws RedisUnreachable, SecretUnreadable */
export async function readTargets(
  log: Log,
  queue: DeliveryLookup,
  counts: DayCounts | null,
): Promise<AllTargets> {
  const [destinations, automations, disabled] = await Promise.all([
    log.destinations.list(),
    log.automations(),
    log.endpoints.list(),
  ]);
  const targets = new TargetIndex(destinations, counts !== null);
  for (const automation of automations) {
    await breathe();
    targets.addUser(automation, counts);
  }
  const isComplete = await lookAtQueue(queue, targets);
  for (const endpoint of disabled) targets.markDisabled(endpoint);
  await markRests(queue, targets);
  return { destinations: targets.destinations, urls: targets.urls, isComplete };
}

class TargetIndex {
  readonly destinations: readonly (readonly [Destination, TargetHealth])[];
  readonly urls = new Map<string, TargetHealth>();
  readonly #named = new Map<string, TargetHealth>();
  readonly #isCounted: boolean;

  /** @param isCounted whether it is known how many were delivered in a day */
  constructor(destinations: readonly Destination[], isCounted: boolean) {
    this.#isCounted = isCounted;
    this.destinations = destinations.map((destination) => [destination, this.#unknown()]);
    for (const [{ id, definition }, health] of this.destinations) {
      this.#named.set(id, health);
      this.#named.set(definition.name, health);
    }
  }

  /** The target of a delivery or an action; null for a destination that does not exist, or none. */
  of(target: string | null): TargetHealth | null {
    if (target === null) return null;
    const destination = this.#named.get(target);
    if (destination !== undefined) return destination;
    if (!/^https?:|\{\{|\$\{/i.test(target)) return null;
    const known = this.urls.get(target) ?? this.#unknown();
    this.urls.set(target, known);
    return known;
  }

  /** The actions of an automation use their targets, and did so yesterday. */
  addUser(automation: Automation, counts: DayCounts | null): void {
    const { id, name } = automation;
    const actions = actionLists.flatMap((list) => automation[list]);
    const used = new Set<TargetHealth>();
    for (const [index, action] of actions.entries()) {
      // A URL holds references in place of secrets. Looking for those in each would take long.
      const health = this.of(shownTargetOf(action, {}));
      if (health === null) continue;
      if (!used.has(health)) {
        used.add(health);
        health.used_by_count += 1;
        if (health.used_by.length < usedByMax) health.used_by.push({ id, name });
      }
      const resource = `prefect-cloud.automation.${id}.action.${index}`;
      const [delivered, failed] = [counts?.delivered.get(resource), counts?.failed.get(resource)];
      if (delivered !== undefined) {
        health.delivered_last_day = (health.delivered_last_day ?? 0) + delivered.count;
        if (delivered.last > (health.last_delivered ?? "")) health.last_delivered = delivered.last;
      }
      if (failed !== undefined) {
        health.failed_last_day = (health.failed_last_day ?? 0) + failed.count;
        noteFailure(health, failed.last, null);
      }
    }
  }

  markDisabled({ destination, url, automation }: DisabledEndpoint): void {
    if (destination !== null) {
      const health = this.#named.get(destination);
      if (health !== undefined) health.disabled = true;
      return;
    }
    for (const [target, health] of this.urls) {
      // The URL of an endpoint is rendered; that of a target is not.
      const mayBe = /\{[{%]|\$\{/.test(target) && health.used_by.some(({ id }) => id === automation.id);
      if (target === url || mayBe) health.disabled = true;
    }
  }

  #unknown(): TargetHealth {
    const count = this.#isCounted ? 0 : null;
    return {
      disabled: false,
      resting_until: null,
      waiting: 0,
      retrying: 0,
      dead: 0,
      delivered_last_day: count,
      failed_last_day: count,
      last_delivered: null,
      last_failed: null,
      used_by: [],
      used_by_count: 0,
    };
  }
}

/** Of two failures the later one counts, and a reason is worth more than a time that is the same to the second. */
function noteFailure(health: TargetHealth, at: string, reason: string | null): void {
  const known = health.last_failed;
  const [before, now] = [Date.parse(known?.at ?? ""), Date.parse(at)];
  const isSame = known !== null && Math.abs(now - before) < sameFailureMs;
  if (isSame ? known.reason === null : !(now <= before)) health.last_failed = { at, reason };
}

/** The queue and the history give the time of the same failure differently. */
const sameFailureMs = 5_000;

/** Counts what the queue has for each target. @returns whether all of it was looked at */
async function lookAtQueue(queue: DeliveryLookup, targets: TargetIndex): Promise<boolean> {
  let isComplete = true;
  for (const state of ["waiting", "active", "retrying", "dead"] as const) {
    const { deliveries, isAll } = await queue.glance(state, lookedAtMax);
    isComplete &&= isAll;
    for (const delivery of deliveries) {
      await breathe();
      countDelivery(delivery, state, targets.of(delivery.target));
    }
  }
  return isComplete;
}

function countDelivery(
  delivery: QueuedDelivery,
  state: "waiting" | "active" | "retrying" | "dead",
  health: TargetHealth | null,
): void {
  if (health === null || delivery.state === "cancelled") return;
  const { failed, reason, attempts } = delivery;
  health[state === "active" ? "waiting" : state] += 1;
  const last = attempts.at(-1);
  if (state === "dead" && failed !== null) noteFailure(health, failed, reason);
  else if (last?.reason !== undefined) noteFailure(health, last.at, last.reason);
}

/** Only of targets for which something waits: nobody looks whether the others work again. */
async function markRests(queue: DeliveryLookup, targets: TargetIndex): Promise<void> {
  const places = [
    ...targets.destinations.map(
      ([{ definition }, health]) => [destinationOrigin(definition), health] as const,
    ),
    ...[...targets.urls].map(([url, health]) => [literalOriginOf(url), health] as const),
  ].flatMap(([origin, health]) => (origin === null || health.retrying === 0 ? [] : [{ origin, health }]));
  const rests = await queue.rests(places.map(({ origin }) => origin));
  for (const [index, { health }] of places.entries()) {
    const until = rests[index]?.until ?? null;
    if (until !== null) health.resting_until = formatTime(until * millisecond);
  }
}

/** Null if the host of a URL is known only once it is rendered. */
function literalOriginOf(url: string): string | null {
  const [start = ""] = /^[^/]*\/\/[^/?#]*/.exec(url) ?? [];
  if (takesHostFromTemplate(url) || start.includes("${")) return null;
  const host = start.slice(start.lastIndexOf("@") + 1);
  return originOf(host === start ? start : `${start.slice(0, start.indexOf("//") + 2)}${host}`);
}
