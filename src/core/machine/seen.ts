/**
 * Remembers the ids of events, so that an event that is sent twice counts once.
 *
 * A million ids are remembered. So they stand in pages of numbers, found through tables of numbers, and a page that is full
 * becomes part of the state: after a restart, only what follows the last one is read from the log.
 */

import { assert } from "../model/assert.ts";
import { packedLength, packId, readUuidWords, unpackId, uuidOfWords } from "../model/packed-id.ts";
import type { Micros } from "../model/time.ts";
import type { LogPosition } from "./log-entry.ts";

/** A page has so many sightings. */
export const pageLength = 1_024;

class Page {
  readonly words = new Uint32Array(4 * pageLength);
  readonly times = new Float64Array(pageLength);
  /** The ids that are not UUIDs, by their place. Their words are a hash. */
  others: Map<number, string> | null = null;
  count = 0;
}

/** Numbers of sightings by the hash of their id: open addressing, 0 for an empty place. */
class Table {
  places = new Uint32Array(16);
  count = 0;
}

/** More than one, so that growing never takes long. */
const tableCount = 64;
/** What a table holds of a sighting is its number modulo this, plus 1. Far more than there are at a time. */
const codeCount = 0xffff_fffe;

/** A page as the state has it. */
type StoredPage = readonly [
  /** Packed UUIDs, with nothing between them; spaces in the place of another id. */
  ids: string,
  /** In turn: by how much the time is later than the one before, and how many sightings have it. */
  times: readonly number[],
  /** The ids that are not UUIDs. */
  others: readonly string[],
];

/** Which full pages the state has, and the position of the last event in them. */
export interface StoredPages {
  readonly first: number;
  readonly end: number;
  readonly position: LogPosition;
}

export interface SeenOptions {
  /** For how long an id is known after its latest sighting. */
  readonly span: Micros;
  /** The maximum number of ids. */
  readonly countMax: number;
  /** Any number. Ids come from outside: without knowing it, nobody can choose ids that are slow to find. */
  readonly seed?: number;
  /** Called when a page is full, with a function that encodes it; and with null when it is no longer needed. */
  readonly onPage?: (page: number, encode: (() => string) | null) => void;
}

/**
 * The ids seen within a span of log time, up to a maximum number.
 *
 * An id is known while its latest sighting lies within the span, so reading the log over that span rebuilds exactly the
 * same set.
 */
export class SeenIds {
  readonly #span: Micros;
  readonly #countMax: number;
  readonly #seed: number;
  readonly #onPage: (page: number, encode: (() => string) | null) => void;
  /** From the oldest that is needed; only the last may have room. */
  readonly #pages: Page[] = [];
  #firstPage = 0;
  /** How many sightings of the first page are forgotten. */
  #forgottenCount = 0;
  #storedPages: StoredPages | null = null;
  readonly #tables = Array.from({ length: tableCount }, (): Table | null => null);
  #count = 0;
  /** The id that is being looked for. */
  readonly #words = new Uint32Array(4);
  #other: string | null = null;
  /** As a text; null if it was not read from one. */
  #id: string | null = null;

  constructor({ span, countMax, seed = 0, onPage = () => {} }: SeenOptions) {
    this.#span = span;
    this.#countMax = countMax;
    this.#seed = seed;
    this.#onPage = onPage;
  }

  /** Which pages the state has; null if it has none. */
  get storedPages(): StoredPages | null {
    return this.#storedPages;
  }

  /** Records a sighting. Its time must not be earlier than that of any other. */
  see(id: string, at: Micros, position: LogPosition): void {
    const page = this.#add(id, at);
    this.#forget(at);
    if (page.count < pageLength) return;
    const number = this.#firstPage + this.#pages.length - 1;
    if (this.#pages.at(-1) !== page) return; // it is forgotten already
    this.#onPage(number, () => encodePage(page));
    this.#storedPages = { first: this.#firstPage, end: number + 1, position };
  }

  knows(id: string, at: Micros): boolean {
    this.#read(id);
    const hash = this.#hash();
    const table = this.#tables[hash % tableCount] ?? null;
    const code = table === null ? 0 : (table.places[this.#placeIn(table, hash)] ?? 0);
    if (code === 0) return false;
    const { page, offset } = this.#sightingOf(code);
    return at - (page.times[offset] ?? 0) <= this.#span;
  }

  /** Restores what the state has, page by page. Call it before anything is seen. */
  *restore(stored: StoredPages, pages: ReadonlyMap<number, string>, now: Micros): Generator<void, void> {
    this.#firstPage = stored.first;
    this.#storedPages = stored;
    for (let number = stored.first; number < stored.end; number++) {
      const text = pages.get(number);
      assert(text !== undefined, `the state holds page ${number} of the ids of recent events`);
      for (const [id, at] of decodePage(text)) this.#add(id, at);
      yield;
    }
    this.#forget(now);
  }

  #add(id: string, at: Micros): Page {
    this.#read(id);
    let page = this.#pages.at(-1);
    if (page === undefined || page.count === pageLength) {
      page = new Page();
      this.#pages.push(page);
    }
    const offset = page.count++;
    page.words.set(this.#words, 4 * offset);
    page.times[offset] = at;
    if (this.#other !== null) {
      page.others ??= new Map();
      page.others.set(offset, this.#other);
    }
    const hash = this.#hash();
    const table = this.#tableOf(hash);
    const place = this.#placeIn(table, hash);
    const isNew = table.places[place] === 0;
    const number = (this.#firstPage + this.#pages.length - 1) * pageLength + offset;
    table.places[place] = (number % codeCount) + 1;
    if (isNew) {
      this.#count++;
      table.count++;
      if (table.count * 4 > table.places.length * 3) this.#grow(table);
    }
    return page;
  }

  #forget(at: Micros): void {
    for (;;) {
      const [page] = this.#pages;
      const offset = this.#forgottenCount;
      if (page === undefined || offset >= page.count) return;
      if (at - (page.times[offset] ?? 0) <= this.#span && this.#count <= this.#countMax) return;
      this.#readFrom(page, offset);
      const hash = this.#hash();
      const table = this.#tableOf(hash);
      const place = this.#placeIn(table, hash);
      const number = this.#firstPage * pageLength + offset;
      const isLatest = table.places[place] === (number % codeCount) + 1;
      if (isLatest) {
        this.#remove(table, place);
        this.#count--;
      }
      this.#forgottenCount++;
      if (this.#forgottenCount === pageLength) this.#dropFirstPage();
    }
  }

  #dropFirstPage(): void {
    this.#pages.shift();
    this.#onPage(this.#firstPage, null);
    this.#firstPage++;
    this.#forgottenCount = 0;
    if (this.#storedPages !== null) this.#storedPages = { ...this.#storedPages, first: this.#firstPage };
  }

  #read(id: string): void {
    if (id === this.#id) return; // what is seen was looked for before
    this.#id = id;
    this.#other = readUuidWords(id, this.#words, 0) ? null : id;
    if (this.#other === null) return;
    this.#words.fill(0);
    for (let index = 0; index < id.length; index++) {
      const word = index & 3;
      this.#words[word] = Math.imul((this.#words[word] ?? 0) ^ id.charCodeAt(index) ^ this.#seed, 0x9e3779b1);
    }
  }

  #readFrom(page: Page, offset: number): void {
    this.#id = null;
    for (let word = 0; word < 4; word++) this.#words[word] = page.words[4 * offset + word] ?? 0;
    this.#other = page.others?.get(offset) ?? null;
  }

  /** A hash of the id that is being looked for. */
  #hash(): number {
    let hash = this.#seed | 0;
    for (let word = 0; word < 4; word++) {
      hash = Math.imul(hash ^ (this.#words[word] ?? 0), 0x85ebca6b);
      hash = (hash << 13) | (hash >>> 19);
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  #tableOf(hash: number): Table {
    const index = hash % tableCount;
    const known = this.#tables[index] ?? null;
    if (known !== null) return known;
    const table = new Table();
    this.#tables[index] = table;
    return table;
  }

  /** Where a table has the id that is being looked for, or would have it. */
  #placeIn({ places }: Table, hash: number): number {
    const mask = places.length - 1;
    let place = Math.floor(hash / tableCount) & mask;
    for (let code = places[place] ?? 0; code !== 0 && !this.#isAt(code); code = places[place] ?? 0) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #sightingOf(code: number): { page: Page; offset: number } {
    const start = (this.#firstPage * pageLength) % codeCount;
    const distance = (code - 1 - start + codeCount) % codeCount;
    const page = this.#pages[Math.floor(distance / pageLength)];
    assert(page !== undefined, "a table refers to sightings that are remembered");
    return { page, offset: distance % pageLength };
  }

  /** Whether a sighting is of the id that is being looked for. */
  #isAt(code: number): boolean {
    const { page, offset } = this.#sightingOf(code);
    for (let word = 0; word < 4; word++) {
      if (page.words[4 * offset + word] !== this.#words[word]) return false;
    }
    return (page.others?.get(offset) ?? null) === this.#other;
  }

  /** Empties a place, and closes the gap that it leaves in its row. */
  #remove(table: Table, removed: number): void {
    const { places } = table;
    const mask = places.length - 1;
    table.count--;
    let gap = removed;
    for (let place = (gap + 1) & mask; places[place] !== 0; place = (place + 1) & mask) {
      const home = this.#homeOf(places[place] ?? 0, mask);
      // It may move into the gap unless its home lies after the gap.
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      places[gap] = places[place] ?? 0;
      gap = place;
    }
    places[gap] = 0;
  }

  #homeOf(code: number, mask: number): number {
    const { page, offset } = this.#sightingOf(code);
    this.#readFrom(page, offset);
    return Math.floor(this.#hash() / tableCount) & mask;
  }

  #grow(table: Table): void {
    const { places } = table;
    table.places = new Uint32Array(places.length * 2);
    const mask = table.places.length - 1;
    for (const code of places) {
      if (code === 0) continue;
      let place = this.#homeOf(code, mask);
      while (table.places[place] !== 0) place = (place + 1) & mask;
      table.places[place] = code;
    }
  }
}

function encodePage({ words, times, others, count }: Page): string {
  const ids: string[] = [];
  const runs: number[] = [];
  let time = 0;
  for (let offset = 0; offset < count; offset++) {
    ids.push(others?.has(offset) ? " ".repeat(packedLength) : packId(uuidOfWords(words, 4 * offset)));
    const at = times[offset] ?? 0;
    if (offset > 0 && at === time) runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
    else runs.push(at - time, 1);
    time = at;
  }
  const stored: StoredPage = [ids.join(""), runs, [...(others?.values() ?? [])]];
  return JSON.stringify(stored);
}

/** The ids of a page, each with the time of its sighting. */
function* decodePage(text: string): Iterable<[id: string, at: Micros]> {
  const [ids, runs, others] = JSON.parse(text) as StoredPage;
  let offset = 0;
  let otherCount = 0;
  let time = 0;
  for (let run = 0; run < runs.length; run += 2) {
    time += runs[run] ?? 0;
    for (const end = offset + (runs[run + 1] ?? 0); offset < end; offset++) {
      const packed = ids.slice(packedLength * offset, packedLength * (offset + 1));
      yield [packed.startsWith(" ") ? (others[otherCount++] ?? "") : unpackId(packed), time];
    }
  }
}
