/** What comes from outside never controls the terminal, whichever command prints it. */

import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { guardOutput, harmless } from "../../src/cli/output/text.ts";
import fc from "../support/fast-check.ts";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox.close());

const controls =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** A color, a title, a link, an 8-bit control sequence, a reversed word and a carriage return. */
const hostile =
  "a\u001b[31;8m\u001b]0;t\u0007\u001b]8;;https://evil.example\u001b\\b\u009b2J\u202ec\u2066\u200ed\r\u007f\u2028e";

test("output keeps its line breaks and colors, and no other control character", () => {
  const anyOutput = fc
    .array(
      fc.oneof(
        fc.constantFrom(...hostile, "\u001b[31m", "\u001b[1m", "\n", "\t"),
        fc.string({ unit: "binary" }),
      ),
    )
    .map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(anyOutput, (output) => {
      const printed = harmless(output);
      expect(printed.replaceAll(/\u001b\[(?:[012]|22|3[0-9])m/g, "")).not.toMatch(controls);
      expect(harmless(printed)).toBe(printed);
      if (!controls.test(output)) expect(printed).toBe(output);
    }),
  );
  // They stand for the same values.
  expect(JSON.parse(harmless(JSON.stringify({ hostile })))).toEqual({ hostile });
});

test("a guarded stream prints only that, and bytes as they are", () => {
  const printed: unknown[] = [];
  const stream = { write: (chunk: unknown) => printed.push(chunk) > 0 };
  guardOutput(stream as never);
  stream.write("\u001b[2Ja");
  stream.write(Buffer.from([27]));
  expect(printed).toEqual(["\\u001b[2Ja", Buffer.from([27])]);
});

const quoted = JSON.stringify(hostile);
const rule = `name: ${quoted}\ntrigger: { expect: [${quoted}] }\nactions: [{ type: do-nothing }]\n`;
const event = JSON.stringify({
  event: hostile,
  resource: { "prefect.resource.id": hostile },
  occurred: "2026-01-05T00:00:00Z",
});

test.each<[string, (files: { rule: string; events: string; cases: string }) => string[]]>([
  ["check", ({ rule: file }) => ["check", file]],
  ["check --json", ({ rule: file }) => ["check", "--json", file]],
  ["check with mistakes", ({ events }) => ["check", events]],
  ["simulate", ({ rule: file, events }) => ["simulate", "--rules", file, events]],
  ["test", ({ cases }) => ["test", cases]],
  ["an unknown option", () => ["check", `--${hostile.replaceAll("\u0000", "")}`]],
  ["a file that does not exist", () => ["check", `/nowhere/${hostile}.yaml`]],
])("%s prints no control characters", async (_what, words) => {
  const files = {
    rule: sandbox.write("rules.yaml", rule),
    events: sandbox.write("events.yaml", `${event}\n`),
    cases: sandbox.write(
      "rules.test.yaml",
      `cases:\n  - name: ${quoted}\n    steps: [{ at: 0s, event: ${quoted}, resource: ${quoted} }]\n    expect: [{ at: 5s, labels: { ${quoted}: ${quoted} } }]\n`,
    ),
  };
  const { stdout, stderr } = await sandbox.output(words(files), { NO_COLOR: "1" });
  expect(`${stdout}${stderr}`).not.toBe("");
  expect(`${stdout}${stderr}`).not.toMatch(controls);
});

test("YAML that a command prints is read as the same text", async () => {
  const { asYaml } = await import("../../src/cli/output/output.ts");
  expect(parse(harmless(asYaml({ text: hostile, list: [`plain\u202etext`] })))).toEqual({
    text: hostile,
    list: ["plain\u202etext"],
  });
});
