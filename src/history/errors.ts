/** Errors of the history that callers can handle. */

import { Outage } from "../retry/outage.ts";

/** The database cannot be reached, is full, or was locked for too long. Try again later. */
export class HistoryUnavailable extends Outage {
  override readonly name = "HistoryUnavailable";
}

/** The history's URL or the database that it names cannot be used. The message says what to change. */
export class HistoryMisconfigured extends Error {
  override readonly name = "HistoryMisconfigured";
}

// SQLSTATE classes for problems of the server rather than the statement: connection, resources, operator intervention,
// system; also rollbacks, lock timeouts, and a server that is read-only, such as a standby.
const temporaryStates = /^(?:08|53|57|58|40|55P03|25006)/;

// SQLite's codes for the same: busy, locked, out of memory, read-only, I/O, full, cannot open, protocol.
const temporarySqliteCodes: ReadonlySet<number> = new Set([5, 6, 7, 8, 10, 13, 14, 15]);

/** Turns an error that may pass into `HistoryUnavailable`; returns any other error as it is. */
export function asHistoryError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof HistoryUnavailable) return error;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  const isTemporary =
    typeof errcode === "number"
      ? temporarySqliteCodes.has(errcode & 0xff)
      : typeof code === "string"
        ? temporaryStates.test(code) || /^E[A-Z]+$/.test(code)
        : /connection|timeout/i.test(error.message);
  return isTemporary
    ? new HistoryUnavailable(`The history is unavailable: ${error.message}`, { cause: error })
    : error;
}

// PostgreSQL's codes for a login, a permission or a database that was taken away.
const refusedStates = /^(?:28|42501|3D000)/;

/** Whether the database refuses a history that it has served before: its operator can change that, and only it. */
export function isRefused(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof Error && typeof code === "string" && refusedStates.test(code);
}

// PostgreSQL's codes for a table or schema that does not exist; SQLite's for a damaged file and for one of another format.
const lostTableStates: ReadonlySet<string> = new Set(["42P01", "3F000"]);
const damagedSqliteCodes: ReadonlySet<number> = new Set([11, 26]);

/** Whether an error shows that the tables are gone or damaged, although they were there when the history was opened. */
export function hasLostTables(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof errcode === "number")
    return damagedSqliteCodes.has(errcode & 0xff) || error.message.startsWith("no such table");
  return typeof code === "string" && lostTableStates.has(code);
}
