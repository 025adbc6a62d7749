/** The first tables of the history. Released, so it never changes. */

import { type Kysely, sql } from "kysely";
import type { DialectName, Tables } from "./schema.ts";
import { tableBuilder } from "./table-builder.ts";

/** The tables of version 0.1. */
export async function createTables(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const { table, index, head, types } = tableBuilder(db, dialect);
  const { key, integer, zero, text } = types;

  await table("workspaces", {
    key,
    name: text,
    position: sql`${text} default '0-0'`,
    event_count: zero,
    text_length: zero,
  });
  await index("workspaces_name", "workspaces", ["name"], { isUnique: true });

  await table("names", { key, workspace: integer, hash: text, name: text });
  await index("names_hash", "names", ["workspace", "hash"], { isUnique: true });
  await index("names_name", "names", ["workspace", head("name")]);

  await table("resources", { key, workspace: integer, hash: text, id: text, title: text });
  await index("resources_hash", "resources", ["workspace", "hash"], { isUnique: true });

  await table("labels", { resource: integer, workspace: integer, label: text, value: text });
  await index("labels_resource", "labels", ["resource"]);
  await index("labels_value", "labels", ["workspace", head("label"), head("value"), "resource"]);

  await table("events", {
    key,
    workspace: integer,
    id: text,
    occurred: integer,
    received: integer,
    name: integer,
    resource: integer,
    text_length: integer,
    body: text,
    searched: text,
  });
  await index("events_id", "events", ["workspace", "id"], { isUnique: true });
  await index("events_received", "events", ["workspace", "received", "key"]);
  // These have the order of a page, and all columns that a filter on times, names and primary resources needs.
  await index("events_occurred", "events", ["workspace", "occurred", "key", "name", "resource"]);
  await index("events_resource", "events", ["workspace", "resource", "occurred", "key", "name"]);
  await index("events_name", "events", ["workspace", "name", "occurred", "key", "resource"]);

  await table("related", { event: integer, occurred: integer, resource: integer });
  await index("related_event", "related", ["event", "resource"], { isUnique: true });
  await index("related_resource", "related", ["resource", "occurred", "event"]);
}
