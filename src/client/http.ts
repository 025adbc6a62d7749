/** Requests: sent, repeated where that is harmless, and answered or refused. */

import { refusalOf, TriplineError, Unreachable } from "./errors.ts";

export interface HttpOptions {
  /** The address of the API, such as `http://127.0.0.1:4200/api`, the default. */
  readonly url?: string;
  /** An API key. */
  readonly key?: string | null;
  /** For how long a request is tried again while the server is away or busy, in milliseconds; 30 s by default. */
  readonly patienceMs?: number;
  /** The same while no server answers at all; by default no shorter. */
  readonly awayPatienceMs?: number;
  /** For how long one attempt may last, in milliseconds; 30 s by default. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** Doing it twice is the same as doing it once, so it is repeated when nobody knows whether it was done. */
  readonly repeatable: boolean;
}

const urlDefault = "http://127.0.0.1:4200/api";
const patienceMsDefault = 30_000;
const timeoutMsDefault = 30_000;

/** The server is there, but cannot do it now. */
const busyStatuses: readonly number[] = [408, 429, 502, 503, 504];

export class Http {
  readonly url: string;
  readonly key: string | null;
  readonly #patienceMs: number;
  readonly #awayPatienceMs: number;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor(options: HttpOptions) {
    this.url = (options.url ?? urlDefault).replace(/\/+$/, "");
    if (!/^https?:\/\//.test(this.url) || !URL.canParse(this.url)) {
      throw new TriplineError(`${this.url} is no address of an API; write it as ${urlDefault}`);
    }
    this.key = options.key ?? null;
    this.#patienceMs = options.patienceMs ?? patienceMsDefault;
    this.#awayPatienceMs = options.awayPatienceMs ?? this.#patienceMs;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    // A browser's fetch must not be called as a method of anything else.
    const given = options.fetch ?? globalThis.fetch;
    this.#fetch = (input, init) => given(input, init);
  }

  /**
   * @returns the JSON of the answer; undefined when it has none
   * @throws Refused, Unreachable, and the signal's reason
   */
  async request(method: string, path: string, options: RequestOptions): Promise<unknown> {
    const begin = Date.now();
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(method, path, options);
      if ("answer" in outcome) return outcome.answer;
      const { failure, mayRepeat, afterMs } = outcome;
      const waitMs = afterMs ?? backoffMs(attempt);
      const patienceMs = failure instanceof Unreachable ? this.#awayPatienceMs : this.#patienceMs;
      if (!mayRepeat || Date.now() + waitMs > begin + patienceMs) throw failure;
      await pause(waitMs, options.signal);
    }
  }

  async #attempt(method: string, path: string, options: RequestOptions): Promise<Outcome> {
    const { body, query = {}, signal, repeatable } = options;
    signal?.throwIfAborted();
    const url = new URL(`${this.url}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(url, {
        method,
        headers: {
          Accept: "application/json",
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(this.key === null ? {} : { Authorization: `Bearer ${this.key}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      text = await response.text();
    } catch (error) {
      signal?.throwIfAborted();
      const reason = timeout.aborted ? `no answer within ${this.#timeoutMs} ms` : reasonOf(error);
      const failure = new Unreachable(`${this.url} cannot be reached (${reason})`, { cause: error });
      return { failure, mayRepeat: repeatable, afterMs: null };
    }
    const answer = text === "" ? undefined : jsonOr(text);
    if (response.ok) return { answer };
    const { status } = response;
    const failure = refusalOf(status, answer);
    // Too many requests (429) are turned away before anything is done.
    const mayRepeat = status === 429 || (repeatable && busyStatuses.includes(status));
    return { failure, mayRepeat, afterMs: retryAfterMs(response.headers.get("retry-after")) };
  }
}

type Outcome =
  | { readonly answer: unknown }
  | { readonly failure: TriplineError; readonly mayRepeat: boolean; readonly afterMs: number | null };

const backoffMsFirst = 250;
const backoffMsMax = 10_000;

/** How long to wait before the next attempt: at random, so that clients do not come back together. */
export function backoffMs(attempt: number): number {
  const longest = Math.min(backoffMsMax, backoffMsFirst * 2 ** (attempt - 1));
  return longest / 2 + (Math.random() * longest) / 2;
}

/** @param header seconds, or a date */
export function retryAfterMs(header: string | null): number | null {
  if (header === null) return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** @throws the signal's reason */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  if (cause instanceof Error)
    return cause.message === "" ? String((cause as { code?: string }).code) : cause.message;
  return message;
}
