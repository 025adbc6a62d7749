/**
 * Creates and upgrades the tables of the history, with kysely's Migrator.
 *
 * To change the tables, add a migration with the next number; one that was released never changes. In both databases all
 * pending migrations run in one transaction, and processes that start at the same time take turns.
 */

import { type Kysely, type Migration, Migrator, sql } from "kysely";
import { HistoryMisconfigured } from "./errors.ts";
import { type DialectName, postgresSchema, type Tables } from "./schema.ts";
import { indexedLength } from "./sql-text.ts";

/** The Migrator runs these in the order of their names. */
function migrationsFor(dialect: DialectName): Record<string, Migration> {
  return {
    "0001-tables": {
      async up(db: Kysely<Tables>) {
        if (!(await wasCreatedBefore(db))) await createTables(db, dialect);
      },
    },
  };
}

/**
 * Creates or upgrades the tables.
 *
 * @throws HistoryMisconfigured if a newer version of Tripline has upgraded them
 */
export async function migrate(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const migrations = migrationsFor(dialect);
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    ...(dialect === "postgres" ? { migrationTableSchema: postgresSchema } : {}),
  });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const newer = (await executedMigrations(db)).filter((name) => !Object.hasOwn(migrations, name));
  if (newer.length === 0) throw error;
  throw new HistoryMisconfigured(
    `A newer version of Tripline has upgraded the history's tables (${newer.join(", ")}). Start that version or a newer one.`,
    { cause: error },
  );
}

/** The names of the migrations that have run; an empty list if the Migrator's table does not exist. */
async function executedMigrations(db: Kysely<Tables>): Promise<string[]> {
  if (!(await hasTable(db, "kysely_migration"))) return [];
  const rows = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom("kysely_migration")
    .select("name")
    .execute();
  return rows.map(({ name }) => name);
}

/** Whether version 0.1 created the tables. It kept its own table of versions instead of the Migrator's. */
function wasCreatedBefore(db: Kysely<Tables>): Promise<boolean> {
  return hasTable(db, "versions");
}

async function hasTable(db: Kysely<Tables>, wanted: string): Promise<boolean> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  return tables.some(({ name, schema }) => name === wanted && (schema ?? postgresSchema) === postgresSchema);
}

async function createTables(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const key = dialect === "sqlite" ? sql`integer primary key autoincrement` : sql`bigserial primary key`;
  const integer = sql`bigint not null`;
  const zero = sql`bigint not null default 0`;
  // Compared byte by byte, as in SQLite, so that a prefix is a range and both databases sort labels in the same order.
  const text = dialect === "sqlite" ? sql`text not null` : sql`text collate "C" not null`;
  const head = (column: string) => sql`substr(${sql.ref(column)}, 1, ${sql.lit(indexedLength)})`;

  const table = async (name: keyof Tables, columns: Record<string, typeof text>) => {
    let creation = db.schema.createTable(name);
    // Passes the whole column definition as the type, because it differs between the dialects.
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
  // These have the order of a page, and all columns that a filter on times, names and primary resources needs.
  await index("events_occurred", "events", ["workspace", "occurred", "key", "name", "resource"]).execute();
  await index("events_resource", "events", ["workspace", "resource", "occurred", "key", "name"]).execute();
  await index("events_name", "events", ["workspace", "name", "occurred", "key", "resource"]).execute();

  await table("related", { event: integer, occurred: integer, resource: integer });
  await index("related_event", "related", ["event", "resource"]).unique().execute();
  await index("related_resource", "related", ["resource", "occurred", "event"]).execute();
}
