/** SQLite for kysely, through `node:sqlite`. By default it runs in a separate thread, one statement at a time. */

import { Worker } from "node:worker_threads";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { asHistoryError } from "./errors.ts";
import type { Recording } from "./recording.ts";
import type { Tables } from "./schema.ts";
import {
  recordingCalls,
  SqliteFile,
  type SqliteRequest,
  type SqliteResponse,
  type SqliteSettings,
} from "./sqlite-file.ts";

// The compiler does not rewrite the extension of a path in a string.
const workerFile = import.meta.url.endsWith(".ts") ? "./sqlite-worker.ts" : "./sqlite-worker.js";

/** Where a connection is. */
export interface SqlitePlace extends SqliteSettings {
  /** On this thread, which then does nothing else while a statement runs. For a thread that is there to record. */
  readonly isOnThisThread?: boolean;
}

/** The first query opens the connection. */
export function sqliteDialect(settings: SqlitePlace): Dialect {
  return {
    createAdapter: () => new TransactionalSqliteAdapter(),
    createDriver: () => new SqliteDriver(settings),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** kysely assumes that SQLite cannot change tables in a transaction, and would migrate without one. It can. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class SqliteDriver implements Driver {
  readonly #settings: SqlitePlace;
  #connection: SqliteConnection | null = null;
  /** Resolves when the last caller in line has released the connection. */
  #released: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(settings: SqlitePlace) {
    this.#settings = settings;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const previousReleased = this.#released;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#released = promise;
    await previousReleased;
    this.#release = resolve;
    // Replaces a worker that has ended, because the cause, such as a missing folder, may have been fixed.
    if (this.#connection === null || this.#connection.ended) {
      const { isOnThisThread = false, ...settings } = this.#settings;
      this.#connection = isOnThisThread ? new LocalConnection(settings) : new RemoteConnection(settings);
    }
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  // All transactions here write. Taking the write lock at the start makes SQLite wait for it; a transaction that starts by
  // reading would fail instead when another process writes.
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  // After an error such as a full disk, SQLite has rolled back by itself, and a second rollback fails. The error that led
  // here says what is wrong, so this one must not take its place.
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw("rollback"));
    } catch (error) {
      const isOver = error instanceof Error && error.message.includes("no transaction is active");
      if (!isOver) await (connection as SqliteConnection).close(); // the next caller gets a new connection
    }
  }

  async destroy(): Promise<void> {
    await this.#connection?.close();
  }
}

abstract class SqliteConnection implements DatabaseConnection {
  /** Whether it cannot be used anymore. */
  abstract readonly ended: boolean;

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const response = await this.answer({ sql, parameters });
    if ("error" in response)
      throw asHistoryError(Object.assign(new Error(response.error.message), response.error));
    return { rows: response.rows as R[], numAffectedRows: BigInt(response.changes) };
  }

  // biome-ignore lint/correctness/useYield: kysely requires it, but nothing here streams
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("The history does not stream query results; read page by page");
  }

  abstract answer(request: SqliteRequest): Promise<SqliteResponse>;
  abstract close(): Promise<void>;
}

class LocalConnection extends SqliteConnection {
  readonly #settings: SqliteSettings;
  #file: SqliteFile | null = null;
  ended = false;

  constructor(settings: SqliteSettings) {
    super();
    this.#settings = settings;
  }

  async answer(request: SqliteRequest): Promise<SqliteResponse> {
    try {
      this.#file ??= new SqliteFile(this.#settings);
    } catch (error) {
      this.ended = true;
      const { message, errcode = 14 } = error as Error & { errcode?: number };
      return { error: { message, errcode } };
    }
    return this.#file.answer(request);
  }

  async close(): Promise<void> {
    this.ended = true;
    this.#file?.close();
    this.#file = null;
  }
}

class RemoteConnection extends SqliteConnection {
  readonly #worker: Worker;
  readonly #exit: Promise<unknown>;
  #settle: ((response: SqliteResponse) => void) | null = null;
  ended = false;

  constructor(settings: SqliteSettings) {
    super();
    this.#worker = new Worker(new URL(workerFile, import.meta.url), {
      workerData: settings,
      // Node 22 and 24 print a warning that node:sqlite is experimental, as plain text between the lines of a JSON log.
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    const end = (message: string, errcode?: number) => {
      this.ended = true;
      this.#answered({ error: { message, errcode } });
    };
    this.#worker.on("message", (response: SqliteResponse) => this.#answered(response));
    this.#worker.on("error", (error: Error & { errcode?: number }) =>
      end(error.message, error.errcode ?? 14),
    );
    this.#exit = new Promise((resolve) => this.#worker.once("exit", resolve)).then(() =>
      end("the SQLite thread has ended", 14),
    );
  }

  answer(request: SqliteRequest): Promise<SqliteResponse> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (this.ended) this.#answered({ error: { message: "the SQLite thread has ended", errcode: 14 } });
      else this.#worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    if (!this.ended) this.#worker.postMessage("close");
    await this.#exit;
  }

  #answered(response: SqliteResponse): void {
    this.#settle?.(response);
    this.#settle = null;
  }
}

/** Recording through a connection of this dialect: each call is a single request. */
export function sqliteRecording(writer: Kysely<Tables>): Recording {
  const call = async <T>(sql: string, ...parameters: unknown[]): Promise<T> => {
    const { rows } = await writer.executeQuery<{ value: T }>(CompiledQuery.raw(sql, parameters));
    return rows[0]?.value as T;
  };
  return {
    record: (workspace, stretch) => call(recordingCalls.record, workspace, stretch),
    tryPlainEvent: (workspace) => call(recordingCalls.tryPlainEvent, workspace),
    upgrade: (workspace, countMax) => call(recordingCalls.upgrade, workspace, countMax),
    hasOldEvents: (workspace) => call(recordingCalls.hasOldEvents, workspace),
  };
}
