/** The thread that owns one connection to an SQLite file, so that no query blocks the main event loop. */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { BoundedCache } from "../core/model/bounded-cache.ts";
import { compileGlob, type Glob } from "../core/model/glob.ts";

export interface SqliteSettings {
  readonly path: string;
  readonly readOnly: boolean;
}

export interface SqliteRequest {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type SqliteResponse =
  | { readonly rows: Record<string, unknown>[]; readonly changes: number }
  | { readonly error: { readonly message: string; readonly errcode: number | undefined } };

const busyTimeoutMs = 10_000;
const cacheKib = 65_536;
// A statement takes some 20 bytes for a character of its SQL, a compiled glob some 150 for one of its pattern.
const cachedSqlLengthMax = 1_000_000;
const cachedGlobLengthMax = 200_000;

function open({ path, readOnly }: SqliteSettings): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  // Incremental vacuum frees the space of pruned events. It must be set before the first table is created.
  database.exec("pragma auto_vacuum = incremental");
  database.exec("pragma journal_mode = wal");
  // A commit must be on disk when it returns, because the log may then be trimmed up to the recorded position.
  database.exec("pragma synchronous = full");
  database.exec(`pragma cache_size = -${cacheKib}`);
  database.exec("pragma temp_store = memory");
  if (readOnly) database.exec("pragma query_only = on");
  const globs = new BoundedCache<Glob>(cachedGlobLengthMax);
  database.function("tripline_glob", { deterministic: true }, (pattern, value) => {
    const glob = globs.get(String(pattern), compileGlob);
    return glob.matches(String(value)) ? 1 : 0;
  });
  return database;
}

function run(database: DatabaseSync, { sql, parameters }: SqliteRequest): SqliteResponse {
  try {
    const statement = statements.get(sql, () => prepare(database, sql));
    const bound = parameters.map(inputOf);
    if (statement.columns().length === 0) {
      // Some pragmas take several steps and return nothing; `run` would take only the first step.
      if (bound.length === 0) {
        database.exec(sql);
        return { rows: [], changes: 0 };
      }
      return { rows: [], changes: Number(statement.run(...bound).changes) };
    }
    const rows = statement.all(...bound).map((row) => {
      const plain: Record<string, unknown> = {};
      for (const [column, value] of Object.entries(row)) {
        plain[column] = typeof value === "bigint" ? Number(value) : value;
      }
      return plain;
    });
    return { rows, changes: rows.length };
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    return { error: { message, errcode } };
  }
}

const statements = new BoundedCache<StatementSync>(cachedSqlLengthMax, finalize);

/**
 * Frees the memory of a statement. The garbage collector does not know its size and may keep thousands for a long time.
 * Node 22 and 24 leave it no other way.
 */
function finalize(statement: StatementSync & { close?(): void }): void {
  statement.close?.();
}

function prepare(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  // node:sqlite throws on integers beyond 2^53, and times far in the future are that large.
  statement.setReadBigInts(true);
  return statement;
}

/** node:sqlite binds numbers as floats, but SQL must divide integers; so integers are bound as bigints. */
function inputOf(value: unknown): SQLInputValue {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : (value as SQLInputValue);
}

const database = open(workerData as SqliteSettings);
parentPort?.on("message", (request: SqliteRequest | "close") => {
  if (request === "close") {
    database.close();
    parentPort?.close();
  } else parentPort?.postMessage(run(database, request));
});
