/** The thread that owns one connection to an SQLite file, so that no query holds up the event loop of the others. */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { compileGlob, type Glob } from "../core/model/glob.ts";
import { BoundedCache } from "./bounded-cache.ts";

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
const keptStatementsMax = 200;
const keptGlobsMax = 1_000;

function open({ path, readOnly }: SqliteSettings): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  // Incremental vacuum must be asked for before the first table; it gives back the room of pruned events.
  database.exec("pragma auto_vacuum = incremental");
  database.exec("pragma journal_mode = wal");
  // A commit is on disk when it is acknowledged: the log may be trimmed up to what is recorded.
  database.exec("pragma synchronous = full");
  database.exec(`pragma cache_size = -${cacheKib}`);
  database.exec("pragma temp_store = memory");
  if (readOnly) database.exec("pragma query_only = on");
  const globs = new BoundedCache<Glob>(keptGlobsMax);
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
      // Some pragmas work step by step without returning anything, and `run` takes the first step only.
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

const statements = new BoundedCache<StatementSync>(keptStatementsMax);

function prepare(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  // Microseconds far in the future exceed what node:sqlite is willing to return as a number.
  statement.setReadBigInts(true);
  return statement;
}

/** A number is bound as a float unless it is a bigint, and dividing floats is not dividing integers. */
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
