/**
 * The tables of the history, the same in SQLite and PostgreSQL.
 *
 * Most events repeat the names and resources of others. Each distinct name, and each distinct set of labels, is
 * therefore stored once, and an event refers to them by number. So a filter on names or labels is settled on small
 * tables, and what remains, to count and order events, is answered from narrow indexes alone.
 *
 * Everything belongs to a workspace, and no query leaves it out. Indexes on texts hold their first hundred characters:
 * PostgreSQL indexes nothing much longer, and senders may write labels of any length.
 */

import { type Generated, type Kysely, sql } from "kysely";
import { HistoryMisconfigured } from "./errors.ts";
import { indexedLength } from "./sql-text.ts";

export interface Tables {
  workspaces: {
    key: Generated<number>;
    name: string;
    /** The recorder's cursor: the position in the log up to which all is recorded. */
    position: Generated<string>;
    event_count: Generated<number>;
    /** The length of the bodies and searched texts of its events. */
    text_length: Generated<number>;
  };
  names: { key: Generated<number>; workspace: number; hash: string; name: string };
  /** A set of labels that some event's primary or related resource has had. */
  resources: {
    key: Generated<number>;
    workspace: number;
    hash: string;
    id: string;
    /** What it is called: `prefect.resource.name`, else `prefect.name`, else its id. */
    title: string;
  };
  labels: { resource: number; workspace: number; label: string; value: string };
  events: {
    /** Grows in the order of recording, which is that of the log. */
    key: Generated<number>;
    workspace: number;
    id: string;
    /** Microseconds since the epoch, like `received`; what the sender said, also when it lies in the future. */
    occurred: number;
    received: number;
    name: number;
    resource: number;
    text_length: number;
    /** The event as it is shown, JSON. */
    body: string;
    /** What a text query looks at. */
    searched: string;
  };
  related: { event: number; occurred: number; resource: number };
}

export type DialectName = "sqlite" | "postgres";

/** The tables' schema in PostgreSQL, so that a shared database stays tidy. */
export const postgresSchema = "tripline";

/** Each brings the tables from the version of its index to the next. */
const migrations: readonly ((db: Kysely<Tables>, dialect: DialectName) => Promise<void>)[] = [createTables];

/**
 * Creates or upgrades the tables, in one transaction.
 *
 * @throws HistoryMisconfigured when the tables are of a version that this program does not know yet
 */
export async function migrate(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    // Two processes may start at once: the second waits here, and then finds the work done.
    if (dialect === "postgres") {
      await sql`select pg_advisory_xact_lock(hashtext('tripline history'))`.execute(transaction);
      const { rows } = await sql`select 1 from pg_namespace where nspname = ${postgresSchema}`.execute(
        transaction,
      );
      if (rows.length === 0) await transaction.schema.createSchema(postgresSchema).execute();
    }
    await transaction.schema
      .createTable("versions")
      .ifNotExists()
      .addColumn("version", "integer", (column) => column.notNull())
      .execute();
    const versions = transaction.withTables<{ versions: { version: number } }>();
    const newest = await versions
      .selectFrom("versions")
      .select(({ fn }) => fn.max("version").as("version"))
      .execute();
    const version = newest[0]?.version ?? 0;
    if (version > migrations.length) {
      throw new HistoryMisconfigured(
        `The history's tables are of version ${version}; this program knows ${migrations.length}. Start a newer one.`,
      );
    }
    for (const [index, change] of migrations.entries()) {
      if (index < version) continue;
      await change(transaction, dialect);
      await versions
        .insertInto("versions")
        .values({ version: index + 1 })
        .execute();
    }
  });
}

async function createTables(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const key = dialect === "sqlite" ? sql`integer primary key autoincrement` : sql`bigserial primary key`;
  const integer = sql`bigint not null`;
  const zero = sql`bigint not null default 0`;
  // Byte by byte, as SQLite compares: prefixes are ranges then, and both databases put labels in the same order.
  const text = dialect === "sqlite" ? sql`text not null` : sql`text collate "C" not null`;
  const head = (column: string) => sql`substr(${sql.ref(column)}, 1, ${sql.lit(indexedLength)})`;

  const table = async (name: keyof Tables, columns: Record<string, typeof text>) => {
    let creation = db.schema.createTable(name);
    // The whole definition is given as the type: it differs between the dialects.
    for (const [column, type] of Object.entries(columns))
      creation = creation.addColumn(column, type as never);
    await creation.execute();
  };
  const index = (name: string, on: keyof Tables, columns: readonly (string | ReturnType<typeof head>)[]) =>
    db.schema
      .createIndex(name)
      .on(on)
      .expression(sql.join(columns.map((column) => (typeof column === "string" ? sql.ref(column) : column))));

  await table("workspaces", {
    key,
    name: text,
    position: sql`${text} default '0-0'`,
    event_count: zero,
    text_length: zero,
  });
  await index("workspaces_name", "workspaces", ["name"]).unique().execute();

  await table("names", { key, workspace: integer, hash: text, name: text });
  await index("names_hash", "names", ["workspace", "hash"]).unique().execute();
  await index("names_name", "names", ["workspace", head("name")]).execute();

  await table("resources", { key, workspace: integer, hash: text, id: text, title: text });
  await index("resources_hash", "resources", ["workspace", "hash"]).unique().execute();

  await table("labels", { resource: integer, workspace: integer, label: text, value: text });
  await index("labels_resource", "labels", ["resource"]).execute();
  await index("labels_value", "labels", ["workspace", head("label"), head("value"), "resource"]).execute();

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
  await index("events_id", "events", ["workspace", "id"]).unique().execute();
  await index("events_received", "events", ["workspace", "received", "key"]).execute();
  // The order of a page is in them, and all that a filter on times, names and primary resources asks.
  await index("events_occurred", "events", ["workspace", "occurred", "key", "name", "resource"]).execute();
  await index("events_resource", "events", ["workspace", "resource", "occurred", "key", "name"]).execute();
  await index("events_name", "events", ["workspace", "name", "occurred", "key", "resource"]).execute();

  await table("related", { event: integer, occurred: integer, resource: integer });
  await index("related_event", "related", ["event", "resource"]).unique().execute();
  await index("related_resource", "related", ["resource", "occurred", "event"]).execute();
}
