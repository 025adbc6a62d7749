/** URLs as people may see them. */

import { expect, test } from "vitest";
import { withoutCredentials } from "../../../src/core/model/url.ts";

test.each([
  ["https://user:hush@example.org/a", "https://…@example.org/a"],
  ["https://user:hu@sh@example.org/a", "https://…@example.org/a"], // a password may hold what ends it elsewhere
  ["https://{{ labels.user }}:${env.PASSWORD}@example.org", "https://…@example.org"],
  ["https://example.org/@user?mail=a@example.org", "https://example.org/@user?mail=a@example.org"],
  ["https://example.org?mail=a@example.org", "https://example.org?mail=a@example.org"],
  ["{{ event.payload.url }}", "{{ event.payload.url }}"],
])("%s is shown as %s", (url, shown) => {
  expect(withoutCredentials(url)).toBe(shown);
});
