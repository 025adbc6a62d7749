import { describe, expect, test } from "vitest";
import { compareValues } from "../../bench/support/compare.ts";
import { columnsOf, ratiosOf } from "../../bench/support/report.ts";
import { Random } from "../support/random.ts";

describe("a comparison of two versions", () => {
  const noisy = (random: Random, middle: number, noise: number) =>
    Array.from({ length: 9 }, () => middle * Math.exp((random.next() - 0.5) * 2 * noise));

  test("finds a difference that is larger than the noise", () => {
    const random = new Random(1);
    const before = noisy(random, 1_000, 0.1);
    expect(compareValues(before, noisy(random, 1_300, 0.1)).verdict).toBe("better");
    expect(compareValues(before, noisy(random, 750, 0.1)).verdict).toBe("worse");
    expect(compareValues(before, noisy(random, 750, 0.1), { lowerIsBetter: true }).verdict).toBe("better");
  });

  // A bench that cries wolf is soon ignored.
  test("seldom finds one where there is none", () => {
    const random = new Random(2);
    const verdicts = Array.from(
      { length: 60 },
      () => compareValues(noisy(random, 1_000, 0.3), noisy(random, 1_000, 0.3)).verdict,
    );
    expect(verdicts.filter((verdict) => verdict !== "no clear difference").length).toBeLessThanOrEqual(2);
  });

  test("does not mind a difference that is certain but too small to matter", () => {
    const before = Array.from({ length: 9 }, (_, index) => 1_000 + index / 100);
    const { verdict, probability } = compareValues(
      before,
      before.map((value) => value * 1.01),
    );
    expect({ verdict, isCertain: probability < 0.01 }).toEqual({
      verdict: "no clear difference",
      isCertain: true,
    });
  });
});

describe("a finding", () => {
  test("is compared with its limit round by round", () => {
    const finding = {
      question: "webhooks",
      unit: "per second",
      values: [100, 50, 200],
      limit: { name: "bare", values: [200, 100, 400] },
    };
    expect(ratiosOf(finding)).toEqual([0.5, 0.5, 0.5]);
    expect(columnsOf(finding)).toEqual(["webhooks", "100 per second", "bare: 200", "0.500", "±0 %"]);
  });
});
