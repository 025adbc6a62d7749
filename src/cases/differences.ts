/** Compares an expected firing with the actual one, field by field. */

import { parseExactJson } from "../core/json/exact-json.ts";
import { isRecord } from "../core/model/record.ts";
import { formatDuration, formatTime, type Micros } from "../core/model/time.ts";
import type { ExpectedFiring } from "./case.ts";
import type { NotificationDefinition, RequestDefinition } from "./case-schema.ts";
import type { GotFiring, GotNotification, GotRequest } from "./got-firing.ts";

export interface Difference {
  /** Such as `labels.run` or `request.body.message`. */
  readonly field: string;
  /** Both values as text. */
  readonly expected: string;
  readonly got: string;
}

/** Empty when the firing is as expected. @param start the start of the case; times are shown relative to it */
export function differencesOf(expected: ExpectedFiring, got: GotFiring, start: Micros): Difference[] {
  const { automation, at, state, labels, event, late, id, requests, notifications } = expected;
  const times = [at, got.at].map((time) => shownTime(time, start));
  return [
    ...compared("automation", automation, got.automation),
    ...(at === got.at ? [] : [{ field: "at", expected: times[0]!, got: times[1]! }]),
    ...compared("state", state, got.state),
    ...jsonDifferences("labels", labels, got.labels, false),
    ...(event === undefined ? [] : compared("event", event, got.event)),
    ...(late === undefined ? [] : compared("late", late, got.late)),
    ...(id === undefined ? [] : compared("id", id, got.id)),
    ...(requests === undefined ? [] : requestsDifferences(requests, got.requests)),
    ...(notifications === undefined ? [] : notificationsDifferences(notifications, got.notifications)),
  ];
}

export function shownTime(time: Micros, start: Micros): string {
  return time < start ? formatTime(time) : formatDuration(time - start);
}

function requestsDifferences(
  expected: readonly RequestDefinition[],
  got: readonly GotRequest[],
): Difference[] {
  if (expected.length !== got.length) {
    const [a, b] = [expected, got].map(({ length }) => counted(length, "request"));
    return [{ field: "requests", expected: a ?? "", got: b ?? "" }];
  }
  return expected.flatMap((request, index) => {
    const field = expected.length === 1 ? "request" : `requests[${index}]`;
    return requestDifferences(field, request, got[index]!);
  });
}

function notificationsDifferences(
  expected: readonly NotificationDefinition[],
  got: readonly GotNotification[],
): Difference[] {
  if (expected.length !== got.length) {
    const [a, b] = [expected, got].map(({ length }) => counted(length, "notification"));
    return [{ field: "notifications", expected: a ?? "", got: b ?? "" }];
  }
  return expected.flatMap(({ body_includes: part, ...fields }, index) => {
    const field = expected.length === 1 ? "notification" : `notifications[${index}]`;
    const sent = got[index]!;
    const isIncluded = part === undefined || sent.body.includes(part);
    return [
      ...Object.entries(fields).flatMap(([key, value]) =>
        value === undefined ? [] : compared(`${field}.${key}`, value, sent[key as keyof GotNotification]),
      ),
      ...(isIncluded ? [] : compared(`${field}.body`, `… ${part} …`, sent.body)),
    ];
  });
}

function requestDifferences(field: string, expected: RequestDefinition, got: GotRequest): Difference[] {
  if ("problem" in got) return []; // reported separately, whether a request is expected or not
  const { method, url, headers = {}, signed } = expected;
  const isSigned = got.headers["webhook-signature"] !== undefined;
  return [
    ...(method === undefined ? [] : compared(`${field}.method`, method, got.method)),
    ...(url === undefined ? [] : compared(`${field}.url`, url, got.url)),
    ...Object.entries(headers).flatMap(([name, value]) =>
      compared(`${field}.headers.${name}`, value, got.headers[name.toLowerCase()] ?? null),
    ),
    ...(signed === undefined ? [] : compared(`${field}.signed`, signed, isSigned)),
    ...bodyDifferences(field, expected, got.body),
  ];
}

function bodyDifferences(field: string, expected: RequestDefinition, got: string | null): Difference[] {
  const differences: Difference[] = [];
  const { body, body_includes: part } = expected;
  if (body === null || typeof body === "string") differences.push(...compared(`${field}.body`, body, got));
  else if (body !== undefined) differences.push(...inJson(`${field}.body`, body, got, false));
  if (part !== undefined) differences.push(...inJson(`${field}.body`, part, got, true));
  return differences;
}

function inJson(field: string, expected: unknown, got: string | null, isPart: boolean): Difference[] {
  try {
    return jsonDifferences(field, expected, parseExactJson(got ?? ""), isPart);
  } catch {
    return [{ field, expected: "JSON", got: shownValue(got) }];
  }
}

/** @param isPart true if mappings in `got` may have additional entries */
function jsonDifferences(field: string, expected: unknown, got: unknown, isPart: boolean): Difference[] {
  if (Array.isArray(expected) && Array.isArray(got) && expected.length === got.length) {
    return expected.flatMap((item, index) => jsonDifferences(`${field}[${index}]`, item, got[index], isPart));
  }
  if (!isRecord(expected) || !isRecord(got)) return compared(field, expected, got);
  const keys = new Set(isPart ? Object.keys(expected) : [...Object.keys(expected), ...Object.keys(got)]);
  return [...keys].flatMap((key) =>
    jsonDifferences(`${field}.${key}`, ownValue(expected, key), ownValue(got, key), isPart),
  );
}

function compared(field: string, expected: unknown, got: unknown): Difference[] {
  const [a, b] = [shownValue(expected), shownValue(got)];
  return a === b ? [] : [{ field, expected: a, got: b }];
}

function shownValue(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}

function ownValue(mapping: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(mapping, key) ? mapping[key] : undefined;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
