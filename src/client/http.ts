/** Sends requests, and repeats them where that is safe. */

import { parseExactJson } from "../core/json/exact-json.ts";
import { refusalOf, TriplineError, Unreachable } from "./errors.ts";

export interface HttpOptions {
  /** The URL of the API. Default `http://127.0.0.1:4200/api`. */
  readonly url?: string;
  /** An API key. */
  readonly key?: string | null;
  /** How long to retry a request while the server is unavailable or busy, in milliseconds. Default 30 s. */
  readonly patienceMs?: number;
  /** How long to retry while no server answers at all. Default `patienceMs`. */
  readonly awayPatienceMs?: number;
  /** The timeout of one attempt, in milliseconds. Default 30 s. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
  /** Called when an answer misses new events, because the server's history is this many seconds behind. */
  readonly onHistoryBehind?: (seconds: number) => void;
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** True if doing it twice has the same effect as doing it once. Then it is repeated when the outcome is unknown. */
  readonly repeatable: boolean;
}

/** Where `tripline serve` serves its API unless it is told otherwise. */
export const apiUrlDefault = "http://127.0.0.1:4200/api";
const patienceMsDefault = 30_000;
const timeoutMsDefault = 30_000;

/** The server answered, but cannot serve the request now. */
const busyStatuses: readonly number[] = [408, 429, 502, 503, 504];

export class Http {
  readonly url: string;
  readonly key: string | null;
  readonly #patienceMs: number;
  readonly #awayPatienceMs: number;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;
  readonly #onHistoryBehind: (seconds: number) => void;

  constructor(options: HttpOptions) {
    this.url = withoutTrailingSlashes(options.url ?? apiUrlDefault);
    if (!/^https?:\/\//.test(this.url) || !URL.canParse(this.url)) {
      throw new TriplineError(
        `${JSON.stringify(this.url)} is not the URL of an API; expected one such as ${apiUrlDefault}`,
      );
    }
    this.key = options.key ?? null;
    this.#patienceMs = options.patienceMs ?? patienceMsDefault;
    this.#awayPatienceMs = options.awayPatienceMs ?? this.#patienceMs;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#onHistoryBehind = options.onHistoryBehind ?? (() => {});
    // A browser's fetch must not be called as a method of anything else.
    const given = options.fetch ?? globalThis.fetch;
    this.#fetch = (input, init) => given(input, init);
  }

  /**
   * @returns the JSON of the answer; undefined if it has no body
   * @throws Refused, Unreachable
   * @throws the signal's reason
   */
  async request(method: string, path: string, options: RequestOptions): Promise<unknown> {
    const start = Date.now();
    for (let attempt = 1; ; attempt++) {
      const result = await this.#attempt(method, path, options);
      if ("answer" in result) return result.answer;
      const { failure, mayRepeat, afterMs } = result;
      const waitMs = afterMs ?? backoffMs(attempt);
      const patienceMs = failure instanceof Unreachable ? this.#awayPatienceMs : this.#patienceMs;
      if (!mayRepeat || Date.now() + waitMs > start + patienceMs) throw failure;
      await pause(waitMs, options.signal);
    }
  }

  async #attempt(method: string, path: string, options: RequestOptions): Promise<AttemptResult> {
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
    const behind = response.headers.get("tripline-history-behind");
    if (behind !== null) this.#onHistoryBehind(Number(behind));
    if (response.ok) return { answer };
    const { status } = response;
    const failure = refusalOf(status, answer);
    // A 429 is sent before anything is done.
    const mayRepeat = status === 429 || (repeatable && busyStatuses.includes(status));
    return { failure, mayRepeat, afterMs: retryAfterMs(response.headers.get("retry-after")) };
  }
}

type AttemptResult =
  | { readonly answer: unknown }
  | { readonly failure: TriplineError; readonly mayRepeat: boolean; readonly afterMs: number | null };

const backoffMsFirst = 250;
const backoffMsMax = 10_000;

/** How long to wait before the next attempt. Random, so that clients do not all come back at once. */
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
    return parseExactJson(text);
  } catch {
    return text;
  }
}

/** The message `fetch failed` is useless; its cause has the reason. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  if (cause instanceof Error)
    return cause.message === "" ? String((cause as { code?: string }).code) : cause.message;
  return message;
}

/** The URL without slashes at its end. */
export function withoutTrailingSlashes(url: string): string {
  let end = url.length;
  while (url[end - 1] === "/") end--;
  return url.slice(0, end);
}
