/**
 * Passes on what one thread has read of a log to the other threads of the process that follow it, so that Redis reads each
 * entry once, and not once for each of them.
 *
 * Nobody depends on it. A thread that finds here what follows its position takes it; otherwise it reads the log itself. So a
 * thread that is behind or ahead loses nothing, and of what nobody takes only a bounded part is kept.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { parseExactJson } from "../core/json/exact-json.ts";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { StoredEntry } from "./entry.ts";
import { indexOfFirst } from "./index-of-first.ts";
import { comparePositions } from "./position.ts";

/** One end of a way from a thread to another. It can be given to a thread; its port must be transferred. */
export interface PassingEnd {
  readonly port: MessagePort;
  /** How many characters are on their way or wait to be taken. */
  readonly pending: Int32Array<SharedArrayBuffer>;
}

/** Consecutive entries, as they are sent. */
interface SentStretch {
  readonly workspace: string;
  readonly after: LogPosition;
  /** Of the last entry. */
  readonly position: LogPosition;
  /** Of each entry. */
  readonly positions: readonly LogPosition[];
  /** Of each entry, because a list for each would take longer than its text. See `textOf`. */
  readonly texts: readonly string[];
  /** Of all texts together. */
  readonly length: number;
}

/** Consecutive entries that were passed on. */
export interface PassedStretch {
  readonly entries: readonly StoredEntry[];
  /** Whether nothing has been passed on that follows them. */
  readonly isLast: boolean;
}

/** What a reader passes on. */
export interface EntrySink {
  /** These entries follow a position. */
  pass(after: LogPosition, entries: readonly StoredEntry[]): void;
  /** What was read last may not be in the log any more. */
  forget(): void;
}

/** Where a reader finds what another one has read. */
export interface EntrySource {
  /** Takes the entries that follow a position, at most so many; null if they are not here. */
  take(after: LogPosition, countMax: number): PassedStretch | null;
  /** What was passed on so far may not be in the log any more. */
  forget(): void;
}

/** Nothing is sent to a thread that has more characters to take. */
const pendingMax = 8_000_000;

/** How many characters are kept of the logs that a thread does not follow at the moment. */
const keptMax = 4_000_000;

/** A message costs as much as the text of many entries. While there are few entries, each thread reads them itself. */
const entriesPerMessage = 100;

/** A way from one thread to another. */
export function passingWay(): { readonly from: PassingEnd; readonly to: PassingEnd } {
  const { port1, port2 } = new MessageChannel();
  const pending = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  return { from: { port: port1, pending }, to: { port: port2, pending } };
}

/** The reading thread's side: what it reads of a workspace's log goes to all other threads. */
export class PassOn implements EntrySink {
  readonly #ends: readonly PassingEnd[];
  readonly #workspace: string;
  /** Read and not sent yet. */
  #after: LogPosition | null = null;
  #position: LogPosition | null = null;
  #positions: LogPosition[] = [];
  #texts: string[] = [];

  constructor(ends: readonly PassingEnd[], workspace: string) {
    this.#ends = ends;
    this.#workspace = workspace;
  }

  pass(after: LogPosition, entries: readonly StoredEntry[]): void {
    const last = entries.at(-1)?.[0];
    if (last === undefined) return;
    const isNext = this.#position !== null && comparePositions(after, this.#position) <= 0;
    if (!isNext) this.#start(after);
    const from = this.#position ?? after;
    for (const entry of entries) {
      // Two reads under way may overlap.
      if (after !== from && comparePositions(entry[0], from) <= 0) continue;
      this.#positions.push(entry[0]);
      this.#texts.push(textOf(entry));
    }
    if (comparePositions(last, from) > 0) this.#position = last;
    if (this.#texts.length >= entriesPerMessage) this.#send();
  }

  forget(): void {
    this.#start(null);
  }

  #start(after: LogPosition | null): void {
    this.#after = after;
    this.#position = after;
    this.#positions = [];
    this.#texts = [];
  }

  #send(): void {
    const [after, position, positions, texts] = [this.#after, this.#position, this.#positions, this.#texts];
    if (after === null || position === null) return;
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    const stretch: SentStretch = {
      ...{ workspace: this.#workspace, after, position },
      ...{ positions, texts, length },
    };
    for (const { port, pending } of this.#ends) {
      if (Atomics.load(pending, 0) > pendingMax) continue;
      Atomics.add(pending, 0, length);
      port.postMessage(stretch);
    }
    this.#start(position);
  }
}

/** The other threads' side, for all workspaces. */
export class PassedEntries {
  readonly #end: PassingEnd;
  readonly #logs = new Map<string, PassedLog>();

  constructor(end: PassingEnd) {
    this.#end = end;
  }

  /** What is passed on of a workspace's log. There must be one reader of it at most. */
  inWorkspace(workspace: string): EntrySource {
    const log: PassedLog = new PassedLog(
      () => this.#receive(log),
      (length) => this.#release(length),
    );
    this.#logs.set(workspace, log);
    return log;
  }

  /** Asks the port, because its events wait for the end of the turn, which may be long here. */
  #receive(asking: PassedLog): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#end.port) as { message: SentStretch } | undefined;
      if (received === undefined) break;
      const log = this.#logs.get(received.message.workspace);
      if (log === undefined) this.#release(received.message.length);
      else log.add(received.message);
    }
    const others = [...this.#logs.values()].filter((log) => log !== asking);
    if (others.reduce((sum, { length }) => sum + length, 0) > keptMax) for (const log of others) log.clear();
  }

  #release(length: number): void {
    Atomics.sub(this.#end.pending, 0, length);
  }
}

class PassedLog implements EntrySource {
  readonly #receive: () => void;
  readonly #release: (length: number) => void;
  /** Each begins where the one before ends. */
  readonly #stretches: SentStretch[] = [];
  /** How many characters are kept. */
  length = 0;

  constructor(receive: () => void, release: (length: number) => void) {
    this.#receive = receive;
    this.#release = release;
  }

  add(stretch: SentStretch): void {
    const last = this.#stretches.at(-1);
    if (last !== undefined && last.position !== stretch.after) this.clear();
    this.#stretches.push(stretch);
    this.length += stretch.length;
  }

  take(after: LogPosition, countMax: number): PassedStretch | null {
    this.#receive();
    while (this.#stretches[0] !== undefined && comparePositions(this.#stretches[0].position, after) <= 0) {
      this.#drop();
    }
    const entries: StoredEntry[] = [];
    for (let stretch = this.#stretches[0]; stretch !== undefined; stretch = this.#stretches[0]) {
      if (comparePositions(stretch.after, after) > 0) break;
      const from = entries.length === 0 ? indexAfter(stretch, after) : 0;
      const wanted = countMax - entries.length;
      if (wanted <= 0) return { entries, isLast: false };
      const end = Math.min(stretch.texts.length, from + wanted);
      for (let at = from; at < end; at++) entries.push(entryAt(stretch, at));
      // The rest is found again by its position.
      if (end < stretch.texts.length) return { entries, isLast: false };
      after = stretch.position;
      this.#drop();
    }
    return entries.length === 0 ? null : { entries, isLast: this.#stretches.length === 0 };
  }

  forget(): void {
    this.#receive();
    this.clear();
  }

  #drop(): void {
    const length = this.#stretches.shift()?.length ?? 0;
    this.length -= length;
    this.#release(length);
  }

  clear(): void {
    while (this.#stretches.length > 0) this.#drop();
  }
}

const usualFields = ["kind", "event", "body"];

/**
 * An entry as a text: the body of an event that has nothing else. Any other entry has its fields as a JSON list, which no body
 * begins like.
 */
function textOf([, fields]: StoredEntry): string {
  const isUsual = fields.length === 4 && usualFields.every((field, index) => fields[index] === field);
  const body = fields[3] ?? "";
  return isUsual && !body.startsWith("[") ? body : JSON.stringify(fields);
}

function entryAt({ positions, texts }: SentStretch, at: number): StoredEntry {
  const [position = "", text = ""] = [positions[at], texts[at]];
  return [position, text.startsWith("[") ? (parseExactJson(text) as string[]) : [...usualFields, text]];
}

/** Where the first entry after a position is. */
function indexAfter({ positions }: SentStretch, after: LogPosition): number {
  return indexOfFirst(positions, (position) => comparePositions(position, after) > 0);
}
