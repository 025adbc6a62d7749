/** Looks at a history from outside, without creating or changing anything in it. */

import { stat, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { sqlitePath } from "./connections.ts";
import { postgresSchema } from "./schema.ts";

export interface InspectedHistory {
  /** Up to where the log of the workspace is recorded; null if nothing of it is. */
  readonly position: string | null;
  readonly eventCount: number;
  /** How much room all of it takes. */
  readonly bytes: number;
  /** How much room is left beside it; null for PostgreSQL, which does not say. */
  readonly freeBytes: number | null;
}

const query = "select position, event_count from %workspaces where name = ";

/** @param url as the settings have it @throws Error of the database or the file system */
export async function inspectHistory(url: string, workspace: string): Promise<InspectedHistory> {
  const path = sqlitePath(url);
  return path === null ? inspectPostgres(url, workspace) : inspectSqlite(resolve(path), workspace);
}

async function inspectSqlite(path: string, workspace: string): Promise<InspectedHistory> {
  const { size } = await stat(path);
  const log = await stat(`${path}-wal`).catch(() => ({ size: 0 }));
  const { bavail, bsize } = await statfs(dirname(path));
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database.prepare(`${query.replace("%", "")}?`).get(workspace);
    return { ...readRow(row), bytes: size + log.size, freeBytes: bavail * bsize };
  } finally {
    database.close();
  }
}

async function inspectPostgres(url: string, workspace: string): Promise<InspectedHistory> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
    application_name: "tripline doctor",
  });
  client.on("error", () => {}); // a query reports it
  await client.connect();
  try {
    await client.query("set default_transaction_read_only = on");
    const { rows } = await client.query(`${query.replace("%", `${postgresSchema}.`)}$1`, [workspace]);
    const sizes = await client.query(
      "select coalesce(sum(pg_total_relation_size(c.oid)), 0) as bytes from pg_class c " +
        "join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'",
      [postgresSchema],
    );
    return { ...readRow(rows[0]), bytes: Number(sizes.rows[0]?.bytes), freeBytes: null };
  } finally {
    await client.end();
  }
}

function readRow(row: unknown): Pick<InspectedHistory, "position" | "eventCount"> {
  const { position = null, event_count: count = 0 } = (row ?? {}) as {
    position?: string;
    event_count?: number;
  };
  return { position, eventCount: Number(count) };
}
