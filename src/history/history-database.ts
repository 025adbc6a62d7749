/** A database and one workspace in it. Every query and every write takes one. */

import type { Kysely } from "kysely";
import type { Recording } from "./recording.ts";
import type { DialectName, Tables } from "./schema.ts";

export interface HistoryDatabase {
  /** For queries. */
  readonly db: Kysely<Tables>;
  /** For transactions. With SQLite this is a second connection, so that queries and transactions do not wait for each other. */
  readonly writer: Kysely<Tables>;
  readonly recording: Recording;
  readonly dialect: DialectName;
  /** The workspace's key. */
  readonly workspace: number;
}
