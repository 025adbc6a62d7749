/** Puts stored events together again, as the API returns them. */

import { type SqlBool, sql } from "kysely";
import { parseExactJson } from "../core/json/exact-json.ts";
import type { ReceivedEvent } from "../core/model/event.ts";
import { formatTime, type Micros } from "../core/model/time.ts";
import type { HistoryDatabase } from "./history-database.ts";

interface EventColumns {
  readonly key: number;
  readonly id: Uint8Array;
  readonly occurred: Micros;
  readonly received: Micros;
  readonly name: string;
  readonly resource: string;
  readonly related: string | null;
  readonly follows: Uint8Array | null;
  readonly odd: string | null;
  readonly payload: string;
}

/**
 * The events with these keys, in this order; one that has been pruned in the meantime is missing.
 *
 * @param withPayloads false: their payloads, which may be large, are left empty
 */
export async function eventsWithKeys(
  { db, workspace }: HistoryDatabase,
  keys: readonly number[],
  withPayloads = true,
): Promise<ReceivedEvent[]> {
  if (keys.length === 0) return [];
  const rows: readonly EventColumns[] = await db
    .selectFrom("events as e")
    .innerJoin("names as n", "n.key", "e.name")
    .innerJoin("resources as r", "r.key", "e.resource")
    .leftJoin("related_lists as l", "l.key", "e.related")
    .select(["e.key", "e.id", "e.occurred", "e.received", "e.follows", "e.odd"])
    .select(withPayloads ? "e.payload" : sql<string>`'{}'`.as("payload"))
    .select(["n.name", "r.body as resource", "l.body as related"])
    .where(sql<SqlBool>`+e.workspace = ${workspace}`) // hidden from the indexes: the keys find them
    .where("e.key", "in", keys)
    .execute();
  const found = new Map(rows.map((row) => [row.key, row]));
  return keys.flatMap((key) => {
    const row = found.get(key);
    return row === undefined ? [] : [eventOfRow(row)];
  });
}

function eventOfRow(row: EventColumns): ReceivedEvent {
  const odd = row.odd === null ? {} : (JSON.parse(row.odd) as Partial<ReceivedEvent>);
  return {
    occurred: formatTime(row.occurred),
    event: odd.event ?? row.name,
    resource: JSON.parse(row.resource),
    related: row.related === null ? [] : JSON.parse(row.related),
    payload: parseExactJson(row.payload) as ReceivedEvent["payload"],
    id: odd.id ?? uuidOf(row.id),
    follows: odd.follows ?? (row.follows === null ? null : uuidOf(row.follows)),
    received: formatTime(row.received),
  };
}

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
