/** The errors that this client throws. */

/** One mistake in a request. `loc` is the path to it, `type` is a stable code, and `msg` is for people. */
export interface RefusedInput {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

/** The base class of all errors of this client. */
export class TriplineError extends Error {
  override readonly name: string = "TriplineError";
}

/** The server refused the request. */
export class Refused extends TriplineError {
  override readonly name: string = "Refused";
  readonly status: number;
  /** The body of the answer; a string if it is not JSON. */
  readonly body: unknown;
  /** Every mistake that the server found in the request; empty if it was refused for another reason. */
  readonly mistakes: readonly RefusedInput[];

  constructor(status: number, body: unknown) {
    const mistakes = mistakesOf(body);
    super(messageOf(status, body, mistakes));
    this.status = status;
    this.body = body;
    this.mistakes = mistakes;
  }
}

/** What the request names does not exist (404). */
export class NotFound extends Refused {
  override readonly name = "NotFound";
}

/** The key is missing, invalid, or lacks a scope (401 and 403). */
export class NotAllowed extends Refused {
  override readonly name = "NotAllowed";
}

/** The server could not be reached, or did not answer in time. */
export class Unreachable extends TriplineError {
  override readonly name = "Unreachable";
}

/** The error for an answer with this status and body. */
export function refusalOf(status: number, body: unknown): Refused {
  if (status === 404) return new NotFound(status, body);
  if (status === 401 || status === 403) return new NotAllowed(status, body);
  return new Refused(status, body);
}

function messageOf(status: number, body: unknown, mistakes: readonly RefusedInput[]): string {
  if (mistakes.length > 0) {
    return mistakes.map(({ loc, msg }) => `${loc.slice(1).join(".") || loc.join(".")}: ${msg}`).join("\n");
  }
  const { detail, exception_message: message } = (isObject(body) ? body : {}) as Record<string, unknown>;
  for (const text of [detail, message]) if (typeof text === "string") return text;
  return typeof body === "string" && body !== ""
    ? body.slice(0, 500)
    : `The server answered with status ${status}`;
}

function mistakesOf(body: unknown): readonly RefusedInput[] {
  const found = isObject(body) ? (body as { exception_detail?: unknown }).exception_detail : undefined;
  return Array.isArray(found) ? (found as RefusedInput[]) : [];
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
