import { expect, test } from "vitest";
import { breath } from "../../src/retry/slices.ts";

function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test("work that many begin in the same turn is spread over several", async () => {
  let turn = 0;
  let isDone = false;
  const count = () => {
    turn += 1;
    if (!isDone) setImmediate(count);
  };
  count();
  const worked = new Map<number, number>();
  const gate = Promise.withResolvers<void>();
  const workers = Array.from({ length: 30 }, async () => {
    await gate.promise;
    const pause = breath();
    if (pause !== null) await pause;
    block(6);
    worked.set(turn, (worked.get(turn) ?? 0) + 1);
  });
  gate.resolve();
  await Promise.all(workers);
  isDone = true;
  expect(Math.max(...worked.values())).toBeLessThanOrEqual(4);
});
