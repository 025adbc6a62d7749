/**
 * How requests are refused: the shapes that Prefect's client knows how to show.
 *
 * What is echoed of a request is cut short, so that no refusal is much larger than what it is about.
 */

import type { z } from "zod";
import { ExactNumber } from "../../core/json/exact-number.ts";

/** One mistake in a request: `loc` is the path to it, `type` a stable word, `msg` is for people. */
export interface RequestMistake {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

/** The body of a 422 that is about a request's shape. */
export interface InvalidRequest {
  readonly exception_message: string;
  readonly exception_detail: readonly RequestMistake[];
  readonly request_body: unknown;
}

/** A request is refused: thrown by a route's helpers, answered by the app. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: 400 | 401 | 403 | 404 | 409 | 413 | 415 | 422 | 426 | 429 | 503;
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;
  /** A stable word for the metrics: why. */
  readonly reason: string;

  constructor(
    status: Refusal["status"],
    reason: string,
    body: object,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(`${status}: ${reason}`);
    this.status = status;
    this.reason = reason;
    this.body = body;
    this.headers = headers;
  }
}

/** A 404 about something that the request names. */
export function notFound(message: string): Refusal {
  return new Refusal(404, "not_found", { exception_message: message });
}

/** A 409: it cannot be done as things are. */
export function conflict(detail: string): Refusal {
  return new Refusal(409, "conflict", { detail });
}

/** More mistakes than this are counted, not listed. */
const mistakesShownMax = 100;

/** A 422 that lists every mistake. */
export function invalidRequest(mistakes: readonly RequestMistake[], requestBody: unknown): Refusal {
  const hidden = mistakes.length - mistakesShownMax;
  const shown = mistakes.slice(0, mistakesShownMax);
  if (hidden > 0) {
    shown.push({ type: "too_many_errors", loc: ["body"], msg: `And ${hidden} more mistakes`, input: null });
  }
  const body: InvalidRequest = {
    exception_message: "Invalid request received.",
    exception_detail: shown.map((mistake) => ({ ...mistake, input: excerpt(mistake.input) })),
    request_body: excerpt(requestBody),
  };
  return new Refusal(422, "invalid", body);
}

/** The first mistake that a 422 lists, as one line. @param skipped how many steps of its place go without saying */
export function firstMistake({ body }: Refusal, skipped: number): string {
  const mistake = (body as Partial<InvalidRequest>).exception_detail?.[0];
  return mistake === undefined ? "it cannot be read" : mistakeText(mistake, skipped);
}

/** A mistake as one line: where there is little room. @param skipped how many steps of its place go without saying */
export function mistakeText({ loc, msg }: RequestMistake, skipped = 0): string {
  const place = loc.slice(skipped).join(".");
  return place === "" ? msg : `${place}: ${msg}`;
}

/** Zod's issues as mistakes in `value`, which was found at `place` (`["body"]`). */
export function mistakesOf(
  issues: readonly z.core.$ZodIssue[],
  place: RequestMistake["loc"],
  value: unknown,
): RequestMistake[] {
  return issues.flatMap(meantIssues).flatMap((issue): RequestMistake[] => {
    const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        type: "extra_forbidden",
        loc: [...place, ...path, key],
        msg: "Extra inputs are not permitted",
        input: valueAt(value, [...path, key]),
      }));
    }
    if (isMissing(issue, value, path)) {
      const msg = issue.message.startsWith("Field required") ? issue.message : "Field required";
      return [{ type: "missing", loc: [...place, ...path], msg, input: valueAt(value, path.slice(0, -1)) }];
    }
    const type = typeOf(issue);
    const input = valueAt(value, type === "missing" ? path.slice(0, -1) : path);
    const received = "a number that is too large or has too many digits";
    const msg = issue.message.replace("received ExactNumber", `received ${received}`);
    return [{ type, loc: [...place, ...path], msg, input }];
  });
}

/**
 * Of a value that fits no option of a union, the issues with the option that it was meant for: the only one that takes
 * values of its type; or else the first. A union that has a message of its own keeps it.
 */
function meantIssues(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union" || issue.message !== unionMessage || issue.errors.length === 0) {
    return [issue];
  }
  const isOfWrongType = (found: z.core.$ZodIssue) => found.code === "invalid_type" && found.path.length === 0;
  const options = issue.errors.filter((found) => !found.some(isOfWrongType));
  const meant = (options.length === 1 ? options[0] : issue.errors[0]) ?? [];
  return meant.flatMap((found) => meantIssues({ ...found, path: [...issue.path, ...found.path] }));
}

/** Zod's own, for a union without one. */
const unionMessage = "Invalid input";

/** A value of the wrong type that is not there at all. */
function isMissing(issue: z.core.$ZodIssue, value: unknown, path: readonly (string | number)[]): boolean {
  const key = path.at(-1);
  if (!["invalid_type", "invalid_union", "invalid_value"].includes(issue.code) || key === undefined)
    return false;
  const owner = valueAt(value, path.slice(0, -1));
  return typeof owner === "object" && owner !== null && !Object.hasOwn(owner, key);
}

function typeOf(issue: z.core.$ZodIssue): string {
  const named: unknown = issue.code === "custom" ? issue.params?.["type"] : undefined;
  if (typeof named === "string") return named;
  switch (issue.code) {
    case "invalid_type":
      if (issue.message.startsWith("Field required")) return "missing";
      return issue.expected === "array" ? "list_type" : `${issue.expected}_type`;
    case "too_big":
      return issue.origin === "string" || issue.origin === "array" ? "too_long" : "less_than_equal";
    case "too_small":
      return issue.origin === "string" || issue.origin === "array" ? "too_short" : "greater_than_equal";
    case "invalid_value":
      return "enum";
    default:
      return "value_error";
  }
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, step)) return null;
    found = (found as Record<string | number, unknown>)[step];
  }
  return found;
}

const excerptTextMax = 200;
const excerptItemsMax = 50;
const excerptDepthMax = 6;
/** About how many characters a whole excerpt may have. */
const excerptLengthMax = 5_000;

/** As much of a JSON value as serves to recognize it. */
export function excerpt(value: unknown): unknown {
  let left = excerptLengthMax;
  const cut = (text: string): string => {
    left -= Math.min(text.length, excerptTextMax);
    return text.length > excerptTextMax ? `${text.slice(0, excerptTextMax)}…` : text;
  };
  const visit = (part: unknown, depth: number): unknown => {
    left -= 2;
    if (typeof part === "string") return cut(part);
    // Cut short, a number would be another one.
    if (part instanceof ExactNumber) return part.text.length > excerptTextMax ? cut(part.text) : part;
    if (typeof part !== "object" || part === null) return part;
    if (depth === excerptDepthMax || left <= 0) return "…";
    if (Array.isArray(part)) {
      const shown: unknown[] = [];
      for (const item of part) {
        if (shown.length === excerptItemsMax || left <= 0) return [...shown, "…"];
        shown.push(visit(item, depth + 1));
      }
      return shown;
    }
    const entries: [string, unknown][] = [];
    for (const key in part) {
      if (entries.length === excerptItemsMax || left <= 0) {
        entries.push(["…", "…"]);
        break;
      }
      entries.push([
        cut(key).slice(0, excerptTextMax),
        visit((part as Record<string, unknown>)[key], depth + 1),
      ]);
    }
    return Object.fromEntries(entries);
  };
  return visit(value, 0);
}
