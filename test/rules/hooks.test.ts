import { describe, expect, test } from "vitest";
import { loadText, mistakesIn } from "./support.ts";

const pump = "event: pump.stopped, resource: { prefect.resource.id: pump.1 }";
const hooksWith = (text: string) => `hooks:\n  - ${text}\n`;

describe("hooks of a rule file", () => {
  test("may be next to automations or alone, and have every default filled in", () => {
    const text = `
automations:
  - name: pumps
    trigger: { expect: [pump.stopped] }
hooks:
  - name: pumps
    signature: { type: slack, secret: "\${env.SECRET}", tolerance: 1m }
    template: { ${pump} }
---
hooks:
  - name: texts
    template: "[]"
`;
    const { automations, hooks, diagnostics } = loadText(text, { env: { SECRET: "hush" } });
    expect(diagnostics).toEqual([]);
    expect(automations.map(({ name }) => name)).toEqual(["pumps"]);
    const source = { kind: "file", file: "greenhouse.yaml" };
    expect(hooks).toEqual([
      {
        name: "pumps",
        description: "",
        signature: { type: "slack", secret: "hush", tolerance: 60 },
        template: {
          event: "pump.stopped",
          resource: { "prefect.resource.id": "pump.1" },
          related: [],
          payload: {},
        },
        source,
      },
      { name: "texts", description: "", template: "[]", source },
    ]);
  });

  test.each([
    ["name: a b\n    template: a", "2:11: name should be letters, digits, dots"],
    ["name: a", "2:5: template is missing"],
    ["name: a\n    tempalte: a", "3:5: unknown key `tempalte`; did you mean `template`?"],
    [
      "name: a\n    template: { evnt: a, resource: { prefect.resource.id: b } }",
      "3:17: unknown key `evnt`; did you mean `event`?",
    ],
    [
      "name: a\n    template: [{ event: a, resource: {} }]",
      "3:38: Resources must include a non-empty prefect.resource.id",
    ],
    [`name: a\n    template: { ${pump}, payload: 3 }`, "3:90: payload should be a mapping whose strings"],
    [
      "name: a\n    template: '{{ event.id }}'",
      "3:15: there is no event; a template sees body, headers, query",
    ],
    [
      "name: a\n    template: { event: '{% if %}', resource: { prefect.resource.id: a } }",
      "3:24: the template cannot",
    ],
    ["name: a\n    template: a\n    signature: { type: githb, secret: a }", "did you mean `github`?"],
    ["name: a\n    template: a\n    signature: { type: github }", "secret is missing"],
    ["name: a\n    template: a\n    signature: { type: github, secret: '' }", "secret should not be empty"],
    ["name: a\n    template: a\n    signature: { type: shared-secret, secret: a }", "header is missing"],
    [
      "name: a\n    template: a\n    signature: { type: standard-webhooks, secret: whsec_A }",
      "what follows is not base64",
    ],
    [
      "name: a\n    template: a\n    signature: { type: github, secret: '${env.MISSING}' }",
      "4:40: the environment has no MISSING",
    ],
    [
      "name: a\n    template: '${env.HOME}'",
      "3:15: ${env.HOME} cannot be used in a hook's template: events are readable by everyone",
    ],
    ["3", "2:5: a hook should be a mapping; found 3"],
    [
      "name: a\n    template: a\n  - name: a\n    template: b",
      '4:11: name "a" is taken by greenhouse.yaml:2:11',
    ],
  ])("with a mistake are refused: %s", (text, message) => {
    expect(mistakesIn(hooksWith(text))).toEqual([expect.stringContaining(message)]);
  });

  test("are recognized in a misspelled list", () => {
    for (const misspelled of ["hook", "hoks", "webhook"]) {
      expect(mistakesIn(hooksWith("name: a\n    template: a").replace("hooks", misspelled))).toEqual([
        expect.stringContaining("did you mean `hooks`?"),
      ]);
    }
  });

  // Hooks were first called webhooks, and rule files with that key are still in use.
  test("may use the former key, alone and next to the new one", () => {
    const item = (name: string) => `  - {name: ${name}, template: {${pump}}}\n`;
    const { hooks, diagnostics } = loadText(
      `webhooks:\n${item("a")}hooks:\n${item("b")}---\nwebhooks:\n${item("c")}`,
    );
    expect(diagnostics).toEqual([]);
    expect(hooks.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(mistakesIn(`webhooks:\n${item("a")}hooks:\n${item("a")}`)).toEqual([
      expect.stringContaining('name "a" is taken'),
    ]);
  });

  test("do not show an invalid secret in a mistake", () => {
    const text = hooksWith(
      "name: a\n    template: a\n    signature: { type: standard-webhooks, secret: '${env.S}' }",
    );
    const [mistake] = mistakesIn(text, { S: "whsec_&hush" });
    expect(mistake).toContain("base64");
    expect(mistake).not.toContain("hush");
  });
});
