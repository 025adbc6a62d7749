/**
 * The connections to a history's database, shared by all workspaces in it.
 *
 * If the database loses its tables while the server runs (an SQLite file is deleted or replaced, a schema is dropped), they
 * are created again, and the recorder copies what the log still holds.
 */

import { mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CompiledQuery, type DatabaseConnection, Kysely, PostgresDialect, PostgresDriver } from "kysely";
import pg from "pg";
import {
  asHistoryError,
  HistoryMisconfigured,
  HistoryUnavailable,
  hasLostTables,
  isRefused,
} from "./errors.ts";
import { FileWatch } from "./file-watch.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { migrate } from "./migrations.ts";
import { postgresRecording } from "./postgres-recording.ts";
import { postgresSchema, type Tables } from "./schema.ts";
import { sqliteDialect, sqliteRecording } from "./sqlite-dialect.ts";

/** `url` is `postgres://…` or `sqlite:<path>`. `path` names an SQLite file, which is created if it is missing. */
export type HistoryOptions = {
  readonly workspace: string;
  /** Called when the database has lost its tables, with what has happened. They are then created again. */
  readonly onLost?: (reason: string) => void;
  /** An SQLite file is read and written on this thread. For a thread that is there to record. */
  readonly isOnThisThread?: boolean;
} & ({ readonly url: string } | { readonly path: string });

type Connections = Omit<HistoryDatabase, "workspace">;

const postgresConnectionsMax = 8;
const postgresConnectTimeoutMs = 5_000;

/** A database that is damaged is not opened again more often than this. */
const reopenEveryMs = 10_000;

export class HistoryConnections {
  readonly #options: HistoryOptions;
  /** Null for PostgreSQL. */
  readonly #file: FileWatch | null;
  /** The open connections, and the keys of the workspaces there; null before they are opened, and once they must be again. */
  #open: { readonly connections: Connections; readonly keys: Map<string, number> } | null = null;
  #opening: Promise<void> | null = null;
  /** Connections to a database that is gone; closed before others are opened. */
  #lost: Connections | null = null;
  #wasOpen = false;
  #openedAt = 0;
  #closing: Promise<void> | null = null;

  /** @throws HistoryMisconfigured if the URL is invalid */
  constructor(options: HistoryOptions) {
    this.#options = options;
    const path = "path" in options ? options.path : sqlitePath(options.url);
    this.#file = path === null ? null : new FileWatch(resolve(path));
  }

  /**
   * Does something with the database of a workspace.
   *
   * @throws HistoryUnavailable, HistoryMisconfigured
   */
  async use<T>(workspace: string, work: (database: HistoryDatabase) => Promise<T>): Promise<T> {
    let database: HistoryDatabase | null = null;
    try {
      database = await this.database(workspace);
      return await work(database);
    } catch (error) {
      throw this.errorOf(error, database);
    }
  }

  /** The database of a workspace, as it is now. @throws any error of the database */
  async database(workspace: string): Promise<HistoryDatabase> {
    const change = this.#open === null ? null : ((await this.#file?.change()) ?? null);
    if (change !== null) this.#lose(`its file was ${change}`);
    while (this.#open === null) {
      if (this.#closing !== null) throw new HistoryUnavailable("The history is closed");
      this.#opening ??= this.#openDatabase().finally(() => {
        this.#opening = null;
      });
      await this.#opening;
    }
    const { connections, keys } = this.#open;
    const key = keys.get(workspace) ?? (await workspaceKey(connections.writer, workspace));
    keys.set(workspace, key);
    return { ...connections, workspace: key };
  }

  /**
   * Makes sure that the file may be written. One that is open could be, even after it was made read-only.
   *
   * @throws HistoryUnavailable
   */
  async checkWritable(): Promise<void> {
    const code = (await this.#file?.notWritable()) ?? null;
    if (code !== null)
      throw new HistoryUnavailable(`The history is unavailable: its file is read-only (${code})`);
  }

  /** @param database where the error occurred; null if it could not be opened */
  errorOf(error: unknown, database: HistoryDatabase | null): unknown {
    if (!this.#wasOpen) return asOpeningError(error);
    if (error instanceof HistoryMisconfigured) {
      const { code = "" } = (error.cause ?? {}) as NodeJS.ErrnoException;
      const what =
        code === "EISDIR" ? "its path is that of a folder" : `its folder cannot be created (${code})`;
      const reason = code.startsWith("E") ? what : error.message;
      return new HistoryUnavailable(`The history is unavailable: ${reason}`, { cause: error });
    }
    if (isRefused(error))
      return new HistoryUnavailable(`The history is unavailable: ${(error as Error).message}`, {
        cause: error,
      });
    if (!hasLostTables(error)) return asHistoryError(error);
    const { message } = error as Error;
    // Another request may have opened new connections by now. And if opening did not help, doing so for each query won't.
    const isPresent = database !== null && database.writer === this.#open?.connections.writer;
    if (isPresent && performance.now() - this.#openedAt > reopenEveryMs)
      this.#lose(`it is damaged or has lost its tables (${message})`);
    const remedy = "If this lasts, restore a backup, or move the database away and start again";
    return new HistoryUnavailable(`The history is unavailable: ${message}. ${remedy}`, { cause: error });
  }

  /** Waits for queries in progress, and closes all connections. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#opening?.catch(() => {});
      for (const connections of [this.#open?.connections, this.#lost]) {
        if (connections != null) await destroy(connections);
      }
      await this.#file?.close();
      this.#open = null;
    })();
    return this.#closing;
  }

  /** Gives up the present connections; the next use opens others. */
  #lose(reason: string): void {
    if (this.#open === null) return;
    this.#lost = this.#open.connections;
    this.#open = null;
    this.#options.onLost?.(reason);
  }

  async #openDatabase(): Promise<void> {
    if (this.#lost !== null) {
      await destroy(this.#lost);
      this.#lost = null;
      await this.#file?.removeLeftovers();
    }
    const connections = await connect(this.#options, this.#file);
    try {
      await migrate(connections.writer, connections.dialect);
      await this.#file?.opened();
    } catch (error) {
      await destroy(connections);
      throw error;
    }
    this.#open = { connections, keys: new Map() };
    this.#openedAt = performance.now();
    this.#wasOpen = true;
  }
}

async function destroy({ db, writer }: Connections): Promise<void> {
  await Promise.allSettled([...new Set([db, writer])].map((database) => database.destroy()));
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

async function connect(options: HistoryOptions, file: FileWatch | null): Promise<Connections> {
  if (file === null) return connectPostgres("url" in options ? options.url : "");
  const { path } = file;
  try {
    // Events may hold anything: nobody else needs to read them.
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await (await open(path, "a", 0o600)).close(); // SQLite gives its other files the mode of this one
  } catch (error) {
    const { message } = error as Error;
    throw new HistoryMisconfigured(`Cannot store the history in ${path}: ${message}`, { cause: error });
  }
  const { isOnThisThread = false } = options;
  const writer = new Kysely<Tables>({ dialect: sqliteDialect({ path, readOnly: false, isOnThisThread }) });
  const db = isOnThisThread
    ? writer
    : new Kysely<Tables>({ dialect: sqliteDialect({ path, readOnly: true }) });
  return { db, writer, recording: sqliteRecording(writer), dialect: "sqlite" };
}

/** The path in `sqlite:<path>`; null for a PostgreSQL URL. @throws HistoryMisconfigured for any other */
export function sqlitePath(url: string): string | null {
  if (/^postgres(?:ql)?:\/\//.test(url)) return null;
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(url)?.[1];
  if (path !== undefined) return path;
  // The URL may contain a password, so the message shows only its scheme.
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0] ?? "no scheme";
  throw new HistoryMisconfigured(
    `The history's URL has ${scheme}; use postgres://user@host/database or sqlite:path/to/file`,
  );
}

function connectPostgres(url: string): Connections {
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
  const plain = new Kysely<Tables>({ dialect: new QuietPostgresDialect({ pool }) });
  const db = plain.withSchema(postgresSchema);
  return { db, writer: db, recording: postgresRecording(pool), dialect: "postgres" };
}

/**
 * Reports why a transaction failed. kysely would report why its rollback failed instead, which a lost connection makes
 * certain: the server has rolled back by then, and the pool drops the connection.
 */
class QuietPostgresDialect extends PostgresDialect {
  readonly #config: ConstructorParameters<typeof PostgresDriver>[0];

  constructor(config: ConstructorParameters<typeof PostgresDriver>[0]) {
    super(config);
    this.#config = config;
  }

  override createDriver(): PostgresDriver {
    return new QuietPostgresDriver(this.#config);
  }
}

class QuietPostgresDriver extends PostgresDriver {
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("rollback")).catch(() => {});
  }
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
