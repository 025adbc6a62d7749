/** The history: events in SQL, for as long as retention keeps them. */

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
import { migrate } from "./migrations.ts";
import { prune, type Retention } from "./prune.ts";
import { type EventPage, eachEvent, type PageOptions, queryEvents } from "./query-events.ts";
import { type RecordedStretch, record } from "./record.ts";
import { type DialectName, postgresSchema, type Tables } from "./schema.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import type { Store } from "./store.ts";

/** `url` is `postgres://…` or `sqlite:<path>`; `path` is that of an SQLite file, made when it is missing. */
export type HistoryOptions = { readonly workspace: string } & (
  | { readonly url: string }
  | { readonly path: string }
);

const postgresConnectionsMax = 8;
const postgresConnectTimeoutMs = 5_000;

/**
 * One workspace's events. Every method rejects with `HistoryUnavailable` when the database cannot be reached or is
 * busy for too long; nothing is then half done.
 */
export class History {
  readonly #store: Store;
  readonly #close: () => Promise<void>;

  constructor(store: Store, close: () => Promise<void>) {
    this.#store = store;
    this.#close = close;
  }

  /** The same database seen from another workspace. It shares the connections, and they are closed by either. */
  async inWorkspace(name: string): Promise<History> {
    const workspace = await reaching(() => workspaceKey(this.#store.writer, name));
    return new History({ ...this.#store, workspace }, this.#close);
  }

  /** Reads a page of the events that match, and how many there are in all. */
  queryEvents(filter: EventFilter, options: PageOptions): Promise<EventPage> {
    return reaching(() => queryEvents(this.#store, filter, options));
  }

  /** Reads all events that match, in the filter's order, `pageSize` at a time. */
  async *eachEvent(filter: EventFilter, pageSize = 200): AsyncGenerator<ReceivedEvent> {
    try {
      yield* eachEvent(this.#store, filter, pageSize);
    } catch (error) {
      throw asHistoryError(error);
    }
  }

  /**
   * Counts the events that match, in groups.
   *
   * @throws TooManyBuckets
   */
  countBy(countable: Countable, filter: EventFilter, options: CountOptions): Promise<EventCount[]> {
    return reaching(() => countBy(this.#store, countable, filter, options));
  }

  /**
   * Records a stretch of the log and moves the cursor, all or nothing.
   *
   * @returns how many events were new, or null when the cursor stood elsewhere and nothing was done
   */
  record(stretch: RecordedStretch): Promise<number | null> {
    return reaching(() => record(this.#store, stretch));
  }

  /** Up to where the log is recorded. What lies before it is on disk. */
  recordedPosition(): Promise<LogPosition> {
    return reaching(async () => {
      const { db, workspace } = this.#store;
      const { position } = await db
        .selectFrom("workspaces")
        .select("position")
        .where("key", "=", workspace)
        .executeTakeFirstOrThrow();
      return position;
    });
  }

  /**
   * Forgets what `retention` no longer allows, oldest first, in small transactions.
   *
   * @param stopped asked between two of them; true ends it early
   * @returns how many events were forgotten
   */
  prune(retention: Retention, now: Micros, stopped?: () => boolean): Promise<number> {
    return reaching(() => prune(this.#store, retention, now, stopped));
  }

  /** Waits for what is under way and ends all connections. */
  close(): Promise<void> {
    return this.#close();
  }
}

/**
 * Opens a history, and creates or upgrades its tables.
 *
 * @throws HistoryMisconfigured when the address is invalid
 * @throws HistoryUnavailable when the database cannot be reached
 */
export async function openHistory(options: HistoryOptions): Promise<History> {
  const connections = connect(options);
  const { db, writer, dialect } = connections;
  const close = once(async () => {
    await Promise.all([...new Set([db, writer])].map((each) => each.destroy()));
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

/** While a history is opened, what its database refuses is a matter of the address: a wrong name, file or password. */
function asOpeningError(error: unknown): unknown {
  const known = asHistoryError(error);
  if (known !== error || !(error instanceof Error)) return known;
  const isDatabases = "errcode" in error || "code" in error;
  return isDatabases
    ? new HistoryMisconfigured(`The history cannot be used: ${error.message}`, { cause: error })
    : error;
}

function connect(options: HistoryOptions): Omit<Store, "workspace"> {
  const path = "path" in options ? options.path : sqlitePath(options.url);
  if (path === null) return connectPostgres("url" in options ? options.url : "");
  const file = resolve(path);
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    const { message } = error as Error;
    throw new HistoryMisconfigured(`The history cannot be kept in ${file}: ${message}`, { cause: error });
  }
  const writer = new Kysely<Tables>({ dialect: sqliteDialect({ path: file, readOnly: false }) });
  const db = new Kysely<Tables>({ dialect: sqliteDialect({ path: file, readOnly: true }) });
  return { db, writer, dialect: "sqlite" };
}

/** The path that `sqlite:<path>` names, or null when the address is PostgreSQL's. */
function sqlitePath(url: string): string | null {
  if (/^postgres(?:ql)?:\/\//.test(url)) return null;
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(url)?.[1];
  if (path !== undefined) return path;
  // The address may hold a password, so no more of it is shown than its scheme.
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0] ?? "no scheme";
  throw new HistoryMisconfigured(
    `The history's address has ${scheme}; write postgres://user@host/database or sqlite:path/to/file`,
  );
}

function connectPostgres(url: string): Omit<Store, "workspace"> {
  const pool = new pg.Pool({
    connectionString: url,
    max: postgresConnectionsMax,
    connectionTimeoutMillis: postgresConnectTimeoutMs,
    keepAlive: true,
    application_name: "tripline",
    types: { getTypeParser: parserOf },
  });
  // A connection that ends under a query fails that query; between two, the next one fails or opens another. The pool
  // hears this of idle connections only, and an error event that nobody hears would end the process.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const plain = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const db = plain.withSchema(postgresSchema);
  return { db, writer: db, dialect: "postgres" satisfies DialectName };
}

// int8 and numeric come as texts; every number in the tables and every sum of them is exact as a number.
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

async function reaching<T>(action: () => Promise<T>): Promise<T> {
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
