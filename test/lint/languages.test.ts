/** Patterns and crons that are written in the language of another program. */

import { describe, expect, test } from "vitest";
import { warningsFor } from "./support.ts";

const matching = (pattern: string | string[]) => ({ expect: ["x"], match: { zone: pattern } });
const scheduled = (cron: string, within: number, timezone = "UTC") => ({
  ...{ posture: "Proactive", expect: ["x"], within },
  schedule: { cron, timezone },
});

describe("a pattern in another language", () => {
  test.each([
    ...["prod|stage", "(prod|stage)", "^prod", "^prod$", "prod.*$", "~prod.*", "=~prod", "/prod.*/", "/^a/i"],
    ...[
      "v\\d+",
      "disk\\.full",
      "a.(b|c)",
      "a.{b,c}",
      "{a,b}",
      "[a-z]+",
      "!^prod",
      "!a|b",
      "(a|b)*",
      "=~ 'a.*'",
    ],
  ])("%s is warned of", (pattern) => {
    expect(warningsFor(matching(pattern))).toEqual(["TL109"]);
    expect(warningsFor(matching(["other", pattern].slice(pattern.startsWith("!") ? 1 : 0)))).toEqual([
      "TL109",
    ]);
    if (!pattern.startsWith("!")) expect(warningsFor({ expect: [pattern] })).toEqual(["TL109"]);
  });

  test.each([
    ">=90",
    "> 90",
    "<5%",
    "!= 3",
    "== 3",
    "=3",
    ">= 1.2.3",
    "90..100",
    "0.5..1",
    "[1..5]",
    "-5..5",
  ])("the comparison %s is warned of", (pattern) => {
    expect(warningsFor(matching(pattern))).toContain("TL108");
  });

  test.each([
    ...[
      "prod.*",
      "*.prod",
      "!prod",
      "pump.?",
      "/var/log/*",
      "/a/b/",
      "~/backup",
      "~root",
      "a.b.c",
      "C:\\data\\*",
    ],
    ...[
      "US$",
      "100%",
      "a+b",
      "c++",
      "f(x)",
      "(none)",
      "{id}",
      "<unknown>",
      ">",
      "=",
      "10-20",
      "2026-11-*",
      "a | b",
    ],
    ...[
      "https://x.example/?a=b&c=(d)",
      "{}",
      "run[!1]",
      "job:a/b@c",
      "1.2.3",
      "v1..2x",
      "…",
      "^",
      "a,b",
      "a;b",
    ],
  ])("%s is not", (pattern) => {
    const found = warningsFor(matching(pattern)).filter((code) => ["TL108", "TL109"].includes(code));
    expect(found).toEqual(pattern === "^" ? ["TL109"] : []);
  });
});

describe("a schedule", () => {
  test.each([
    ["0 6 1-7 * MON", ["TL407"]],
    ["0 6 */7 * 1", ["TL407"]],
    ["0 0 6 1,15 * 1-5", ["TL407"]],
    ["0 6 L * FRI", ["TL407"]],
    ["0 6 1-7 * *", []],
    ["0 6 1-7 * ?", []],
    ["0 6 ? * MON", []],
    ["0 6 */2 * *", []],
    ["0 6 * * MON#1", []],
    ["@daily", []],
    ["@weekdays", []],
    ["0 0 29 2 *", []],
  ])("at %s", (cron, codes) => {
    expect(warningsFor(scheduled(cron, 1_800))).toEqual(codes);
  });

  test.each([
    ["*/7 * * * *", 420, ["TL410"]],
    ["*/7 * * * *", 240, []],
    ["0 */5 * * *", 18_000, ["TL410"]],
    ["0 * * * *", 7_200, ["TL410"]],
    ["0 * * * *", 3_600, []],
    ["0 9,17 * * *", 43_200, ["TL410"]],
    ["0 9,17 * * *", 28_800, []],
    ["*/10 * * * * *", 10, []],
    ["0 6 * * *", 86_400, []],
    ["0 6 * * *", 82_800, []],
  ])("at %s with a window of %i s", (cron, within, codes) => {
    expect(warningsFor(scheduled(cron, within))).toEqual(codes);
    const reactive = { ...scheduled(cron, within), posture: "Reactive" };
    expect(warningsFor(reactive)).toEqual(codes);
  });

  test("whose days have 23 hours", () => {
    expect(warningsFor(scheduled("0 0 * * *", 86_400, "America/New_York"))).toEqual(["TL408"]);
    expect(warningsFor(scheduled("0 0 * * *", 86_400, "Asia/Tokyo"))).toEqual([]);
  });
});
