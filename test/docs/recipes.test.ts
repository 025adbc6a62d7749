/** docs/recipes.md: `check` finds nothing wrong with any rule, and their cases pass. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { checkRules } from "../../src/cli/check.ts";
import { testRules } from "../../src/cli/test.ts";
import { anchorOf, linksIn } from "./document.ts";
import { fencesOf, textOf } from "./fences.ts";

const page = "docs/recipes.md";
const files = fencesOf(page).filter(({ language }) => language === "yaml");
const cases = files.flatMap(({ name }) => (name?.endsWith(".test.yaml") ? [name] : []));
const rules = files.flatMap(({ name }) => (name === null || name.endsWith(".test.yaml") ? [] : [name]));

const cwd = mkdtempSync(join(tmpdir(), "tripline-recipes-"));
for (const { name, text } of files) if (name !== null) writeFileSync(join(cwd, name), text);
afterAll(() => rmSync(cwd, { recursive: true }));

const env = {
  SLACK_WEBHOOK_URL: "https://hooks.slack.example/T1",
  PAGERDUTY_KEY: "key",
  GITHUB_WEBHOOK_SECRET: "hush",
  STRIPE_WEBHOOK_SECRET: "hush",
};

class Output {
  text = "";
  write(text: string): void {
    this.text += text;
  }
}

test("docs/recipes.md has at least twenty recipes, each a rule with cases", () => {
  expect(rules.length).toBeGreaterThanOrEqual(20);
  expect(files.filter(({ name }) => name === null)).toEqual([]);
  expect(cases).toEqual(rules.map((name) => name.replace(/\.yaml$/, ".test.yaml")));
});

test("docs/recipes.md lists every recipe at its top", () => {
  const listed = new Set(linksIn(textOf(page)).map(({ anchor }) => anchor));
  const headings = [...textOf(page).matchAll(/^## (.*)$/gm)].map(([, title = ""]) => anchorOf(title));
  expect(headings.filter((anchor) => !listed.has(anchor))).toEqual([]);
});

describe.each(cases)("%s", (name) => {
  test("passes", () => {
    const stdout = new Output();
    const stderr = new Output();
    const exitCode = testRules([name], { stdout, stderr, cwd, color: false });
    expect(`${stderr.text}${exitCode === 0 ? "" : stdout.text}`).toBe("");
    expect(exitCode).toBe(0);
  });
});

// A rule may be copied alone, so it is checked alone. `env` stands for the reader's environment.
describe.each(rules)("%s", (name) => {
  test("has no mistakes or warnings", () => {
    const stdout = new Output();
    const exitCode = checkRules([name], { stdout, env, cwd, color: false }, { strict: true });
    expect(exitCode === 0 ? "" : stdout.text).toBe("");
  });
});
