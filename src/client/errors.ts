/** What can go wrong with a request. */

/** One mistake in a request: `loc` is the path to it, `type` a stable word, `msg` is for people. */
export interface Mistake {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

/** Any failure of this client. */
export class TriplineError extends Error {
  override readonly name: string = "TriplineError";
}

/** The server answered, and refused. */
export class Refused extends TriplineError {
  override readonly name: string = "Refused";
  readonly status: number;
  /** The body of the answer; a text when it is no JSON. */
  readonly body: unknown;
  /** Every mistake that the server found; empty when the refusal is about something else. */
  readonly mistakes: readonly Mistake[];

  constructor(status: number, body: unknown) {
    const mistakes = mistakesOf(body);
    super(messageOf(status, body, mistakes));
    this.status = status;
    this.body = body;
    this.mistakes = mistakes;
  }
}

/** There is no such thing (404). */
export class NotFound extends Refused {
  override readonly name = "NotFound";
}

/** The key is missing, wrong, or lacks a scope (401 and 403). */
export class NotAllowed extends Refused {
  override readonly name = "NotAllowed";
}

/** No answer came for as long as the client had patience. */
export class Unreachable extends TriplineError {
  override readonly name = "Unreachable";
}

/** The refusal that an answer stands for. */
export function refusalOf(status: number, body: unknown): Refused {
  if (status === 404) return new NotFound(status, body);
  if (status === 401 || status === 403) return new NotAllowed(status, body);
  return new Refused(status, body);
}

function messageOf(status: number, body: unknown, mistakes: readonly Mistake[]): string {
  if (mistakes.length > 0) {
    return mistakes.map(({ loc, msg }) => `${loc.slice(1).join(".") || loc.join(".")}: ${msg}`).join("\n");
  }
  const { detail, exception_message: message } = (isObject(body) ? body : {}) as Record<string, unknown>;
  for (const text of [detail, message]) if (typeof text === "string") return text;
  return typeof body === "string" && body !== ""
    ? body.slice(0, 500)
    : `The server answered with status ${status}`;
}

function mistakesOf(body: unknown): readonly Mistake[] {
  const found = isObject(body) ? (body as { exception_detail?: unknown }).exception_detail : undefined;
  return Array.isArray(found) ? (found as Mistake[]) : [];
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
