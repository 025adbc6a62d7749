/** A connection to an SQLite file. Whatever is asked of it blocks the thread it is on. */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { BoundedCache } from "../core/model/bounded-cache.ts";
import { compileGlob, type Glob } from "../core/model/glob.ts";
import type { RecordedStretch } from "./recording.ts";
import { SqliteRecording } from "./sqlite-recording.ts";

export interface SqliteSettings {
  readonly path: string;
  readonly readOnly: boolean;
}

/** A statement, or one of `recordingCalls` with its parameters. */
export interface SqliteRequest {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type SqliteResponse =
  | { readonly rows: Record<string, unknown>[]; readonly changes: number }
  | { readonly error: { readonly message: string; readonly errcode: number | undefined } };

/** Requests that take many statements. They are transactions of their own. */
export const recordingCalls = {
  record: "tripline: record",
  tryPlainEvent: "tripline: try a plain event",
  upgrade: "tripline: upgrade",
  hasOldEvents: "tripline: look for old events",
} as const;

const busyTimeoutMs = 10_000;
const cacheKib = 65_536;
/**
 * After how many pages the write-ahead log is copied into the file: 64 MB. A large transaction changes thousands of pages of the
 * indexes, and with the default of 4 MB each of them would be copied after each.
 */
const checkpointPages = 16_000;
// A statement takes some 20 bytes for a character of its SQL, a compiled glob some 150 for one of its pattern.
const cachedSqlLengthMax = 1_000_000;
const cachedGlobLengthMax = 200_000;

export class SqliteFile {
  readonly #database: DatabaseSync;
  readonly #recording: SqliteRecording;
  readonly #statements = new BoundedCache<StatementSync>(cachedSqlLengthMax, finalize);

  /** Opens the file, which is created if it is missing. */
  constructor({ path, readOnly }: SqliteSettings) {
    const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // Incremental vacuum frees the space of pruned events. It must be set before the first table is created.
    database.exec("pragma auto_vacuum = incremental");
    database.exec("pragma journal_mode = wal");
    // A commit must be on disk when it returns, because the log may then be trimmed up to the recorded position.
    database.exec("pragma synchronous = full");
    database.exec(`pragma cache_size = -${cacheKib}`);
    database.exec(`pragma wal_autocheckpoint = ${checkpointPages}`);
    database.exec("pragma temp_store = memory");
    if (readOnly) database.exec("pragma query_only = on");
    const globs = new BoundedCache<Glob>(cachedGlobLengthMax);
    database.function("tripline_glob", { deterministic: true }, (pattern, value) => {
      const glob = globs.get(String(pattern), compileGlob);
      return glob.matches(String(value)) ? 1 : 0;
    });
    this.#database = database;
    this.#recording = new SqliteRecording(database);
  }

  /** Never throws: an error is a response. */
  answer(request: SqliteRequest): SqliteResponse {
    try {
      return this.#call(request) ?? this.#run(request);
    } catch (error) {
      const { message, errcode } = error as Error & { errcode?: number };
      return { error: { message, errcode } };
    }
  }

  close(): void {
    this.#database.close();
  }

  #call({ sql, parameters }: SqliteRequest): SqliteResponse | null {
    const [workspace, argument] = parameters as [number, unknown];
    switch (sql) {
      case recordingCalls.record:
        return responseOf(this.#recording.record(workspace, argument as RecordedStretch));
      case recordingCalls.tryPlainEvent:
        return responseOf(this.#recording.tryPlainEvent(workspace));
      case recordingCalls.upgrade:
        return responseOf(this.#recording.upgrade(workspace, argument as number));
      case recordingCalls.hasOldEvents:
        return responseOf(this.#recording.hasOldEvents(workspace));
      default:
        return null;
    }
  }

  #run({ sql, parameters }: SqliteRequest): SqliteResponse {
    const statement = this.#statements.get(sql, () => prepare(this.#database, sql));
    const bound = parameters.map(inputOf);
    if (statement.columns().length === 0) {
      // Some pragmas take several steps and return nothing; `run` would take only the first step.
      if (bound.length === 0) {
        this.#database.exec(sql);
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
  }
}

function responseOf(value: unknown): SqliteResponse {
  return { rows: [{ value }], changes: 0 };
}

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
