/** A database and one workspace in it: what every query and every writer here is given. */

import type { Kysely } from "kysely";
import type { DialectName, Tables } from "./schema.ts";

export interface Store {
  /** Where queries go. */
  readonly db: Kysely<Tables>;
  /** Where transactions go: with SQLite a connection of its own, so that neither waits for the other. */
  readonly writer: Kysely<Tables>;
  readonly dialect: DialectName;
  /** The workspace's key. */
  readonly workspace: number;
}
