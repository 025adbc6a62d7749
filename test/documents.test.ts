/** What the documents show must be true: links lead somewhere, and rules are rules. */

import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
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

// npm would fetch that name from the registry wherever the command is not installed, and anyone can register it.
test("nothing tells people to run the command through npx", () => {
  const texts = globSync(
    ["*.{md,json,toml,yaml}", "{src,scripts,bench,test,docs,rules,bin,deploy,.github}/**/*.*"],
    {
      cwd: root,
    },
  );
  const wrong = texts.filter((name) => /npx +(-\S+ +)*tripline/.test(readFileSync(join(root, name), "utf8")));
  expect(texts).toContain("src/cli/main.ts");
  expect(wrong).toEqual([]);
});
