/**
 * Tables that store of an event its payload, and what events repeat only once. Released, so it never changes.
 *
 * The events themselves stay as they are in the table `old_events`, since bringing a million of them into the new form takes
 * half a minute. The recorder does that, newest first; see `History.upgrade`.
 */

import { randomInt } from "node:crypto";
import { type Kysely, sql } from "kysely";
import { type DialectName, postgresSchema, type Tables } from "./schema.ts";
import { tableBuilder } from "./table-builder.ts";

/** What was indexed for queries, which do not read the old events. `events_id` stays, to find repeated ids. */
const oldIndexes = ["events_received", "events_occurred", "events_resource", "events_name"] as const;

export async function storePayloads(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const { table, index, head, types } = tableBuilder(db, dialect);
  const { integer, text, optionalText, bytes, optionalBytes } = types;
  // A key that is free again may be used again: nothing outside of the tables refers to it.
  const key = dialect === "sqlite" ? sql`integer primary key` : types.key;

  for (const name of oldIndexes) await db.schema.dropIndex(name).execute();
  for (const name of ["related", "labels", "resources", "names"]) await db.schema.dropTable(name).execute();
  const { lastKey } = await db
    .selectFrom("events")
    .select(({ fn }) => fn.max<number | null>("key").as("lastKey"))
    .executeTakeFirstOrThrow();
  if (lastKey === null) await db.schema.dropTable("events").execute();
  else {
    await db.schema.alterTable("events").renameTo("old_events").execute();
    if (dialect === "postgres") {
      // Names that the new table needs.
      const renamed = (name: string) => sql.id(postgresSchema, name);
      await sql`alter index ${renamed("events_pkey")} rename to old_events_pkey`.execute(db);
      await sql`alter sequence ${renamed("events_key_seq")} rename to old_events_key_seq`.execute(db);
    }
  }

  // At random, so that the keys of tables that were lost and created again are not mistaken for those of before.
  const generation = sql`bigint not null default ${sql.lit(randomInt(2 ** 47))}`;
  await db.schema
    .alterTable("workspaces")
    .addColumn("generation", generation as never)
    .execute();

  await table("names", { key, workspace: integer, hash: bytes, name: text, searched: text });
  await index("names_hash", "names", ["workspace", "hash"], { isUnique: true });
  await index("names_name", "names", ["workspace", head("name")]);

  const resources = {
    key,
    workspace: integer,
    hash: bytes,
    id: text,
    title: text,
    body: text,
    searched: text,
  };
  await table("resources", resources);
  await index("resources_hash", "resources", ["workspace", "hash"], { isUnique: true });

  const labels = { resource: integer, workspace: integer, label: text, value: text };
  if (dialect === "sqlite") await table("labels", labels, ["resource", "label"]);
  else {
    await table("labels", labels);
    await index("labels_resource", "labels", ["resource"]); // a label may be too long for an index
  }
  await index("labels_value", "labels", ["workspace", head("label"), head("value"), "resource"]);

  await table("related_lists", { key, workspace: integer, hash: bytes, body: text });
  await index("related_lists_hash", "related_lists", ["workspace", "hash"], { isUnique: true });
  await table("related_members", { list: integer, resource: integer }, ["list", "resource"]);
  await index("related_members_resource", "related_members", ["resource", "list"]);

  await table("events", {
    key: lastKey === null ? key : types.key, // old events keep their keys, and new ones get others
    workspace: integer,
    id: bytes,
    occurred: integer,
    received: integer,
    name: integer,
    resource: integer,
    related: sql`bigint`,
    follows: optionalBytes,
    odd: optionalText,
    searched: optionalText,
    payload: text,
  });
  if (lastKey !== null) {
    await (dialect === "sqlite"
      ? sql`insert into sqlite_sequence (name, seq) values ('events', ${lastKey})`
      : sql`select setval(${sql.lit(`${postgresSchema}.events_key_seq`)}, ${lastKey})`
    ).execute(db);
  }
  await index("events_uuid", "events", ["workspace", "id"], { isUnique: true });
  await index("events_received", "events", ["workspace", "received", "key"]);
  // These have the order of a page, and all columns that a filter on times, names and primary resources needs.
  await index("events_occurred", "events", ["workspace", "occurred", "key", "name", "resource", "related"]);
  await index("events_resource", "events", ["workspace", "resource", "occurred", "key", "name"]);
  await index("events_name", "events", ["workspace", "name", "occurred", "key", "resource"]);
  const where = sql`related is not null`;
  await index("events_related", "events", ["workspace", "related", "occurred", "key"], { where });
}
