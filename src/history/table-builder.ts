/** Creates tables and indexes, the same in SQLite and PostgreSQL. */

import { type Kysely, type RawBuilder, sql } from "kysely";
import type { DialectName, Tables } from "./schema.ts";
import { indexedLength } from "./sql-text.ts";

type Fragment = RawBuilder<unknown>;

export function tableBuilder(db: Kysely<Tables>, dialect: DialectName) {
  const isSqlite = dialect === "sqlite";
  const text = isSqlite ? sql`text` : sql`text collate "C"`;
  const types = {
    key: isSqlite ? sql`integer primary key autoincrement` : sql`bigserial primary key`,
    integer: sql`bigint not null`,
    zero: sql`bigint not null default 0`,
    // Compared byte by byte, as in SQLite, so that a prefix is a range and both databases sort labels in the same order.
    text: sql`${text} not null`,
    optionalText: text,
    bytes: isSqlite ? sql`blob not null` : sql`bytea not null`,
    optionalBytes: isSqlite ? sql`blob` : sql`bytea`,
  };
  return {
    types,
    /** The first characters of a column, as indexes hold them. */
    head: (column: string): Fragment => sql`substr(${sql.ref(column)}, 1, ${sql.lit(indexedLength)})`,

    /** @param primaryKey of a table that is ordered by it; in PostgreSQL it is an index like any other */
    async table(name: string, columns: Record<string, Fragment>, primaryKey: string[] = []): Promise<void> {
      let creation = db.schema.createTable(name);
      // Passes the whole column definition as the type, because it differs between the dialects.
      for (const [column, type] of Object.entries(columns))
        creation = creation.addColumn(column, type as never);
      if (primaryKey.length > 0)
        creation = creation.addPrimaryKeyConstraint(`${name}_key`, primaryKey as never[]);
      if (primaryKey.length > 0 && isSqlite) creation = creation.modifyEnd(sql`without rowid`);
      await creation.execute();
    },

    async index(
      name: string,
      on: string,
      columns: readonly (string | Fragment)[],
      { isUnique = false, where = null }: { isUnique?: boolean; where?: Fragment | null } = {},
    ): Promise<void> {
      const list = columns.map((column) => (typeof column === "string" ? sql.ref(column) : column));
      let creation = db.schema.createIndex(name).on(on).expression(sql.join(list));
      if (isUnique) creation = creation.unique();
      await (where === null ? creation : creation.where(where as never)).execute();
    },
  };
}
