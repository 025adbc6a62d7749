/** What the documents show must be true: links lead somewhere, and rules are rules. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";
import { formatDiagnostic } from "../src/rules/diagnostic.ts";
import { readRules } from "../src/rules/load.ts";
import { templateProblem } from "../src/templates/template.ts";

const root = resolve(import.meta.dirname, "..");
const documents = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith(".md"))
  .map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));

test("links between documents and files lead somewhere", () => {
  const broken = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = ""]) => resolve(root, dirname(name), target))
      .filter((target) => !existsSync(target))
      .map((target) => `${name} links to ${relative(root, target)}, which is not there`),
  );
  expect(documents.map(({ name }) => name)).toContain("docs/failure.md");
  expect(broken).toEqual([]);
});

test("the automation that the README opens with is a valid rule", () => {
  const { text } = documents.find(({ name }) => name === "README.md")!;
  const [, rule = ""] = /```yaml\n([\s\S]*?)```/.exec(text) ?? [];
  const texts = { texts: new Map([["README.md", rule]]), diagnostics: [] };
  const rules = readRules(texts, { workspace: "default", env: {}, now: 0, checkTemplate: templateProblem });
  expect(rules.diagnostics.map(formatDiagnostic)).toEqual([]);
  expect(rules.automations.map(({ name }) => name)).toEqual(["service-silent"]);
});
