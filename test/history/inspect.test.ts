/** A history is looked at from outside, and stays as it is. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openHistory } from "../../src/history/history.ts";
import { inspectHistory } from "../../src/history/inspect.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";

describe.each(databaseKinds)("a history in $name", ({ missing, start }) => {
  let database: TestDatabase;
  let url = "";

  beforeAll(async () => {
    if (missing !== null) return;
    database = await start();
    const options = database.options("greenhouse");
    url = "url" in options ? options.url : `sqlite:${options.path}`;
  }, 60_000);
  afterAll(() => database?.remove());

  test.skipIf(missing !== null)(
    `cannot be read before it exists, and is not created${missing ?? ""}`,
    async () => {
      await expect(inspectHistory(url, "greenhouse")).rejects.toThrow();
      await expect(inspectHistory(url, "greenhouse")).rejects.toThrow();
    },
  );

  test.skipIf(missing !== null)("says how far each workspace is recorded, and how large it is", async () => {
    const history = await openHistory(database.options("greenhouse"));
    const position = await history.recordedPosition();
    await history.close();
    const found = await inspectHistory(url, "greenhouse");
    expect(found).toMatchObject({ position, eventCount: 0 });
    expect(found.bytes).toBeGreaterThan(0);
    if (url.startsWith("sqlite")) expect(found.freeBytes).toBeGreaterThan(0);
    else expect(found.freeBytes).toBeNull();
    // One that is not there is not made.
    for (const _ of [1, 2]) expect(await inspectHistory(url, "other")).toMatchObject({ position: null });
  });
});
