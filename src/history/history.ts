/** The history: events in SQL, as long as the retention keeps them. */

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { ReceivedEvent } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import { type Countable, type CountOptions, countBy, type EventCount } from "./count-by.ts";
import { asHistoryError, HistoryMisconfigured } from "./errors.ts";
import type { EventFilter } from "./filter.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { migrate } from "./migrations.ts";
import { prune, type Retention } from "./prune.ts";
import {
  type EventPage,
  eachEvent,
  eventsByIdPrefix,
  type PageOptions,
  queryEvents,
} from "./query-events.ts";
import { type RecordedStretch, record } from "./record.ts";
import { type DialectName, postgresSchema, type Tables } from "./schema.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";

/** `url` is `postgres://…` or `sqlite:<path>`. `path` names an SQLite file, which is created if it is missing. */
export type HistoryOptions = { readonly workspace: string } & (
  | { readonly url: string }
  | { readonly path: string }
);

const postgresConnectionsMax = 8;
const postgresConnectTimeoutMs = 5_000;

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
  readonly #database: HistoryDatabase;
  readonly #close: () => Promise<void>;

  constructor(database: HistoryDatabase, close: () => Promise<void>) {
    this.#database = database;
    this.#close = close;
  }

  /** The history of another workspace in the same database. Both share their connections; closing one closes both. */
  async inWorkspace(name: string): Promise<History> {
    const workspace = await callDatabase(() => workspaceKey(this.#database.writer, name));
    return new History({ ...this.#database, workspace }, this.#close);
  }

  /** Reads a page of the matching events, and the total number of them. */
  queryEvents(filter: EventFilter, options: PageOptions): Promise<EventPage> {
    return callDatabase(() => queryEvents(this.#database, filter, options));
  }

  /**
   * Finds the events whose ids begin with a prefix, in the order of their ids.
   *
   * @param prefix lowercase hexadecimal digits, with hyphens where ids have them
   */
  eventsByIdPrefix(prefix: string, limit: number): Promise<ReceivedEvent[]> {
    return callDatabase(() => eventsByIdPrefix(this.#database, prefix, limit));
  }

  /** Reads all matching events in the filter's order, `pageSize` at a time. */
  async *eachEvent(filter: EventFilter, pageSize = 200): AsyncGenerator<ReceivedEvent> {
    try {
      yield* eachEvent(this.#database, filter, pageSize);
    } catch (error) {
      throw asHistoryError(error);
    }
  }

  /**
   * Counts the matching events in groups.
   *
   * @throws TooManyBuckets
   */
  countBy(countable: Countable, filter: EventFilter, options: CountOptions): Promise<EventCount[]> {
    return callDatabase(() => countBy(this.#database, countable, filter, options));
  }

  /**
   * Records a stretch of the log and moves the cursor, all or nothing.
   *
   * @returns how many events were new; null if the cursor was not at the start of the stretch, and nothing was written
   */
  record(stretch: RecordedStretch): Promise<number | null> {
    return callDatabase(() => record(this.#database, stretch));
  }

  /** How far the log is recorded. Everything before this position is on disk. */
  recordedPosition(): Promise<LogPosition> {
    return callDatabase(async () => {
      const { db, workspace } = this.#database;
      const { position } = await db
        .selectFrom("workspaces")
        .select("position")
        .where("key", "=", workspace)
        .executeTakeFirstOrThrow();
      return position;
    });
  }

  /**
   * Deletes the events that exceed the retention, oldest first, in small transactions.
   *
   * @param isStopped checked between transactions; true ends the work early
   * @returns how many events were deleted
   */
  prune(retention: Retention, now: Micros, isStopped?: () => boolean): Promise<number> {
    return callDatabase(() => prune(this.#database, retention, now, isStopped));
  }

  /** Waits for queries in progress, and closes all connections. */
  close(): Promise<void> {
    return this.#close();
  }
}

/**
 * Opens a history, and creates or upgrades its tables.
 *
 * @throws HistoryMisconfigured if the URL is invalid, or the database rejects it
 * @throws HistoryUnavailable if the database cannot be reached
 */
export async function openHistory(options: HistoryOptions): Promise<History> {
  const connections = connect(options);
  const { db, writer, dialect } = connections;
  const close = once(async () => {
    await Promise.all([...new Set([db, writer])].map((database) => database.destroy()));
  });
  try {
    await migrate(writer, dialect);
    const workspace = await workspaceKey(writer, options.workspace);
    return new History({ ...connections, workspace }, close);
  } catch (error) {
    await close();
    throw asOpeningError(error);
  }
}

/** When the database rejects the opening of a history, the URL is wrong: its name, file or password. */
function asOpeningError(error: unknown): unknown {
  const historyError = asHistoryError(error);
  if (historyError !== error || !(error instanceof Error)) return historyError;
  const isFromDatabase = "errcode" in error || "code" in error;
  return isFromDatabase
    ? new HistoryMisconfigured(`Cannot open the history: ${error.message}`, { cause: error })
    : error;
}

function connect(options: HistoryOptions): Omit<HistoryDatabase, "workspace"> {
  const path = "path" in options ? options.path : sqlitePath(options.url);
  if (path === null) return connectPostgres("url" in options ? options.url : "");
  const file = resolve(path);
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    const { message } = error as Error;
    throw new HistoryMisconfigured(`Cannot store the history in ${file}: ${message}`, { cause: error });
  }
  const writer = new Kysely<Tables>({ dialect: sqliteDialect({ path: file, readOnly: false }) });
  const db = new Kysely<Tables>({ dialect: sqliteDialect({ path: file, readOnly: true }) });
  return { db, writer, dialect: "sqlite" };
}

/** The path in `sqlite:<path>`; null for a PostgreSQL URL. */
function sqlitePath(url: string): string | null {
  if (/^postgres(?:ql)?:\/\//.test(url)) return null;
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(url)?.[1];
  if (path !== undefined) return path;
  // The URL may contain a password, so the message shows only its scheme.
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0] ?? "no scheme";
  throw new HistoryMisconfigured(
    `The history's URL has ${scheme}; use postgres://user@host/database or sqlite:path/to/file`,
  );
}

function connectPostgres(url: string): Omit<HistoryDatabase, "workspace"> {
  const pool = new pg.Pool({
    connectionString: url,
    max: postgresConnectionsMax,
    connectionTimeoutMillis: postgresConnectTimeoutMs,
    keepAlive: true,
    application_name: "tripline",
    types: { getTypeParser: parserOf },
  });
  // An error event without a listener would end the process. The pool itself reports only errors of idle connections.
  // Nothing else is needed: a lost connection fails its query, and the next query opens a new connection.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const plain = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const db = plain.withSchema(postgresSchema);
  return { db, writer: db, dialect: "postgres" satisfies DialectName };
}

// pg returns int8 and numeric as strings. All numbers in the tables, and their sums, fit into a double exactly.
const numericTypes: ReadonlySet<number> = new Set([20, 1700]);

function parserOf(type: number, format?: "text" | "binary") {
  return numericTypes.has(type) ? Number : pg.types.getTypeParser(type, format as "text");
}

async function workspaceKey(db: Kysely<Tables>, name: string): Promise<number> {
  await db
    .insertInto("workspaces")
    .values({ name })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const { key } = await db
    .selectFrom("workspaces")
    .select("key")
    .where("name", "=", name)
    .executeTakeFirstOrThrow();
  return key;
}

async function callDatabase<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw asHistoryError(error);
  }
}

function once<T>(action: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | null = null;
  return () => {
    result ??= action();
    return result;
  };
}
