/** Executes docs/triggers.md: if the core does not do what the page says, a test fails and names the line. */

import { describe, expect, test } from "vitest";
import { type Section, sectionsOf } from "./document.ts";
import { textOf } from "./fences.ts";
import { problemsOf } from "./play.ts";

const sections = sectionsOf(textOf("docs/triggers.md"), "docs/triggers.md");

describe("docs/triggers.md", () => {
  for (const { title, examples } of sections) {
    for (const example of examples) {
      test(`is true in "${title}", line ${example.timeline.line}`, () => {
        expect(problemsOf(example, "docs/triggers.md", "in one go").join("\n")).toBe("");
      });
    }
  }

  // The page promises that restarts and the pace of time change nothing.
  test("is also true when the engine restarts at every step", () => {
    const problems = sections.flatMap(({ examples }) =>
      examples.flatMap((example) => problemsOf(example, "docs/triggers.md", "restarted at every step")),
    );
    expect(problems.join("\n")).toBe("");
  });

  test("has an example for every MUST", () => {
    expect(sections.length).toBeGreaterThan(30);
    expect(sectionsWithoutExamples(sections, "docs/triggers.md")).toEqual([]);
  });
});

// A check that accepts everything would always pass.
describe("the check itself", () => {
  const rule =
    "name: pump silent\ntrigger: {posture: Proactive, expect: [beat], for_each: [pump], within: 30s}";

  test("accepts a true example", () => {
    expect(
      problemsIn(rule, "0s beat pump=a #x\n30s → fires pump=a by #x window 0s..30s count 0\n31s (end)"),
    ).toEqual([]);
  });

  test.each([
    ["another time", "0s beat pump=a\n29s → fires pump=a\n31s (end)", ["d.md:8", "d.md:8"]],
    ["another key", "0s beat pump=a\n30s → fires pump=b\n31s (end)", ["d.md:8", "d.md:8"]],
    ["another event", "0s beat pump=a #x\n30s → fires pump=a by #y\n31s (end)", ["d.md:8", "d.md:8"]],
    ["another window", "0s beat pump=a\n30s → fires pump=a window 1s..30s\n31s (end)", ["d.md:8", "d.md:8"]],
    ["nothing, although it fires", "0s beat pump=a\n31s (end)", ["d.md:7"]],
    ["one firing too many", "0s beat pump=a → fires pump=a", ["d.md:7"]],
    ["late, although it is not", "0s beat pump=a\n30s → fires pump=a late\n31s (end)", ["d.md:8", "d.md:8"]],
  ])("names the lines of an example that says %s", (_what, timeline, places) => {
    expect(problemsIn(rule, timeline).map((problem) => problem.split(": ")[0])).toEqual(places);
  });

  test.each([
    ["beat pump=a", 'd.md:7: "beat" is not a time'],
    ["0s beat pump=a\n-1s beat", "d.md:8: this is before the line above it"],
    ["0s beat → flies", "d.md:7: after the arrow comes fires, resolved or loop cut"],
    ["0s (sunset)", "d.md:7: (sunset) is not known"],
    ["0s beat pump=a pump", 'd.md:7: cannot read "pump"'],
  ])("names the line that it cannot read: %s", (timeline, message) => {
    expect(() => problemsIn(rule, timeline)).toThrow(message);
  });

  test("names the line of a mistake in a rule", () => {
    expect(() => problemsIn("name: pump silent\ntrigger: {expects: [beat]}", "0s beat")).toThrow("d.md:4:11");
  });

  test("requires as many examples in each section as it says MUST", () => {
    const markdown = "# A\nIt MUST.\n## B\nIt may.\n";
    expect(sectionsWithoutExamples(sectionsOf(markdown, "d.md"), "d.md")).toEqual([
      "d.md:1: A: says MUST 1 times and has 0 examples",
    ]);
  });
});

function problemsIn(rule: string, timeline: string): string[] {
  const markdown = `\`\`\`yaml\n${rule}\n\`\`\`\n\`\`\`timeline\n${timeline}\n\`\`\`\n`;
  const examples = sectionsOf(`# A\n${markdown}`, "d.md").flatMap((section) => section.examples);
  return examples.flatMap((example) => problemsOf(example, "d.md", "in one go"));
}

function sectionsWithoutExamples(all: readonly Section[], file: string): string[] {
  return all.flatMap(({ line, title, prose, examples }) => {
    const mustCount = prose.match(/(?<!\*)\bMUST\b/g)?.length ?? 0; // in bold, the word itself is explained
    if (examples.length >= mustCount) return [];
    return [`${file}:${line}: ${title}: says MUST ${mustCount} times and has ${examples.length} examples`];
  });
}
