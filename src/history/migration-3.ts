/** An index that finds the events which follow another one. */

import { type Kysely, sql } from "kysely";
import type { DialectName, Tables } from "./schema.ts";
import { tableBuilder } from "./table-builder.ts";

/** Few events follow another one, and the index holds no others: it costs the recorder nothing for most events. */
export async function indexFollowers(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const where = sql`follows is not null`;
  await tableBuilder(db, dialect).index("events_follows", "events", ["workspace", "follows", "key"], {
    where,
  });
}
