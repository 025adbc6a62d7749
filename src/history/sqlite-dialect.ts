/** SQLite for kysely, through `node:sqlite`. It runs in a separate thread, one statement at a time. */

import { Worker } from "node:worker_threads";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { asHistoryError } from "./errors.ts";
import type { SqliteRequest, SqliteResponse, SqliteSettings } from "./sqlite-worker.ts";

// The compiler does not rewrite the extension of a path in a string.
const workerFile = import.meta.url.endsWith(".ts") ? "./sqlite-worker.ts" : "./sqlite-worker.js";

/** The first query opens the connection. */
export function sqliteDialect(settings: SqliteSettings): Dialect {
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
  readonly #settings: SqliteSettings;
  #connection: SqliteConnection | null = null;
  /** Resolves when the last caller in line has released the connection. */
  #released: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(settings: SqliteSettings) {
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
      this.#connection = new SqliteConnection(this.#settings);
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

class SqliteConnection implements DatabaseConnection {
  readonly #worker: Worker;
  readonly #exit: Promise<unknown>;
  #settle: ((response: SqliteResponse) => void) | null = null;
  ended = false;

  constructor(settings: SqliteSettings) {
    this.#worker = new Worker(new URL(workerFile, import.meta.url), {
      workerData: settings,
      // Node 22 and 24 print a warning that node:sqlite is experimental, as plain text between the lines of a JSON log.
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    const end = (message: string, errcode?: number) => {
      this.ended = true;
      this.#answer({ error: { message, errcode } });
    };
    this.#worker.on("message", (response: SqliteResponse) => this.#answer(response));
    this.#worker.on("error", (error: Error & { errcode?: number }) =>
      end(error.message, error.errcode ?? 14),
    );
    this.#exit = new Promise((resolve) => this.#worker.once("exit", resolve)).then(() =>
      end("the SQLite thread has ended", 14),
    );
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const response = await new Promise<SqliteResponse>((resolve) => {
      this.#settle = resolve;
      if (this.ended) this.#answer({ error: { message: "the SQLite thread has ended", errcode: 14 } });
      else this.#worker.postMessage({ sql, parameters } satisfies SqliteRequest);
    });
    if ("error" in response)
      throw asHistoryError(Object.assign(new Error(response.error.message), response.error));
    return { rows: response.rows as R[], numAffectedRows: BigInt(response.changes) };
  }

  // biome-ignore lint/correctness/useYield: kysely requires it, but nothing here streams
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("The history does not stream query results; read page by page");
  }

  async close(): Promise<void> {
    if (!this.ended) this.#worker.postMessage("close");
    await this.#exit;
  }

  #answer(response: SqliteResponse): void {
    this.#settle?.(response);
    this.#settle = null;
  }
}
