/** Filters at their limits work, and beyond them are refused: no filter is too much for the database. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ history: true });
});

afterAll(() => api.stop());

const texts = (count: number) => Array.from({ length: count }, (_, index) => `text-${index}`);
const labels = (count: number, pattern: unknown = "x*") =>
  Object.fromEntries(texts(count).map((text) => [text, pattern]));

const filtersOf: readonly (readonly [what: string, (count: number) => object])[] = [
  ["prefixes", (count) => ({ event: { prefix: texts(count) } })],
  ["excluded prefixes", (count) => ({ event: { exclude_prefix: texts(count) } })],
  ["labels", (count) => ({ resource: { labels: labels(count) } })],
  [
    "patterns of one label",
    (count) => ({
      resource: {
        labels: labels(
          1,
          texts(count).map((text) => `*${text}`),
        ),
      },
    }),
  ],
  [
    "negated patterns",
    (count) => ({
      any_resource: {
        labels: labels(
          1,
          texts(count).map((text) => `!${text}*`),
        ),
      },
    }),
  ],
  ["prefixes of resources", (count) => ({ any_resource: { id_prefix: texts(count) } })],
  ["labels of related resources", (count) => ({ related: { labels: labels(count) } })],
  ["tests of related resources", (count) => ({ related: texts(count).map((text) => ({ role: [text] })) })],
  ["roles", (count) => ({ related: { role: texts(count) } })],
  [
    "resources in roles",
    (count) => ({ related: { resources_in_roles: texts(count / 2).map((text) => [text, "x"]) } }),
  ],
];

test.each(filtersOf)("%s", async (_what, filterOf) => {
  const statuses = [];
  for (const count of [200, 202, 400]) {
    const response = await fetch(`${api.url}/api/events/filter`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ filter: filterOf(count), limit: 1 }),
    });
    const text = await response.text();
    statuses.push(response.status);
    if (count > 200) expect(text).toContain("A filter may hold at most 200 prefixes, labels, patterns");
  }
  expect(statuses).toEqual([200, 422, 422]);
});
