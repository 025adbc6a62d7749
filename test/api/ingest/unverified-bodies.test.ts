import { expect, test } from "vitest";
import { Refusal } from "../../../src/api/http/refusal.ts";
import { UnverifiedBody, unverifiedBytesMax } from "../../../src/api/ingest/unverified-bodies.ts";

const large = 16 * 1024 * 1024;

test("large bodies that nobody has signed yet take a bounded amount of memory, and small ones always pass", () => {
  const bodies: UnverifiedBody[] = [];
  const begin = (byteCount: number) => {
    const body = new UnverifiedBody();
    bodies.push(body);
    body.take(byteCount);
  };
  for (let index = 0; index < unverifiedBytesMax / large; index++) begin(large);
  expect(() => begin(large)).toThrow(Refusal);
  for (let index = 0; index < 100; index++) begin(100_000);
  for (const body of bodies) body.release();
  // Released twice, they count once.
  for (const body of bodies) body.release();
  for (let index = 0; index < unverifiedBytesMax / large; index++) begin(large);
  expect(() => begin(large)).toThrow(Refusal);
  for (const body of bodies) body.release();
});
