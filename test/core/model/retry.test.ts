import { expect, test } from "vitest";
import { isFinalStatus, mergeRetry, RetrySchema } from "../../../src/core/model/retry.ts";

test.each([200, 299, 600, "5xy", "404", true])(
  "%j is no status to give up on, and the mistake says what is",
  (status) => {
    const { error } = RetrySchema.safeParse({ give_up_on: [404, "5xx", status] });
    expect(JSON.stringify(error?.issues)).toContain(
      "should be a status such as 404, or a class of them such as 4xx",
    );
  },
);

test("a status is final by itself or by its class", () => {
  const retry = RetrySchema.parse({ give_up_on: [404, "5xx"] });
  expect([404, 403, 500, 599].map((status) => isFinalStatus(retry, status))).toEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(isFinalStatus({}, 404)).toBe(false);
});

test("what the first leaves out comes from the second", () => {
  expect(mergeRetry({ for: 60 }, { for: 3_600, attempts: 3 })).toEqual({ for: 60, attempts: 3 });
});
