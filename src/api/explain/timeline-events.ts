/** Finds what a timeline shows in the history: the events that a trigger covers, and the firings. */

import { type CoveringTrigger, coveringTriggers, fewPrefixes } from "../../core/machine/firing-events.ts";
import type { Automation } from "../../core/model/automation.ts";
import { type Event, eventOf, type ReceivedEvent } from "../../core/model/event.ts";
import type { ShownFiring } from "../../core/model/invocation.ts";
import { isRecord } from "../../core/model/record.ts";
import { day, type Micros, millisecond, parseTime } from "../../core/model/time.ts";
import { type EventFilter, resolveFilter, type WrittenFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { breathe } from "../../retry/slices.ts";
import type { TimelineEvent, TimelineFiring } from "./timeline-answers.ts";
import { isOfKey, type TimelineKey } from "./timeline-key.ts";

/** How many events to look through: those that the history's filter finds may be of another key, or not quite covered. */
const searchedCountMax = 5_000;
/** Reports of firings hold whole events, so they are read a few at a time. */
const firingsPerPage = 50;
/** A match of more patterns than this is left to the exact check. */
const filterPatternsMax = 50;

export interface TimelineSpan {
  readonly since: Micros;
  readonly until: Micros;
  readonly key: TimelineKey;
  /** How many to find at most, the newest. */
  readonly limit: number;
}

export interface FoundInSpan<T> {
  readonly found: readonly T[];
  readonly isTruncated: boolean;
  /** From when on nothing is missing. */
  readonly completeSince: Micros;
}

/** The events that an automation's trigger covers. @throws HistoryUnavailable */
export function coveredEvents(
  history: History,
  automation: Automation,
  span: TimelineSpan,
): Promise<FoundInSpan<TimelineEvent>> {
  const triggers = coveringTriggers(automation);
  const filter = { ...resolveFilter(filterOf(triggers, span.key), 0), since: span.since, until: span.until };
  // Triggers look at names and labels alone.
  return newest(history, filter, { withPayloads: false }, span, (received) => {
    const { received: at, ...wire } = received;
    return shownEvent(triggers, eventOf(wire, parseTime(at) ?? 0), received, span.key);
  });
}

/** An event by the first trigger that covers it; null if none does, or not for this key. */
function shownEvent(
  triggers: readonly CoveringTrigger[],
  event: Event,
  { id, occurred, received }: ReceivedEvent,
  key: TimelineKey,
): TimelineEvent | null {
  for (const trigger of triggers) {
    const role = trigger.roleOf(event);
    if (role === null) continue;
    const labels = trigger.labelsOf(event);
    if (!isOfKey(labels, key)) continue;
    return {
      id,
      event: event.name,
      occurred,
      received,
      resource_id: event.resource.get("prefect.resource.id") ?? "",
      role: role.expected ? "expected" : "after",
      trigger: trigger.path,
      labels,
    };
  }
  return null;
}

/** A filter that finds all events which the triggers cover, and not many others. */
function filterOf(triggers: readonly CoveringTrigger[], key: TimelineKey): WrittenFilter {
  const coversAny = triggers.some(({ namePrefixes }) => namePrefixes.length === 0);
  const prefixes = coversAny ? [] : fewPrefixes(triggers.flatMap(({ namePrefixes }) => namePrefixes));
  const labels = new Map<string, string | string[]>();
  const [first, ...others] = triggers;
  const match = Object.entries(first?.definition.match ?? {});
  const patternCount = match.flatMap(([, patterns]) => patterns).length;
  if (others.length === 0 && patternCount <= filterPatternsMax)
    for (const [label, patterns] of match) labels.set(label, [patterns].flat());
  for (const [label, value] of key) {
    const isOfAll = triggers.every(({ keyLabels }) => keyLabels.includes(label));
    // An empty value may stand for a missing label, and some characters have a meaning in patterns.
    if (isOfAll && isLiteral.test(value) && !label.startsWith("related:")) labels.set(label, value);
  }
  return {
    ...(prefixes.length === 0 ? {} : { event: { prefix: [...prefixes] } }),
    ...(labels.size === 0 ? {} : { resource: { labels: Object.fromEntries(labels) } }),
    related: [],
    any_resource: [],
  };
}

const isLiteral = /^[^!*?[\]\\][^*?[\]\\]*$/;

/** The firings and resolutions of an automation. @throws HistoryUnavailable */
export function recordedFirings(
  history: History,
  { id }: Automation,
  span: TimelineSpan,
): Promise<FoundInSpan<TimelineFiring>> {
  const written: WrittenFilter = {
    event: { name: ["prefect-cloud.automation.triggered", "prefect-cloud.automation.resolved"] },
    resource: { id: [`prefect-cloud.automation.${id}`] },
    related: [],
    any_resource: [],
  };
  const filter = { ...resolveFilter(written, 0), since: span.since, until: span.until };
  return newest(history, filter, { pageSize: firingsPerPage }, span, (event) => {
    const firing = shownFiring(event);
    return isOfKey(firing.labels, span.key) ? firing : null;
  });
}

function shownFiring({ id, event, occurred, payload }: ReceivedEvent): TimelineFiring {
  const { firing_id: firingId, triggering_labels: labels, window } = payload;
  return {
    id: typeof firingId === "string" ? firingId : null,
    event_id: id,
    state: event.endsWith(".resolved") ? "Resolved" : "Triggered",
    triggered: occurred,
    labels: (isRecord(labels) ? labels : {}) as Record<string, string>,
    window: isRecord(window) ? (window as unknown as ShownFiring["window"]) : null,
  };
}

/** How many deliveries of these firings have ended, and how. @throws HistoryUnavailable */
export async function deliveryCounts(
  history: History,
  firings: readonly TimelineFiring[],
  since: Micros,
): Promise<{ executed: number; failed: number }> {
  const counts = { executed: 0, failed: 0 };
  if (firings.length === 0) return counts;
  const names = {
    "prefect-cloud.automation.action.executed": "executed",
    "prefect-cloud.automation.action.failed": "failed",
  } as const;
  const related = firings.map(({ event_id: id }) => `prefect-cloud.event.${id}`);
  const written: WrittenFilter = {
    event: { name: Object.keys(names) },
    related: [{ id: related }],
    any_resource: [],
  };
  const now = Date.now() * millisecond;
  const filter = { ...resolveFilter(written, 0), since, until: Math.max(now, since) + day };
  for (const { value, count } of await history.countBy("event", filter, {
    unit: "week",
    interval: 52,
    now,
  })) {
    const kind = names[value as keyof typeof names];
    if (kind !== undefined) counts[kind] += count;
  }
  return counts;
}

/** Looks through the newest matching events for those that are shown. */
async function newest<T>(
  history: History,
  filter: EventFilter,
  options: { readonly pageSize?: number; readonly withPayloads?: boolean },
  { since, limit }: TimelineSpan,
  view: (event: ReceivedEvent) => T | null,
): Promise<FoundInSpan<T>> {
  const found: T[] = [];
  let searchedCount = 0;
  for await (const event of history.eachEvent({ ...filter, order: "DESC" }, options)) {
    await breathe();
    const shown = view(event);
    if (searchedCount === searchedCountMax || (shown !== null && found.length === limit)) {
      // Others may have occurred at the same time.
      return { found, isTruncated: true, completeSince: (parseTime(event.occurred) ?? since) + 1 };
    }
    searchedCount += 1;
    if (shown !== null) found.push(shown);
  }
  return { found, isTruncated: false, completeSince: since };
}
