/** What is matched is bounded on both sides: patterns, and the labels they are matched against. */

import { describe, expect, test } from "vitest";
import { EventSchema } from "../../../src/core/model/event.ts";
import { compileGlob } from "../../../src/core/model/glob.ts";
import { labelLengthMax, patternLengthMax } from "../../../src/core/model/limits.ts";
import { SpecificationSchema, TriggerSchema } from "../../../src/core/model/trigger.ts";

const issuesOf = (result: { error?: { issues: readonly { path: PropertyKey[]; message: string }[] } }) =>
  (result.error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("a pattern", () => {
  const longest = "?".repeat(patternLengthMax);
  const message = "A pattern should have at most 1024 characters; use * for a long part";

  test.each(["expect", "after", "for_each"])("in %s has a limited length", (field) => {
    const trigger = { type: "event", posture: "Reactive", [field]: [longest] };
    expect(issuesOf(TriggerSchema.safeParse(trigger))).toEqual([]);
    expect(issuesOf(TriggerSchema.safeParse({ ...trigger, [field]: ["a", `${longest}?`] }))).toEqual([
      `${field}.1: ${message}`,
    ]);
  });

  test("for a label has a limited length, in triggers and in filters", () => {
    expect(issuesOf(SpecificationSchema.safeParse({ zone: longest, pump: [longest] }))).toEqual([]);
    expect(
      issuesOf(SpecificationSchema.safeParse({ zone: `${longest}?`, pump: ["a", `${longest}?`] })),
    ).toEqual([`zone: ${message}`, `pump.1: ${message}`]);
  });

  test("that needs more characters than a value has is not searched for in it", () => {
    const glob = compileGlob(`*[!a]${"?".repeat(1_000)}*[!b]`);
    expect(glob.matches("x".repeat(1_001))).toBe(false);
    expect(glob.matches("x".repeat(1_002))).toBe(true);
    expect(glob.matches("😀".repeat(1_001))).toBe(false); // two units each, but one character
    expect(glob.matches("😀".repeat(1_002))).toBe(true);
  });
});

describe("a label", () => {
  const event = (resource: Record<string, string>, role: string) => ({
    id: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
    occurred: "2026-03-01T12:00:00Z",
    event: "pump.stopped",
    resource: { "prefect.resource.id": "greenhouse.pump.1", ...resource },
    related: [{ "prefect.resource.id": "r", "prefect.resource.role": role }],
  });
  const longest = "v".repeat(labelLengthMax);
  const message = "A label and its value have at most 32768 characters each";

  test("has a limited length, and so has its value", () => {
    expect(issuesOf(EventSchema.safeParse(event({ [longest]: longest }, longest)))).toEqual([]);
    expect(issuesOf(EventSchema.safeParse(event({ zone: `${longest}v` }, `${longest}v`)))).toEqual([
      `resource.zone: ${message}`,
      `related.0.prefect.resource.role: ${message}`,
    ]);
    const [issue = ""] = issuesOf(EventSchema.safeParse(event({ [`${longest}v`]: "x" }, "role")));
    expect(issue).toContain(message);
    expect(issue.length).toBeLessThan(200); // the label is quoted only briefly
  });
});
