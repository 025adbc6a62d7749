import { expect, test } from "vitest";
import { SeenIds } from "../../src/core/machine/seen.ts";
import fc from "../support/fast-check.ts";

const anySightings = fc.array(fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), wait: fc.nat(4) }), {
  maxLength: 60,
});

// Were an id forgotten too early, an event sent twice would count twice; were it kept too long, a restart, which
// reads back only so much of the log, would know less than before it.
test("an id is known while its latest sighting lies within the span, and among the latest so many ids", () => {
  fc.assert(
    fc.property(anySightings, fc.nat(12), fc.integer({ min: 1, max: 5 }), (sightings, span, countMax) => {
      const seen = new SeenIds(span, countMax);
      const history: { id: string; at: number }[] = [];
      let now = 0;
      for (const { id, wait } of sightings) {
        now += wait;
        const latest = [...new Set(history.toReversed().map((sighting) => sighting.id))].slice(0, countMax);
        const at = history.findLast((sighting) => sighting.id === id)?.at;
        expect(seen.knows(id, now)).toBe(at !== undefined && now - at <= span && latest.includes(id));
        seen.see(id, now);
        history.push({ id, at: now });
      }
    }),
  );
});
