/**
 * The tables of the history, the same in SQLite and PostgreSQL.
 *
 * Most events repeat the names and resources of others. So each distinct name and each distinct set of labels is stored
 * once, and events refer to it by number. A filter on names or labels then uses small tables, and narrow indexes are enough
 * to count and sort the events.
 *
 * Every row belongs to a workspace, and every query names one. Indexes on texts hold the first hundred characters, because
 * PostgreSQL cannot index long texts and senders may write labels of any length.
 */

import type { Generated } from "kysely";

export interface Tables {
  workspaces: {
    key: Generated<number>;
    name: string;
    /** The recorder's cursor: the position up to which the log is recorded. */
    position: Generated<string>;
    event_count: Generated<number>;
    /** The total length of the bodies and searched texts of its events. */
    text_length: Generated<number>;
  };
  names: { key: Generated<number>; workspace: number; hash: string; name: string };
  /** A set of labels that the primary or a related resource of some event had. */
  resources: {
    key: Generated<number>;
    workspace: number;
    hash: string;
    id: string;
    /** The display name: `prefect.resource.name`, otherwise `prefect.name`, otherwise the id. */
    title: string;
  };
  labels: { resource: number; workspace: number; label: string; value: string };
  events: {
    /** Increases in the order of recording, which is the order of the log. */
    key: Generated<number>;
    workspace: number;
    id: string;
    /** The sender's time, even if it is in the future; in microseconds since the epoch, like `received`. */
    occurred: number;
    received: number;
    name: number;
    resource: number;
    text_length: number;
    /** The event as JSON, as the API returns it. */
    body: string;
    /** The text that text queries search. */
    searched: string;
  };
  related: { event: number; occurred: number; resource: number };
}

export type DialectName = "sqlite" | "postgres";

/** The PostgreSQL schema of the tables, which keeps them apart in a shared database. */
export const postgresSchema = "tripline";
