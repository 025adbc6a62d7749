/**
 * Creates and upgrades the tables of the history, with kysely's Migrator.
 *
 * To change the tables, add a migration with the next number; one that was released never changes. In both databases all
 * pending migrations run in one transaction, and processes that start at the same time take turns.
 */

import { type Kysely, type Migration, Migrator } from "kysely";
import { HistoryMisconfigured } from "./errors.ts";
import { createTables } from "./migration-1.ts";
import { storePayloads } from "./migration-2.ts";
import { indexFollowers } from "./migration-3.ts";
import { type DialectName, postgresSchema, type Tables } from "./schema.ts";

/** The Migrator runs these in the order of their names. */
function migrationsFor(dialect: DialectName): Record<string, Migration> {
  return {
    "0001-tables": {
      async up(db: Kysely<Tables>) {
        if (!(await wasCreatedBefore(db))) await createTables(db, dialect);
      },
    },
    "0002-payloads": {
      up: (db: Kysely<Tables>) => storePayloads(db, dialect),
    },
    "0003-followers": {
      up: (db: Kysely<Tables>) => indexFollowers(db, dialect),
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
