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

import type { Generated } from "kysely";

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
