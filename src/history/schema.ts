/**
 * The tables of the history, the same in SQLite and PostgreSQL.
 *
 * Most events repeat the names and resources of others. So each distinct name, each distinct set of labels and each distinct
 * list of related resources is stored once, and events refer to it by number. What is left of an event are a few numbers
 * and its payload, as the log holds it. A filter on names or labels then uses small tables, and narrow indexes are enough to
 * count and sort the events.
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
    /** The total length of the payloads of its events, in bytes. */
    text_length: Generated<number>;
    /** Changes at random when names or label sets are deleted: then no key that a recorder remembers is certain anymore. */
    generation: Generated<number>;
  };
  /** `hash` is that of the name as it is compared. */
  names: {
    key: Generated<number>;
    workspace: number;
    hash: Uint8Array;
    name: string;
    /** The name as text queries search it. */
    searched: string;
  };
  /** A set of labels that the primary or a related resource of some event had. `hash` is that of `body`. */
  resources: {
    key: Generated<number>;
    workspace: number;
    hash: Uint8Array;
    id: string;
    /** The display name: `prefect.resource.name`, otherwise `prefect.name`, otherwise the id. */
    title: string;
    /** The labels as JSON. */
    body: string;
    /** The values of the labels as text queries search them. */
    searched: string;
  };
  labels: { resource: number; workspace: number; label: string; value: string };
  /** The related resources of an event, as JSON. `hash` is that of `body`. */
  related_lists: { key: Generated<number>; workspace: number; hash: Uint8Array; body: string };
  /** Which resources are in a list of related resources. */
  related_members: { list: number; resource: number };
  events: {
    /** Increases in the order of recording, which is the order of the log. */
    key: Generated<number>;
    workspace: number;
    /** The bytes of the UUID. Another text, which only other programs write, is hashed to 32 bytes. */
    id: Uint8Array;
    /** The sender's time, even if it is in the future; in microseconds since the epoch, like `received`. */
    occurred: number;
    received: number;
    name: number;
    resource: number;
    /** The key of its list of related resources; null if it has none. */
    related: number | null;
    /** The bytes of a UUID. */
    follows: Uint8Array | null;
    /** Fields that other columns cannot hold exactly, as a JSON object; nearly always null. */
    odd: string | null;
    /** The payload as text queries search it; null if that is the payload in lower case. */
    searched: string | null;
    /** The payload as JSON, as the log holds it. */
    payload: string;
  };
  /** The events of version 0.1 that were not brought into the form above yet; see `Recording.upgrade`. */
  old_events: {
    key: number;
    workspace: number;
    id: string;
    occurred: number;
    received: number;
    text_length: number;
    body: string;
  };
}

export type DialectName = "sqlite" | "postgres";

/** The PostgreSQL schema of the tables, which keeps them apart in a shared database. */
export const postgresSchema = "tripline";
