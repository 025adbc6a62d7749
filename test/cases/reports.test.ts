import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { run } from "./support.ts";

const cases = `
cases:
  - name: "a # b \\\\ <c> & \\"d\\" \\u0007 é"
    expect: []
  - name: fails
    steps: [{ at: 1m30s, event: vent.stuck, resource: "]]> <vent> \\e[31m" }]
    expect: []
`;

describe("the TAP report", () => {
  const { exitCode, out } = run(cases, { reporter: "tap" });
  const lines = out.trimEnd().split("\n");

  test("begins with its version and its plan, and numbers each case", () => {
    expect(exitCode).toBe(1);
    expect(lines.slice(0, 2)).toEqual(["TAP version 14", "1..2"]);
    expect(lines.filter((line) => /^(not )?ok/.test(line))).toEqual([
      String.raw`ok 1 - greenhouse.test.yaml › a \# b \\ <c> & "d" ${"\u0007"} é`,
      "not ok 2 - greenhouse.test.yaml › fails",
    ]);
  });

  test("describes each case in valid YAML", () => {
    const blocks = [...out.matchAll(/^ {2}---\n(.*?)^ {2}\.\.\.$/gms)].map(([, block = ""]) =>
      parse(block.replaceAll(/^ {2}/gm, "")),
    );
    expect(blocks).toMatchObject([
      { duration_ms: expect.any(Number) },
      {
        at: { file: "greenhouse.test.yaml", line: 5 },
        timeline: expect.stringMatching(/^ time +expected +got\n.*was not expected.*end\n$/s),
      },
    ]);
  });
});

describe("the JUnit report", () => {
  const { exitCode, out } = run(cases, { reporter: "junit" });

  test("is valid XML with the cases of each file", () => {
    expect(exitCode).toBe(1);
    const elements = elementsOf(out);
    expect(elements.map(({ name }) => name)).toEqual([
      "testsuites",
      "testsuite",
      "testcase",
      "testcase",
      "failure",
    ]);
    const [suites, suite, first, second] = elements;
    expect(suites?.attributes).toMatchObject({ tests: "2", failures: "1", errors: "0" });
    expect(suite?.attributes).toMatchObject({ name: "greenhouse.test.yaml", tests: "2", failures: "1" });
    expect(first?.attributes).toMatchObject({ name: 'a # b \\ <c> & "d" \uFFFD é', line: "3" });
    expect(second?.attributes).toMatchObject({ name: "fails", classname: "greenhouse.test.yaml" });
    expect(out).toContain("]]&gt; &lt;vent&gt;");
  });
});

test("the filter selects cases by their file and name, ignoring case", () => {
  const tap = (filter: string) => run(cases, { reporter: "tap", filter }).out.match(/^(not )?ok .*/gm);
  expect(tap("FAIL")).toEqual(["not ok 1 - greenhouse.test.yaml › fails"]);
  expect(tap("greenhouse")).toHaveLength(2);
  expect(run(cases, { filter: "<c>" }).exitCode).toBe(0);
});

test("text from events cannot control the terminal", () => {
  const { out } = run(cases);
  expect(out).not.toContain("\u001b");
  expect(out).toContain(String.raw`<vent> \u001b[31m`);
});

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Reads XML strictly: every tag closed in order, everything escaped, only characters of XML 1.0. */
function elementsOf(xml: string): Element[] {
  expect(xml).not.toMatch(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u);
  const elements: Element[] = [];
  const open: string[] = [];
  const token =
    /<\?xml [^?]*\?>|<(\/?)(\w+)((?: \w+="[^"<&]*(?:&(?:lt|gt|amp|quot|#\d+);[^"<&]*)*")*)(\/?)>|((?:[^<&]|&(?:lt|gt|amp|quot);)+)/gy;
  let end = 0;
  for (const match of xml.matchAll(token)) {
    end = match.index + match[0].length;
    const [, closing, name, attributes = "", empty] = match;
    if (name === undefined) continue;
    if (closing === "/") expect(open.pop()).toBe(name);
    else {
      const values = [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [
        key,
        unescaped(value),
      ]);
      elements.push({ name, attributes: Object.fromEntries(values) });
      if (empty === "") open.push(name);
    }
  }
  expect({ end, open }).toEqual({ end: xml.length, open: [] });
  return elements;
}

function unescaped(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}
