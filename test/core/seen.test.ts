import { expect, test } from "vitest";
import { SeenIds } from "../../src/core/machine/seen.ts";
import fc from "../support/fast-check.ts";

const anySightings = fc.array(fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), wait: fc.nat(4) }), {
  maxLength: 60,
});

// If an id were forgotten too early, an event sent twice would count twice. If it were kept too long, a restart, which
// reads back only a part of the log, would forget ids that were known before it.
test("an id is known while its latest sighting is within the span and the id is among the latest", () => {
  fc.assert(
    fc.property(anySightings, fc.nat(12), fc.integer({ min: 1, max: 5 }), (sightings, span, countMax) => {
      const seen = new SeenIds(span, countMax);
      const history: { id: string; time: number }[] = [];
      let now = 0;
      for (const { id, wait } of sightings) {
        now += wait;
        const latest = [...new Set(history.toReversed().map((sighting) => sighting.id))].slice(0, countMax);
        const lastSeen = history.findLast((sighting) => sighting.id === id)?.time;
        const expected = lastSeen !== undefined && now - lastSeen <= span && latest.includes(id);
        expect(seen.knows(id, now)).toBe(expected);
        seen.see(id, now);
        history.push({ id, time: now });
      }
    }),
  );
});
