/** The text of each automation as its file has it: with comments, without secrets. */

import { describe, expect, test } from "vitest";
import { ruleTextsOf } from "../../src/rules/rule-text.ts";
import { loadText } from "./support.ts";

/** The texts in a file, by the automation's name. */
function textsIn(
  file: string,
  env: Record<string, string> = {},
): Record<string, { yaml: string; line: number }> {
  const rules = loadText(file, { env });
  expect(rules.diagnostics).toEqual([]);
  const texts = ruleTextsOf(rules);
  return Object.fromEntries(
    rules.automations.map(({ id, name }) => {
      const { yaml = "", line = 0 } = texts.get(id) ?? {};
      return [name, { yaml, line }];
    }),
  );
}

describe("the text of an automation is", () => {
  test("the whole document, with its comments, without blank lines around it", () => {
    const pump = "# Pumps.\nname: pump\ntrigger: {} # any\n\nactions: [] # none\n# end\n";
    const vent = "# Vents.\n\nname: vent\ntrigger: {}\n";
    expect(textsIn(`\n${pump}---\n\n${vent}\n...\n`)).toEqual({
      pump: { yaml: pump, line: 2 },
      vent: { yaml: vent, line: 10 },
    });
  });

  test("an item of a list, without its hyphen and indentation, with the comments that belong to it", () => {
    const file = [
      "# The greenhouse.",
      "automations:",
      "  # About pumps:",
      "  # they leak.",
      "  - name: pump # the first",
      "    trigger:",
      "      expect: [pump.failed]",
      "    description: |",
      "      It is # not a comment",
      "",
      "        and indented",
      "    # still the pump",
      "",
      "  # About vents.",
      "  - &vent",
      "    # inside",
      "    name: vent",
      "    trigger: {}",
      "  -   name: door",
      "      trigger: {}",
      "# The end.",
      "",
    ].join("\n");
    expect(textsIn(file)).toEqual({
      pump: {
        line: 3,
        yaml: [
          "# About pumps:",
          "# they leak.",
          "name: pump # the first",
          "trigger:",
          "  expect: [pump.failed]",
          "description: |",
          "  It is # not a comment",
          "",
          "    and indented",
          "# still the pump",
          "",
        ].join("\n"),
      },
      vent: { line: 14, yaml: "# About vents.\n\n# inside\nname: vent\ntrigger: {}\n" },
      door: { line: 19, yaml: "name: door\ntrigger: {}\n" },
    });
  });

  test("what is written in the middle of a line, as in JSON", () => {
    const file = '[{"name": "pump", "trigger": {}}, {"name": "vent",\n  "trigger": {}}]\n';
    expect(textsIn(file)).toEqual({
      pump: { line: 1, yaml: '{"name": "pump", "trigger": {}}\n' },
      vent: { line: 1, yaml: '{"name": "vent",\n  "trigger": {}}\n' },
    });
  });

  test("the same with the line breaks of Windows", () => {
    const file = "automations:\r\n  - name: pump\r\n    trigger: {}\r\n  - name: vent\r\n    trigger: {}\r\n";
    expect(textsIn(file)).toEqual({
      pump: { line: 2, yaml: "name: pump\ntrigger: {}\n" },
      vent: { line: 4, yaml: "name: vent\ntrigger: {}\n" },
    });
  });

  test("none, if it is too long to be kept", () => {
    const file = `name: pump\ntrigger: {}\n# ${"x".repeat(70_000)}\n`;
    expect(textsIn(file)).toEqual({ pump: { yaml: "", line: 0 } });
  });
});

describe("a text shows no secret:", () => {
  const rule = (secret: string, more = "") =>
    `name: pump\ntrigger: {}\nactions:\n  - type: call-webhook\n    url: https://example.org/\n    secret: ${secret}\n    method: PUT\n${more}`;
  const secretLine = (yaml: string | undefined) => yaml?.split("\n").slice(5, -2).join("\n");

  test.each([
    ["hush-hush", '    secret: "********"'],
    ['"hush-hush"', '    secret: "********"'],
    ["'hush-hush' # keep it", '    secret: "********" # keep it'],
    ["ab", '    secret: "********"'],
    ["${env.KEY}", "    secret: ${env.KEY}"],
    ['"${env.KEY}"', '    secret: "${env.KEY}"'],
    ["${env.KEY:-hush-hush}", "    secret: ${env.KEY:-********}"],
    ["pre-${env.KEY}", '    secret: "********"'],
    // The lines below keep their numbers.
    ["|-\n      hush-hush\n      hush", '    secret: "********"\n\n'],
  ])("secret: %s", (secret, shown) => {
    const { pump } = textsIn(rule(secret), { KEY: "from-outside" });
    expect(pump?.yaml).not.toMatch(/hush|from-outside/);
    expect(secretLine(pump?.yaml)?.trimEnd()).toBe(shown.trimEnd());
    expect(pump?.yaml.split("\n").findIndex((line) => line.includes("method"))).toBe(
      rule(secret)
        .split("\n")
        .findIndex((line) => line.includes("method")),
    );
  });

  test("where it is written again, commented out, or the value of a reference", () => {
    const more =
      "# secret: old-and-short\n    # was secret: 'older'\n# hush-hush and from-outside\n# whsec_bmV2ZXIgc2hvdyB0aGlz\n";
    const { pump } = textsIn(`${rule("hush-hush", more)}    payload: "\${env.KEY} pumps"\n`, {
      KEY: "from-outside",
    });
    expect(pump?.yaml).not.toMatch(/hush|old|from-outside|bmV2/);
    expect(pump?.yaml).toContain("${env.KEY} pumps");
  });

  test("in another automation whose value is its secret by an alias", () => {
    const list =
      "automations:\n  - name: vent\n    trigger: {}\n    description: &key hush-hush\n  - name: pump\n    trigger: {}\n    actions:\n      - {type: call-webhook, url: 'https://example.org/', secret: *key}\n";
    const { vent, pump } = textsIn(list);
    expect(vent?.yaml).toContain('description: &key "********"');
    expect(pump?.yaml).toContain("secret: *key");
  });

  test("the user name and password of a URL, but for references", () => {
    const urls =
      "name: pump\ntrigger: {}\nactions:\n  - {type: call-webhook, url: 'https://grower:p@ss@example.org/'}\n  - {type: call-webhook, url: 'https://grower:${env.KEY}@example.org/'}\n# http://token@example.org\n";
    const { pump } = textsIn(urls, { KEY: "from-outside" });
    expect(pump?.yaml).not.toMatch(/p@ss|token|from-outside/);
    expect(pump?.yaml).toContain("https://…@example.org/");
    expect(pump?.yaml).toContain("https://grower:${env.KEY}@example.org/");
  });

  test("the default of a reference is no secret", () => {
    const text =
      "name: pump\ntrigger: {}\nactions:\n  - {type: call-webhook, url: '${env.OPS:-http://127.0.0.1/}'}\n";
    expect(textsIn(text).pump?.yaml).toBe(text);
  });
});
