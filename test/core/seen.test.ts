import { expect, test } from "vitest";
import { pageLength, SeenIds } from "../../src/core/machine/seen.ts";
import { uuidOf } from "../support/anything.ts";
import fc from "../support/fast-check.ts";

const anySightings = fc.array(fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), wait: fc.nat(4) }), {
  maxLength: 60,
});

// If an id were forgotten too early, an event sent twice would count twice. If it were kept too long, a restart, which
// reads back only a part of the log, would forget ids that were known before it.
test("an id is known while its latest sighting is within the span and the id is among the latest", () => {
  fc.assert(
    fc.property(anySightings, fc.nat(12), fc.integer({ min: 1, max: 5 }), (sightings, span, countMax) => {
      const seen = new SeenIds({ span, countMax });
      const history: { id: string; time: number }[] = [];
      let now = 0;
      for (const { id, wait } of sightings) {
        now += wait;
        const latest = [...new Set(history.toReversed().map((sighting) => sighting.id))].slice(0, countMax);
        const lastSeen = history.findLast((sighting) => sighting.id === id)?.time;
        const expected = lastSeen !== undefined && now - lastSeen <= span && latest.includes(id);
        expect(seen.knows(id, now)).toBe(expected);
        seen.see(id, now, "1-0");
        history.push({ id, time: now });
      }
    }),
  );
});

/** What the state has of the pages. */
function storedPages() {
  const pages = new Map<number, string>();
  const onPage = (page: number, encode: (() => string) | null): void => {
    if (encode === null) pages.delete(page);
    else pages.set(page, encode());
  };
  return { pages, onPage };
}

function restored(
  before: SeenIds,
  pages: ReadonlyMap<number, string>,
  countMax: number,
  now: number,
): SeenIds {
  const seen = new SeenIds({ span: 1_000_000, countMax, seed: 7 });
  if (before.storedPages !== null) for (const _step of seen.restore(before.storedPages, pages, now));
  return seen;
}

// An engine that takes over reads the latest ids from the log, and all others from the state.
test("full pages are restored from the state, whatever the ids look like", () => {
  const { pages, onPage } = storedPages();
  const seen = new SeenIds({ span: 1_000_000, countMax: 100_000, onPage });
  const idOf = (number: number): string => (number % 5 === 0 ? `id ${number}` : uuidOf(number));
  const count = 3 * pageLength + 10;
  for (let number = 0; number < count; number++)
    seen.see(idOf(number), Math.floor(number / 3), `${number}-0`);
  expect([...pages.keys()]).toEqual([0, 1, 2]);
  expect(seen.storedPages).toEqual({ first: 0, end: 3, position: `${3 * pageLength - 1}-0` });
  const again = restored(seen, pages, 100_000, count);
  for (let number = 0; number < count; number++) {
    expect(again.knows(idOf(number), count), idOf(number)).toBe(number < 3 * pageLength);
  }
  // The time of each sighting is the same to the microsecond.
  const last = 3 * pageLength - 1;
  const time = Math.floor(last / 3);
  expect(again.knows(idOf(last), time + 1_000_000)).toBe(true);
  expect(again.knows(idOf(last), time + 1_000_001)).toBe(false);
});

test("pages that are no longer needed leave the state, and a restart knows the same ids", () => {
  const { pages, onPage } = storedPages();
  const countMax = 2 * pageLength;
  const seen = new SeenIds({ span: 1_000_000, countMax, onPage });
  const count = 5 * pageLength;
  for (let number = 0; number < count; number++) seen.see(uuidOf(number), number, `${number}-0`);
  expect([...pages.keys()]).toEqual([3, 4]);
  const again = restored(seen, pages, countMax, count);
  const known = (ids: SeenIds) =>
    [...Array(count).keys()].filter((number) => ids.knows(uuidOf(number), count));
  expect(known(again)).toEqual(known(seen));
  expect(known(seen)).toHaveLength(countMax);
});

// A table closes the gap that a forgotten id leaves. If it closed it wrongly, ids in the same row would be lost.
test("many thousand ids come and go, and each is known exactly while it should be", () => {
  const seen = new SeenIds({ span: 5_000, countMax: 1_000_000 });
  for (let number = 0; number < 40_000; number++) {
    seen.see(uuidOf(number % 17_000), number, "1-0");
    const [within, beyond] = [number - 5_000, number - 5_001];
    if (within >= 0) expect(seen.knows(uuidOf(within % 17_000), number)).toBe(true);
    if (beyond >= 0) expect(seen.knows(uuidOf(beyond % 17_000), number)).toBe(false);
  }
});
