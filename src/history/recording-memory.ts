/**
 * Turns the JSON texts of events into rows, and remembers the keys of the names and label sets that it has seen.
 *
 * Most events repeat the texts of others, so most rows are made from a few look-ups. What is remembered is only certain while
 * nothing is deleted; see `generation` in `schema.ts`.
 */

import { hash } from "node:crypto";
import { BoundedCache } from "../core/model/bounded-cache.ts";
import { type Micros, timeReader } from "../core/model/time.ts";
import { decodeStoredEvent } from "../store/entry.ts";
import { cutEventText, type EventText, isUuidText, labelsOf, relatedOf, writtenText } from "./event-text.ts";
import {
  comparable,
  comparableLabels,
  folded,
  isPlainJson,
  searchedLabels,
  searchedPayload,
  separator,
} from "./text.ts";

/** Something that is stored once and referred to by its key; null while it is not known to be stored. */
export interface StoredOnce {
  key: number | null;
  readonly hash: Uint8Array;
}

export interface Name extends StoredOnce {
  readonly name: string;
  /** Whether the name is stored as it was sent. */
  readonly isExact: boolean;
  readonly searched: string;
}

export interface LabelSet extends StoredOnce {
  readonly body: string;
  readonly id: string;
  readonly title: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly searched: string;
}

export interface RelatedList extends StoredOnce {
  readonly body: string;
  /** Each once. */
  readonly members: readonly LabelSet[];
}

/** A row of the table `events`, with what it refers to. */
export interface EventRow {
  readonly id: Uint8Array;
  readonly idText: string;
  readonly occurred: Micros;
  readonly received: Micros;
  readonly name: Name;
  readonly resource: LabelSet;
  readonly related: RelatedList | null;
  readonly follows: Uint8Array | null;
  readonly odd: string | null;
  readonly searched: string | null;
  readonly payload: string;
}

/** So many workspaces are remembered: those recorded last. */
const rememberedWorkspacesMax = 8;

/** How many characters of texts are remembered, of names and of label sets. An entry takes a few times its length. */
const namesLengthMax = 500_000;
const labelSetsLengthMax = 6_000_000;

export class RecordingMemory {
  /** As the workspace's row says. */
  readonly generation: number;
  readonly #names = new BoundedCache<Name>(namesLengthMax);
  readonly #resources = new BoundedCache<LabelSet>(labelSetsLengthMax);
  readonly #related = new BoundedCache<RelatedList>(labelSetsLengthMax);
  readonly #timeOf = timeReader();

  constructor(generation: number) {
    this.generation = generation;
  }

  /**
   * The row of an event.
   *
   * @param text the event as the log holds it
   * @throws Error if it is not an event
   */
  rowOf(text: string, received: Micros): EventRow {
    const cut = cutEventText(text);
    if (cut !== null) {
      try {
        return this.#rowOf(cut, received);
      } catch {
        // It only looked as usual.
      }
    }
    return this.#rowOf(writtenText(decodeStoredEvent(text)), received);
  }

  #rowOf(text: EventText, received: Micros): EventRow {
    const { hasUuids, id, payload, related, follows } = text;
    const name = remembered(this.#names, text.name, nameOf);
    return {
      id: hasUuids || isUuidText(id) ? bytesOf(id) : hashOf(`id ${id}`, 32),
      idText: id,
      // An event whose time is not one counts as having occurred when it was received.
      occurred: this.#timeOf(text.occurred) ?? received,
      received,
      name,
      resource: remembered(this.#resources, text.resource, labelSetOf),
      related: related === "[]" ? null : remembered(this.#related, related, this.#relatedListOf),
      follows: follows !== null && (hasUuids || isUuidText(follows)) ? bytesOf(follows) : null,
      odd: hasUuids && name.isExact ? null : oddOf(text, name),
      searched: searchedPayload(payload),
      payload,
    };
  }

  readonly #relatedListOf = (body: string): RelatedList => {
    const members = relatedOf(body).map((labels) => remembered(this.#resources, labels, labelSetOf));
    return { key: null, hash: hashOf(body), body, members: [...new Set(members)] };
  };
}

/** What is remembered of each of the workspaces that were recorded last. */
export class RecordingMemories {
  readonly #byWorkspace = new Map<number, RecordingMemory>();

  /** The workspace's memory, empty if something was deleted since. */
  of(workspace: number, generation: number): RecordingMemory {
    const known = this.#byWorkspace.get(workspace);
    if (known?.generation === generation) return known;
    const memory = new RecordingMemory(generation);
    this.#byWorkspace.delete(workspace);
    for (const oldest of this.#byWorkspace.keys()) {
      if (this.#byWorkspace.size < rememberedWorkspacesMax) break;
      this.#byWorkspace.delete(oldest);
    }
    this.#byWorkspace.set(workspace, memory);
    return memory;
  }

  /** Forgets everything, because what was inserted last is gone again. */
  clear(): void {
    this.#byWorkspace.clear();
  }
}

/** @param make gets a copy, because a part of a text would keep all of it in memory */
function remembered<T>(cache: BoundedCache<T>, text: string, make: (text: string) => T): T {
  return cache.find(text) ?? cache.get(Buffer.from(text).toString(), make);
}

function nameOf(text: string): Name {
  const name = comparable(text);
  return { key: null, hash: hashOf(name), name, isExact: name === text, searched: folded(text) };
}

function labelSetOf(body: string): LabelSet {
  const wire = labelsOf(body);
  const sent = new Map(Object.entries(wire));
  const isPlain = isPlainJson(body);
  const labels = isPlain ? sent : comparableLabels(sent);
  const id = labels.get("prefect.resource.id") ?? "";
  const title = labels.get("prefect.resource.name") || labels.get("prefect.name") || id;
  const searched = isPlain ? plainlySearched(sent) : searchedLabels(wire);
  return { key: null, hash: hashOf(body), body, id, title, labels, searched };
}

/** As `searchedLabels`, faster. */
function plainlySearched(labels: ReadonlyMap<string, string>): string {
  return [...new Set(labels.values())].join(separator).toLowerCase();
}

/** What the other columns cannot hold. */
function oddOf({ id, name: event, follows }: EventText, { isExact }: Name): string {
  const odd = {
    ...(isExact ? {} : { event }),
    ...(isUuidText(id) ? {} : { id }),
    ...(follows === null || isUuidText(follows) ? {} : { follows }),
  };
  return JSON.stringify(odd);
}

/** The bytes of a UUID. */
export function bytesOf(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}

/** A cryptographic hash, because a collision would mix up resources. 128 bits are enough. */
function hashOf(text: string, length = 16): Uint8Array {
  return hash("sha256", text, "buffer").subarray(0, length);
}
