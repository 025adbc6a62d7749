/** What the documents show must be true: links lead somewhere, and rules are rules. */

import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { checkRules } from "../src/cli/check.ts";
import { testRules } from "../src/cli/test.ts";
import { anchorsOf, linksIn } from "./docs/document.ts";
import { documents as documentNames, fencesOf, root, textOf } from "./docs/fences.ts";

const documents = documentNames().map((name) => ({ name, text: textOf(name) }));

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

test("links to a heading name one that is there", () => {
  const anchors = new Map(documents.map(({ name, text }) => [name, anchorsOf(text)]));
  const broken = documents.flatMap(({ name, text }) =>
    linksIn(text)
      .map((link) => ({ ...link, target: link.file === "" ? name : join(dirname(name), link.file) }))
      .filter(({ target, anchor }) => anchors.has(target) && anchors.get(target)?.has(anchor) !== true)
      .map(({ target, anchor }) => `${name} links to ${target}#${anchor}, which is not there`),
  );
  expect(broken).toEqual([]);
});

/** What the README opens with is copied first, so it must behave like the rule of rules/ that it stands for. */
describe("the rule that the README opens with", () => {
  const [shown] = fencesOf("README.md").filter(({ language }) => language === "yaml");
  const folder = mkdtempSync(join(tmpdir(), "tripline-readme-"));
  writeFileSync(join(folder, "service-silent.yaml"), shown?.text ?? "");
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is valid, and check has nothing to say about it", () => {
    let printed = "";
    const stdout = { write: (text: string) => (printed += text) };
    const exitCode = checkRules([folder], { stdout, env: {}, cwd: root, color: false }, { strict: true });
    expect(exitCode === 0 ? "" : printed).toBe("");
  });

  test("has the trigger and the messages of rules/service-silent.yaml", () => {
    const [mine, real] = [shown?.text ?? "", textOf("rules/service-silent.yaml")].map((text) => parse(text));
    expect(Object.entries(real.trigger)).toEqual(expect.arrayContaining(Object.entries(mine.trigger)));
    expect(mine.trigger).toMatchObject({ posture: "Proactive", refire: "once" });
    for (const list of ["actions", "actions_on_resolve"]) {
      expect(mine[list].map(messageOf)).toEqual(real[list].map(messageOf));
      expect(mine[list]).toHaveLength(1);
    }
  });

  // A rule without `refire: once` would send 2,880 messages a day.
  test("sends one message for a silence of a day, and one when the service is back", () => {
    const cases = {
      cases: [
        {
          name: "a day",
          steps: [
            { at: "0s", event: "service.heartbeat", resource: "service.shop" },
            { at: "1d", event: "service.heartbeat", resource: "service.shop" },
          ],
          expect: [
            {
              at: "35s",
              labels: { "prefect.resource.id": "service.shop" },
              request: { body: { message: "service.shop is silent" } },
            },
            {
              at: "1d",
              state: "Resolved",
              labels: { "prefect.resource.id": "service.shop" },
              request: { body: { message: "service.shop is back" } },
            },
          ],
        },
      ],
    };
    writeFileSync(join(folder, "service-silent.test.yaml"), JSON.stringify(cases));
    let printed = "";
    const output = { write: (text: string) => (printed += text) };
    const io = { stdout: output, stderr: output, cwd: folder, color: false };
    const exitCode = testRules(["service-silent.test.yaml"], io);
    expect(exitCode === 0 ? "" : printed).toBe("");
  });
});

function messageOf(action: { payload: { message: string } }): string {
  return action.payload.message;
}

// npm would fetch that name from the registry wherever the command is not installed, and anyone can register it.
test("nothing tells people to run the command through npx", () => {
  const texts = globSync(
    ["*.{md,json,toml,yaml}", "{src,scripts,bench,test,docs,rules,bin,deploy,.github}/**/*.*"],
    {
      cwd: root,
    },
  );
  const wrong = texts.filter((name) => /npx +(-\S+ +)*tripline/.test(textOf(name)));
  expect(texts).toContain("src/cli/main.ts");
  expect(wrong).toEqual([]);
});
