/** The history: events in SQL, as long as the retention keeps them. */

import { sql } from "kysely";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { ReceivedEvent } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import { chunksOf } from "../retry/slices.ts";
import { type ActivitySpan, type AutomationActivity, activityOf, automationsPerStep } from "./activity.ts";
import { HistoryConnections, type HistoryOptions } from "./connections.ts";
import { type Countable, type CountOptions, countBy, type EventCount } from "./count-by.ts";
import type { EventFilter } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { type OnRefused, recordAccepted } from "./isolate.ts";
import { prune, type Retention } from "./prune.ts";
import {
  type EachOptions,
  type EventPage,
  eachEvent,
  eventsById,
  eventsByIdPrefix,
  eventsFollowing,
  eventsReceived,
  type PageOptions,
  queryEvents,
} from "./query-events.ts";
import type { RecordedStretch, UnreadableEvent } from "./recording.ts";

export interface RecordReports {
  readonly onRefused?: OnRefused | undefined;
  /** Called for each event that cannot be read, and so is left out. */
  readonly onUnreadable?: ((event: UnreadableEvent) => void) | undefined;
}

/** How many events of version 0.1 are brought into the present form while the history is opened: those of a second. */
const upgradedAtOnceMax = 20_000;
const upgradedPerStep = 1_000;

/**
 * The recorded events of one workspace. Every method may throw `HistoryUnavailable`; then nothing was written.
 *
 * @example
 * const history = await openHistory({ url: "sqlite:.tripline/history.sqlite", workspace: "default" });
 * const filter = resolveFilter({ event: { prefix: ["pump."] } }, now);
 * const { events, total } = await history.queryEvents(filter, { limit: 50 });
 * await history.close();
 */
export class History {
  readonly #connections: HistoryConnections;
  readonly #name: string;

  constructor(connections: HistoryConnections, name: string) {
    this.#connections = connections;
    this.#name = name;
  }

  /** The history of another workspace in the same database. Both share their connections; closing one closes both. */
  async inWorkspace(name: string): Promise<History> {
    return openWorkspace(this.#connections, name);
  }

  /** Reads a page of the matching events, and the total number of them. */
  queryEvents(filter: EventFilter, options: PageOptions): Promise<EventPage> {
    return this.#use((database) => queryEvents(database, filter, options));
  }

  /**
   * Finds the events whose ids begin with a prefix, in the order of their ids.
   *
   * @param prefix lowercase hexadecimal digits, with hyphens where ids have them
   */
  eventsByIdPrefix(prefix: string, limit: number): Promise<ReceivedEvent[]> {
    return this.#use((database) => eventsByIdPrefix(database, prefix, limit));
  }

  /** Finds events by their ids, in the order of recording. */
  eventsById(ids: readonly string[]): Promise<ReceivedEvent[]> {
    return this.#use((database) => eventsById(database, ids));
  }

  /** Reads the events whose `follows` is this id, in the order of recording, `pageSize` at a time. */
  eventsFollowing(id: string, pageSize = 20): AsyncGenerator<ReceivedEvent> {
    return this.#read((database) => eventsFollowing(database, id, pageSize));
  }

  /** Reads all matching events in the filter's order, page by page. */
  eachEvent(filter: EventFilter, options: EachOptions = {}): AsyncGenerator<ReceivedEvent> {
    return this.#read((database) => eachEvent(database, filter, options));
  }

  /**
   * Reads the events that were received in a span of time, in the order of the log.
   *
   * @param span both ends are inclusive; of more than `countMax` events, the latest are read
   */
  eventsReceived(
    span: { readonly from: Micros; readonly until: Micros; readonly countMax: number },
    pageSize = 200,
  ): AsyncGenerator<ReceivedEvent> {
    return this.#read((database) => eventsReceived(database, span, pageSize));
  }

  /** What automations did in a span of time, by their ids; also those that did nothing, or do not exist. */
  async activityOf(
    automationIds: readonly string[],
    span: ActivitySpan,
  ): Promise<Map<string, AutomationActivity>> {
    const activity = new Map<string, AutomationActivity>();
    for (const ids of chunksOf([...new Set(automationIds)], automationsPerStep)) {
      const found = await this.#use((database) => activityOf(database, ids, span));
      for (const [id, each] of found) activity.set(id, each);
    }
    return activity;
  }

  /**
   * Counts the matching events in groups.
   *
   * @throws TooManyBuckets
   */
  countBy(countable: Countable, filter: EventFilter, options: CountOptions): Promise<EventCount[]> {
    return this.#use((database) => countBy(database, countable, filter, options));
  }

  /** The distinct names of the recorded events, at most so many, in no order. */
  eventNames(limit: number): Promise<string[]> {
    return this.#use(async ({ db, workspace }) => {
      const rows = await db
        .selectFrom("names")
        .select("name")
        .where("workspace", "=", workspace)
        .limit(limit)
        .execute();
      return rows.map(({ name }) => name);
    });
  }

  /**
   * Records a stretch of the log and moves the cursor. All in one step, unless the database refuses some of the events:
   * those are left out, and the others recorded in several steps.
   *
   * @returns how many events were new; null if another recorder has moved the cursor, and the rest was not written
   */
  record(stretch: RecordedStretch, { onRefused, onUnreadable }: RecordReports = {}): Promise<number | null> {
    return this.#use(async (database) => {
      await this.#connections.checkWritable();
      const outcome = await recordAccepted(database, stretch, onRefused ?? (() => {}));
      for (const event of outcome?.unreadable ?? []) onUnreadable?.(event);
      return outcome === null ? null : outcome.newCount;
    });
  }

  /**
   * Brings some of the events that version 0.1 recorded into the present form, newest first. Until then no query finds
   * them.
   *
   * @returns how many; 0 if there are no more
   */
  upgrade(countMax: number): Promise<number> {
    return this.#use(({ recording, workspace }) => recording.upgrade(workspace, countMax));
  }

  /** How far the log is recorded. Everything before this position is on disk. */
  recordedPosition(): Promise<LogPosition> {
    return this.#use(async ({ db, workspace }) => {
      const { position } = await db
        .selectFrom("workspaces")
        .select("position")
        .where("key", "=", workspace)
        .executeTakeFirstOrThrow();
      return position;
    });
  }

  /** The database and its version, such as `sqlite 3.50.4`. */
  databaseVersion(): Promise<string> {
    return this.#use(async ({ db, dialect }) => {
      const asked =
        dialect === "sqlite"
          ? sql<{ version: string }>`select sqlite_version() as version`
          : sql<{ version: string }>`select current_setting('server_version') as version`;
      const { rows } = await asked.execute(db);
      // Packages add a word of their own: 17.2 (Debian 17.2-1).
      const [version] = (rows[0]?.version ?? "").split(" ");
      return `${dialect === "sqlite" ? "sqlite" : "postgresql"} ${version}`;
    });
  }

  /**
   * Deletes the events that exceed the retention, oldest first, in small transactions.
   *
   * @param isStopped checked between transactions; true ends the work early
   * @returns how many events were deleted
   */
  prune(retention: Retention, now: Micros, isStopped?: () => boolean): Promise<number> {
    return this.#use((database) => prune(database, retention, now, isStopped));
  }

  /** Waits for queries in progress, and closes all connections. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  #use<T>(work: (database: HistoryDatabase) => Promise<T>): Promise<T> {
    return this.#connections.use(this.#name, work);
  }

  async *#read<T>(work: (database: HistoryDatabase) => AsyncGenerator<T>): AsyncGenerator<T> {
    let database: HistoryDatabase | null = null;
    try {
      database = await this.#connections.database(this.#name);
      yield* work(database);
    } catch (error) {
      throw this.#connections.errorOf(error, database);
    }
  }
}

/**
 * Opens a history, and creates or upgrades its tables.
 *
 * @throws HistoryMisconfigured if the URL is invalid, or the database rejects it
 * @throws HistoryUnavailable if the database cannot be reached
 */
export async function openHistory(options: HistoryOptions): Promise<History> {
  const connections = new HistoryConnections(options);
  try {
    return await openWorkspace(connections, options.workspace);
  } catch (error) {
    await connections.close();
    throw error;
  }
}

async function openWorkspace(connections: HistoryConnections, workspace: string): Promise<History> {
  const history = new History(connections, workspace);
  for (let count = 0; count < upgradedAtOnceMax; count += upgradedPerStep)
    if ((await history.upgrade(upgradedPerStep)) < upgradedPerStep) break;
  return history;
}
