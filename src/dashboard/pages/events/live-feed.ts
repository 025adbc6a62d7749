/**
 * The events of the feed: those that arrive while the page is open, and below them those of the past, page by page.
 *
 * The subscription begins before the first page of the past is asked for, so that nothing lies between the two; what both
 * bring is shown once. After a break, what was missed is read from the past.
 */

import { NotAllowed, type Tripline, TriplineError } from "../../../client/index.ts";
import type { EventFilter, EventPage, ReceivedEvent } from "../../../client/types.ts";

/** What the page shows of the feed. */
export interface FeedView {
  readonly rowCount: number;
  /** How many new events wait above the first row, because the viewer looks at something. */
  readonly waitingCount: number;
  /** How many events match in all: those of the past, and those that have been shown since; null before that is known. */
  readonly total: number | null;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  /** `off` for a span in the past. */
  readonly connection: "connecting" | "live" | "reconnecting" | "off";
  /** Events per second that arrive, over the last seconds. */
  readonly ratePerSecond: number;
  /** How old the newest event was when it arrived here, in milliseconds: more than a second or two means that the server or this page is behind. */
  readonly behindMs: number;
  /** How often events came faster than this page could take them, so that it skipped to the present. */
  readonly skipCount: number;
  readonly error: unknown;
}

/** More rows than this are not kept; the oldest are let go of, and can be read again from the history. */
const rowCountMax = 100_000;

const pageSize = 100;

/** How often what has arrived is shown. */
const flushMs = 250;
const reconnectMs = 1_000;

/** How long after a subscription was sent the server has it; events from then on arrive, and earlier ones are in the past. */
const subscribedMs = 250;

/** Over which time the rate is measured. */
const rateMs = 5_000;

export class LiveFeed {
  readonly #tripline: Tripline;
  readonly #conditions: EventFilter;
  readonly #since: string;
  readonly #until: string | null;
  #leaving = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** Shown, the latest last. */
  #arrived: ReceivedEvent[] = [];
  /** Shown below those, the latest first. */
  #past: ReceivedEvent[] = [];
  /** Arrived, and not shown yet. */
  #waiting: ReceivedEvent[] = [];
  /** The ids of the first page of the past, which may also arrive. */
  #firstPage: ReadonlySet<string> = new Set();
  #next: EventPage | null = null;
  #isHeld = false;
  #arrivals: { readonly at: number; readonly count: number }[] = [];
  #lastCount = 0;
  #view: FeedView = {
    rowCount: 0,
    waitingCount: 0,
    total: null,
    isLoading: true,
    hasMore: false,
    connection: "connecting",
    ratePerSecond: 0,
    behindMs: 0,
    skipCount: 0,
    error: null,
  };

  /**
   * @param since of the past, RFC 3339
   * @param until the end of the span; null for a feed that goes on
   */
  constructor(tripline: Tripline, conditions: EventFilter, since: string, until: string | null) {
    this.#tripline = tripline;
    this.#conditions = conditions;
    this.#since = since;
    this.#until = until;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly view = (): FeedView => this.#view;

  /** The event of a row; the first row is 0, and has the latest event. */
  row(index: number): ReceivedEvent | undefined {
    const { length } = this.#arrived;
    return index < length ? this.#arrived[length - 1 - index] : this.#past[index - length];
  }

  /** Starts to read. @returns what stops it */
  start(): () => void {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const flushing = setInterval(() => this.#flush(), flushMs);
    if (this.#until === null) void this.#follow(signal);
    else {
      this.#show({ connection: "off" });
      void this.#readPast(signal);
    }
    return () => {
      clearInterval(flushing);
      this.#leaving.abort(new Error("the page was left"));
    };
  }

  /** Whether new events wait above the first row instead of moving the others down. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    this.#flush();
  }

  /** Reads the next page of the past. */
  async readMore(): Promise<void> {
    const page = this.#next;
    if (page === null || this.#view.isLoading) return;
    this.#show({ isLoading: true });
    try {
      const next = await this.#tripline.events.nextPage(page, { signal: this.#leaving.signal });
      for (const event of next?.events ?? []) this.#past.push(event);
      this.#setNext(next);
      this.#show({ isLoading: false, error: null });
    } catch (error) {
      if (!this.#leaving.signal.aborted) this.#show({ isLoading: false, error });
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const onSubscribed = () => setTimeout(() => void this.#catchUp(signal), subscribedMs);
        const options = { backfill: false, patienceMs: 0, signal, onSubscribed };
        for await (const event of this.#tripline.events.stream(this.#conditions, options))
          this.#arrive(event);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof NotAllowed || isRefusal(error)) {
          this.#show({ connection: "off", isLoading: false, error });
          return;
        }
        const isTooSlow = String((error as Error).message).includes("too slow");
        const skipCount = this.#view.skipCount + (isTooSlow ? 1 : 0);
        this.#show({ connection: "reconnecting", skipCount });
        // A proxy may refuse WebSockets; the past can be read all the same.
        if (attempt === 1 && this.#view.total === null) void this.#readPast(signal);
      }
      await new Promise((resolve) => setTimeout(resolve, reconnectMs));
    }
  }

  /** Reads the latest events, once new ones arrive: all of the past at first, later what was missed during a break. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    this.#show({ connection: "live" });
    if (this.#view.total === null) return this.#readPast(signal);
    const page = await this.#latestPage(signal);
    if (page === null) return;
    const known = new Set(this.#latestIds());
    const firstKnown = page.events.findIndex(({ id }) => known.has(id));
    if (firstKnown === -1) {
      this.#startWith(page);
      return;
    }
    // They go before those that have arrived since.
    const missed = page.events.slice(0, firstKnown).toReversed();
    const arrived = new Set(this.#waiting.map(({ id }) => id));
    this.#waiting.unshift(...missed.filter(({ id }) => !arrived.has(id)));
    this.#firstPage = new Set();
  }

  /** The ids of the latest rows, more than a page of them. */
  #latestIds(): string[] {
    const count = Math.min(this.#view.rowCount, 10 * pageSize);
    return Array.from({ length: count }, (_, index) => this.row(index)?.id ?? "");
  }

  async #readPast(signal: AbortSignal): Promise<void> {
    this.#show({ isLoading: true });
    const page = await this.#latestPage(signal);
    if (page !== null) this.#startWith(page);
  }

  /** The first page of the past; null if it cannot be read, and the view says why. */
  async #latestPage(signal: AbortSignal): Promise<EventPage | null> {
    const occurred = { since: this.#since, ...(this.#until === null ? {} : { until: this.#until }) };
    try {
      return await this.#tripline.events.page({ ...this.#conditions, occurred }, { limit: pageSize, signal });
    } catch (error) {
      if (!signal.aborted) this.#show({ isLoading: false, error });
      return null;
    }
  }

  #startWith(page: EventPage): void {
    this.#firstPage = new Set(page.events.map(({ id }) => id));
    this.#arrived = [];
    this.#past = [...page.events];
    this.#setNext(page);
    this.#show({ isLoading: false, error: null, total: page.total });
  }

  #setNext(page: EventPage | null): void {
    this.#next = page === null || page.next_page === null ? null : page;
  }

  #arrive(event: ReceivedEvent): void {
    this.#waiting.push(event);
    this.#lastCount += 1;
    // While nobody looks, only what could be shown at all is kept.
    if (this.#waiting.length > 2 * rowCountMax) this.#waiting = this.#waiting.slice(-rowCountMax);
  }

  #flush(): void {
    const now = performance.now();
    this.#arrivals.push({ at: now, count: this.#lastCount });
    this.#lastCount = 0;
    this.#arrivals = this.#arrivals.filter(({ at }) => at > now - rateMs);
    const count = this.#arrivals.reduce((sum, { count }) => sum + count, 0);
    const spanMs = Math.max(now - (this.#arrivals[0]?.at ?? now), flushMs);
    const ratePerSecond = count === 0 ? 0 : (count * 1_000) / spanMs;
    const newest = this.#waiting.at(-1);
    const behindMs =
      newest === undefined ? this.#view.behindMs : Math.max(0, Date.now() - Date.parse(newest.received));
    // Before the first page is there, it is not known what it will bring.
    if (!this.#isHeld && this.#view.total !== null) this.#showWaiting();
    this.#show({ ratePerSecond, behindMs: ratePerSecond === 0 ? 0 : behindMs });
  }

  #showWaiting(): void {
    if (this.#waiting.length === 0) return;
    const isNew = ({ id }: ReceivedEvent): boolean => !this.#firstPage.has(id);
    let newCount = 0;
    for (const event of this.#waiting) {
      if (!isNew(event)) continue;
      this.#arrived.push(event);
      newCount += 1;
    }
    this.#waiting = [];
    this.#show({ total: (this.#view.total ?? 0) + newCount });
    const excess = this.#arrived.length + this.#past.length - rowCountMax;
    if (excess <= 0) return;
    // The page after what is left of the past can no longer be asked for by its token, so all of it goes.
    if (this.#past.length > 0) {
      this.#past = [];
      this.#next = null;
    }
    if (this.#arrived.length > rowCountMax) this.#arrived = this.#arrived.slice(-rowCountMax);
  }

  #show(changes: Partial<FeedView>): void {
    const rowCount = this.#arrived.length + this.#past.length;
    const waitingCount = this.#waiting.length;
    const isMoved = rowCount !== this.#view.rowCount || changes.total !== undefined;
    const changed = { ...changes, rowCount, waitingCount, hasMore: this.#next !== null };
    const isSame = Object.entries(changed).every(
      ([name, value]) => this.#view[name as keyof FeedView] === value,
    );
    if (isSame && !isMoved) return;
    this.#view = { ...this.#view, ...changed };
    for (const listener of this.#listeners) listener();
  }
}

/** The server does not accept the filter: asking again would not help. */
function isRefusal(error: unknown): boolean {
  return error instanceof TriplineError && error.name === "TriplineError";
}
