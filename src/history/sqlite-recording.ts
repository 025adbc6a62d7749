/** Records into an SQLite file, on the thread that owns the connection: one prepared statement for each event. */

import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import {
  plainEvent,
  type RecordedStretch,
  type RecordOutcome,
  readRow,
  sizeOf,
  type UnreadableEvent,
} from "./recording.ts";
import {
  type EventRow,
  type LabelSet,
  type Name,
  RecordingMemories,
  RecordingMemory,
  type RelatedList,
} from "./recording-memory.ts";

interface OldEvent {
  readonly key: number;
  readonly received: number;
  readonly text_length: number;
  readonly body: string;
}

export class SqliteRecording {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #memories = new RecordingMemories();
  /** Whether a workspace has old events. There are never more of them. */
  readonly #oldEvents = new Map<number, boolean>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** As `Recording.record`. */
  record(workspace: number, { after, position, events }: RecordedStretch): RecordOutcome | null {
    return this.#inTransaction(() => {
      const row = this.#get(
        "update workspaces set position = ? where key = ? and position = ? returning generation",
        position,
        workspace,
        after,
      );
      if (row === undefined) return null;
      const memory = this.#memories.of(workspace, Number(row["generation"]));
      const unreadable: UnreadableEvent[] = [];
      let newCount = 0;
      let length = 0;
      for (const event of events) {
        const eventRow = readRow(memory, event, unreadable);
        if (eventRow === null || !this.#insertEvent(workspace, eventRow, null)) continue;
        newCount += 1;
        length += sizeOf(eventRow);
      }
      if (newCount > 0) this.#addToTotals(workspace, newCount, length);
      return { newCount, unreadable };
    });
  }

  /** As `Recording.tryPlainEvent`. */
  tryPlainEvent(workspace: number): void {
    const takenBack = new Error("taken back");
    try {
      this.#inTransaction(() => {
        const row = new RecordingMemory(0).rowOf(plainEvent.text, plainEvent.received);
        this.#run("delete from events where workspace = ? and id = ?", workspace, row.id);
        this.#insertEvent(workspace, row, null);
        throw takenBack;
      });
    } catch (error) {
      if (error !== takenBack) throw error;
    }
  }

  /** As `Recording.upgrade`. */
  upgrade(workspace: number, countMax: number): number {
    if (!this.hasOldEvents(workspace)) return 0;
    return this.#inTransaction(() => {
      const generation = this.#get("select generation from workspaces where key = ?", workspace)?.[
        "generation"
      ];
      if (generation === undefined) return 0;
      const memory = this.#memories.of(workspace, Number(generation));
      const sql =
        "select key, received, text_length, body from old_events where +workspace = ? order by key desc limit ?";
      const old = this.#prepared(sql).all(workspace, countMax) as unknown as OldEvent[];
      let added = 0;
      for (const { key, received, text_length, body } of old) {
        const row = readRow(memory, { position: "", received: Number(received), text: body }, []);
        const isNew = row !== null && this.#insertEvent(workspace, row, Number(key));
        this.#run("delete from old_events where key = ?", key);
        added -= Number(text_length);
        if (isNew) added += sizeOf(row);
        else this.#addToTotals(workspace, -1, 0);
      }
      if (old.length > 0) this.#addToTotals(workspace, 0, added);
      else this.#oldEvents.set(workspace, false);
      return old.length;
    });
  }

  /** As `Recording.hasOldEvents`. */
  hasOldEvents(workspace: number): boolean {
    let known = this.#oldEvents.get(workspace);
    if (known === undefined) {
      const isTable = "select 1 from sqlite_schema where type = 'table' and name = 'old_events'";
      known =
        this.#get(isTable) !== undefined &&
        this.#get("select 1 from old_events where workspace = ? limit 1", workspace) !== undefined;
      this.#oldEvents.set(workspace, known);
    }
    return known;
  }

  #inTransaction<T>(work: () => T): T {
    this.#database.exec("begin immediate");
    try {
      const result = work();
      this.#database.exec("commit");
      return result;
    } catch (error) {
      this.#memories.clear();
      // After an error such as a full disk, SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("rollback");
      throw error;
    }
  }

  /** @returns false if the workspace has an event with its id */
  #insertEvent(workspace: number, row: EventRow, key: number | null): boolean {
    const { name, resource, related } = row;
    const isKnown = name.key !== null && resource.key !== null && related?.key !== null;
    // Otherwise a repeated event could leave labels behind that no event refers to.
    if (!isKnown && this.#has(workspace, row.id)) return false;
    if (key === null && this.hasOldEvents(workspace) && this.#hasOld(workspace, row.idText)) return false;
    const { changes } = this.#prepared(insertEvent).run(
      key,
      workspace,
      row.id,
      row.occurred,
      row.received,
      name.key ?? this.#keyOfName(workspace, name),
      resource.key ?? this.#keyOfResource(workspace, resource),
      related === null ? null : (related.key ?? this.#keyOfRelated(workspace, related)),
      row.follows,
      row.odd,
      row.searched,
      row.payload,
    );
    return Number(changes) === 1;
  }

  #has(workspace: number, id: Uint8Array): boolean {
    return this.#get("select 1 from events where workspace = ? and id = ?", workspace, id) !== undefined;
  }

  #hasOld(workspace: number, id: string): boolean {
    return this.#get("select 1 from old_events where workspace = ? and id = ?", workspace, id) !== undefined;
  }

  #keyOfName(workspace: number, name: Name): number {
    return this.#keyOf("names", workspace, name, () =>
      this.#run(
        "insert into names (workspace, hash, name, searched) values (?, ?, ?, ?)",
        workspace,
        name.hash,
        name.name,
        name.searched,
      ),
    );
  }

  #keyOfResource(workspace: number, resource: LabelSet): number {
    const { hash, id, title, body, searched, labels } = resource;
    return this.#keyOf("resources", workspace, resource, () => {
      const sql =
        "insert into resources (workspace, hash, id, title, body, searched) values (?, ?, ?, ?, ?, ?)";
      const key = this.#run(sql, workspace, hash, id, title, body, searched);
      for (const [label, value] of labels)
        this.#run(
          "insert into labels (resource, workspace, label, value) values (?, ?, ?, ?)",
          key,
          workspace,
          label,
          value,
        );
      return key;
    });
  }

  #keyOfRelated(workspace: number, related: RelatedList): number {
    const { hash, body, members } = related;
    return this.#keyOf("related_lists", workspace, related, () => {
      const sql = "insert into related_lists (workspace, hash, body) values (?, ?, ?)";
      const key = this.#run(sql, workspace, hash, body);
      for (const member of members) {
        const resource = member.key ?? this.#keyOfResource(workspace, member);
        this.#run("insert into related_members (list, resource) values (?, ?)", key, resource);
      }
      return key;
    });
  }

  /** The key of something that is stored once. @param insert stores it, and returns its key */
  #keyOf(
    table: string,
    workspace: number,
    keyed: Name | LabelSet | RelatedList,
    insert: () => number,
  ): number {
    const sql = `select key from ${table} where workspace = ? and hash = ?`;
    const known = this.#get(sql, workspace, keyed.hash)?.["key"];
    keyed.key = known === undefined ? insert() : Number(known);
    return keyed.key;
  }

  #addToTotals(workspace: number, count: number, length: number): void {
    const sql =
      "update workspaces set event_count = event_count + ?, text_length = text_length + ? where key = ?";
    this.#run(sql, count, length, workspace);
  }

  /** @returns the key of the row that was inserted last */
  #run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...parameters).lastInsertRowid);
  }

  #get(sql: string, ...parameters: SQLInputValue[]): Record<string, SQLOutputValue> | undefined {
    return this.#prepared(sql).get(...parameters);
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

const insertEvent =
  "insert into events (key, workspace, id, occurred, received, name, resource, related, follows, odd, searched, payload) " +
  "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (workspace, id) do nothing";
