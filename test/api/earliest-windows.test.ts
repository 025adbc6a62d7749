import { expect, test } from "vitest";
import { earliestWindows } from "../../src/api/explain/earliest-windows.ts";
import type { OpenWindow } from "../../src/core/machine/node.ts";
import fc from "../support/fast-check.ts";

const windowUntil = (deadline: number | null): OpenWindow => ({ deadline }) as OpenWindow;

test("those that are judged next come first, however many there are", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.nat(50)), { maxLength: 60 }),
      fc.nat(12),
      async (deadlines, limit) => {
        const all = deadlines.map(windowUntil);
        const { count, windows } = await earliestWindows(all, limit);
        const inOrder = deadlines
          .map((deadline) => deadline ?? Number.POSITIVE_INFINITY)
          .sort((a, b) => a - b);
        expect(count).toBe(deadlines.length);
        expect(windows.map(({ deadline }) => deadline ?? Number.POSITIVE_INFINITY)).toEqual(
          inOrder.slice(0, limit),
        );
      },
    ),
  );
});
