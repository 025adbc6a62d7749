/** The firings that a composite remembers for a key, as the state holds them. */

import { packId, unpackId } from "../model/packed-id.ts";
import type { Micros } from "../model/time.ts";
import { type Arrival, type StoredReference, type StoredState, writeState } from "./arrival.ts";
import type { FiringWindow } from "./firing.ts";
import type { Fired } from "./node.ts";
import type { Remembered } from "./remembered.ts";

export interface RememberedFirings {
  firings: Remembered;
}

/** 0 stands for what is usual. Such values at the end are left out. */
type StoredFired = [
  id: string,
  path: string,
  happened: Micros,
  /** How much later than it happened it became known. */
  delay: Micros,
  order: number,
  arrival: StoredReference,
  /** 0 if they are those of the firing before. */
  labels: Readonly<Record<string, string>> | 0,
  window?: readonly [start: Micros, end: Micros | null, count: number, threshold: number] | 0,
  /** The parts of a composite's firing. */
  firings?: readonly StoredFired[] | 0,
  isLate?: 0 | 1,
  isResolution?: 0 | 1,
];

/** As versions 1 and 2 stored it. */
type LongStoredFired = Omit<Fired, "arrival" | "firings"> & {
  readonly arrival: string | null;
  readonly firings: readonly LongStoredFired[];
};

export function storedFirings({ firings }: RememberedFirings): string {
  return writeState((refer) => {
    let labelsBefore: Fired["labels"] = {};
    const store = (fired: Fired): StoredFired => {
      const { id, path, happened, triggered, order, arrival, labels, window, late, state } = fired;
      const areSame = areEqual(labels, labelsBefore);
      labelsBefore = labels;
      const stored: StoredFired = [
        packId(id),
        path,
        happened,
        triggered - happened,
        order,
        refer(arrival),
        areSame ? 0 : labels,
        window === null ? 0 : [window.start, window.end, window.count, window.threshold],
        fired.firings.length === 0 ? 0 : fired.firings.map(store),
        late ? 1 : 0,
        state === "Resolved" ? 1 : 0,
      ];
      while (stored.at(-1) === 0) stored.pop();
      return stored;
    };
    return firings.map((list) => list.map(store));
  });
}

/** Reads the firings as any version has stored them. Version 1 remembered one firing per child. */
export function restoredFirings(state: StoredState): RememberedFirings {
  const header = state.header as
    | StoredFired[][]
    | { firings: (LongStoredFired[] | LongStoredFired | null)[] };
  if (!Array.isArray(header)) {
    const restore = (stored: LongStoredFired): Fired => ({
      ...stored,
      arrival: state.arrivalOrNull(stored.arrival),
      firings: stored.firings.map(restore),
    });
    return { firings: header.firings.map((stored) => [stored ?? []].flat().map(restore)) };
  }
  let labelsBefore: Fired["labels"] = {};
  const restore = (stored: StoredFired): Fired => {
    const [id, path, happened, delay, order, reference, labels, window, parts, late, resolved] = stored;
    labelsBefore = labels || labelsBefore;
    const own = labelsBefore;
    const arrival: Arrival | null = state.arrivalOrNull(reference);
    return {
      id: unpackId(id),
      path,
      state: resolved === 1 ? "Resolved" : "Triggered",
      triggered: happened + delay,
      happened,
      order,
      labels: own,
      arrival,
      window: window ? restoredWindow(window) : null,
      late: late === 1,
      firings: parts ? parts.map(restore) : [],
    };
  };
  return { firings: header.map((list) => list.map(restore)) };
}

function restoredWindow([start, end, count, threshold]: readonly [
  Micros,
  Micros | null,
  number,
  number,
]): FiringWindow {
  return { start, end, count, threshold };
}

function areEqual(a: Fired["labels"], b: Fired["labels"]): boolean {
  const [names, others] = [Object.keys(a), Object.keys(b)];
  return (
    names.length === others.length && names.every((name, at) => others[at] === name && a[name] === b[name])
  );
}
