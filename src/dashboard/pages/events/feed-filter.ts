/** What the event feed shows: the filter as people write it, in the URL and in fields, and as the API takes it. */

import type { EventFilter } from "../../../client/types.ts";
import type { UrlState } from "../../parts/url-state.ts";

export type FeedFields = "event" | "resource" | "related" | "text" | "range" | "since" | "until";

/** Every field of the feed, as it is when the URL does not say. */
export const feedDefaults: UrlState<FeedFields> = {
  event: "",
  resource: "",
  related: "",
  text: "",
  range: "1h",
  since: "",
  until: "",
};

export const ranges: Readonly<Record<string, { readonly name: string; readonly ms: number }>> = {
  "15m": { name: "15 minutes", ms: 900_000 },
  "1h": { name: "1 hour", ms: 3_600_000 },
  "6h": { name: "6 hours", ms: 21_600_000 },
  "24h": { name: "24 hours", ms: 86_400_000 },
  "7d": { name: "7 days", ms: 604_800_000 },
  "30d": { name: "30 days", ms: 2_592_000_000 },
};

/** A span of time. Without an end, it ends at the present and moves with it. */
export interface TimeSpan {
  readonly startMs: number;
  readonly endMs: number | null;
}

/** The span that the fields name. An invalid time counts as none. */
export function spanOf({ since, until, range }: UrlState<FeedFields>, nowMs: number): TimeSpan {
  const endMs = timeOf(until);
  const lengthMs = ranges[range]?.ms ?? 3_600_000;
  return { startMs: timeOf(since) ?? (endMs ?? nowMs) - lengthMs, endMs };
}

function timeOf(text: string): number | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** The conditions that the fields name, without the times. */
export function conditionsOf({ event, resource, related, text }: UrlState<FeedFields>): EventFilter {
  return {
    ...(event.trim() === "" ? {} : { event: namesOf(listOf(event)) }),
    ...(resource.trim() === "" ? {} : { resource: resourceOf(resource) }),
    ...(related.trim() === "" ? {} : { related: relatedOf(related) }),
    ...(text.trim() === "" ? {} : { text: { query: text.trim() } }),
  };
}

/** `job.failed, pump.*, -pump.beat`: names, beginnings of names, and what is left out. */
function namesOf(written: readonly string[]): NonNullable<EventFilter["event"]> {
  const wanted = written.filter((name) => !name.startsWith("-"));
  const unwanted = written.filter((name) => name.startsWith("-")).map((name) => name.slice(1));
  const lists = {
    name: wanted.filter((name) => !name.endsWith("*")),
    prefix: wanted.filter(isPrefix).map(withoutStar),
    exclude_name: unwanted.filter((name) => !name.endsWith("*")),
    exclude_prefix: unwanted.filter(isPrefix).map(withoutStar),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, names]) => names.length > 0));
}

/** `service.shop`, `service.*`, or `label=pattern` with `,` between alternatives of one kind. */
function resourceOf(text: string): NonNullable<EventFilter["resource"]> {
  const { ids, prefixes, labels } = partsOf(text);
  return {
    ...(ids.length === 0 ? {} : { id: ids }),
    ...(prefixes.length === 0 ? {} : { id_prefix: prefixes }),
    ...(labels === null ? {} : { labels }),
  };
}

/** The same for related resources, where a beginning of an id is written as a pattern of its label. */
function relatedOf(text: string): NonNullable<EventFilter["related"]> {
  const { ids, prefixes, labels } = partsOf(text);
  const patterns = prefixes.map((prefix) => `${prefix}*`);
  const all = { ...labels, ...(patterns.length === 0 ? {} : { "prefect.resource.id": patterns }) };
  return {
    ...(ids.length === 0 ? {} : { id: ids }),
    ...(Object.keys(all).length === 0 ? {} : { labels: all }),
  };
}

function partsOf(text: string) {
  const written = listOf(text);
  const labels = written.filter((part) => part.includes("="));
  const plain = written.filter((part) => !part.includes("="));
  return {
    ids: plain.filter((id) => !id.endsWith("*")),
    prefixes: plain.filter(isPrefix).map(withoutStar),
    labels: labels.length === 0 ? null : labelsOf(labels),
  };
}

function labelsOf(written: readonly string[]): Record<string, string[]> {
  const labels = new Map<string, string[]>();
  for (const part of written) {
    const at = part.indexOf("=");
    const label = part.slice(0, at).trim();
    labels.set(label, [...(labels.get(label) ?? []), part.slice(at + 1).trim()]);
  }
  return Object.fromEntries(labels);
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function isPrefix(text: string): boolean {
  return text.endsWith("*");
}

function withoutStar(text: string): string {
  return text.slice(0, -1);
}
