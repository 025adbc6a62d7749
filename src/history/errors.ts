/** What can go wrong with the history that its callers can do something about. */

import { Outage } from "../retry/outage.ts";

/** The database cannot be reached, is full, or is in use for too long: try again later. */
export class HistoryUnavailable extends Outage {
  override readonly name = "HistoryUnavailable";
}

/** The history's address, or the database behind it, cannot be used as it is; the message says what to change. */
export class HistoryMisconfigured extends Error {
  override readonly name = "HistoryMisconfigured";
}

// The classes of SQLSTATE that are about the server and not about the statement: connection, resources, operator
// intervention, system; and a lock or a statement that took too long.
const passingStates = /^(?:08|53|57|58|40|55P03)/;

// SQLite's primary codes for the same: busy, locked, out of memory, read-only, I/O, full, cannot open, protocol.
const passingSqliteCodes: ReadonlySet<number> = new Set([5, 6, 7, 8, 10, 13, 14, 15]);

/** The error as callers should see it: `HistoryUnavailable` when waiting may help, else as it is. */
export function asHistoryError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof HistoryUnavailable) return error;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  const passing =
    typeof errcode === "number"
      ? passingSqliteCodes.has(errcode & 0xff)
      : typeof code === "string"
        ? passingStates.test(code) || /^E[A-Z]+$/.test(code)
        : /connection|timeout/i.test(error.message);
  return passing
    ? new HistoryUnavailable(`The history is unavailable: ${error.message}`, { cause: error })
    : error;
}
