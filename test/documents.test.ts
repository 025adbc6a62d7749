/** The links of documents work, README.md lists every page, and no page tells people to use npx. */

import { existsSync, globSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";
import { anchorsOf, linksIn } from "./docs/document.ts";
import { documents as documentNames, root, textOf } from "./docs/fences.ts";

const documents = documentNames().map((name) => ({ name, text: textOf(name) }));

test("every link to a file works", () => {
  const broken = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = ""]) => resolve(root, dirname(name), target))
      .filter((target) => !existsSync(target))
      .map((target) => `${name} links to ${relative(root, target)}, which does not exist`),
  );
  expect(documents.map(({ name }) => name)).toContain("docs/failure.md");
  expect(broken).toEqual([]);
});

test("every link to a heading works", () => {
  const anchors = new Map(documents.map(({ name, text }) => [name, anchorsOf(text)]));
  const broken = documents.flatMap(({ name, text }) =>
    linksIn(text)
      .map((link) => ({ ...link, target: link.file === "" ? name : join(dirname(name), link.file) }))
      .filter(({ target, anchor }) => anchors.has(target) && anchors.get(target)?.has(anchor) !== true)
      .map(({ target, anchor }) => `${name} links to ${target}#${anchor}, which does not exist`),
  );
  expect(broken).toEqual([]);
});

test("the README lists every page of docs/", () => {
  const readme = textOf("README.md");
  const unlisted = documents.filter(({ name }) => name.startsWith("docs/") && !readme.includes(`](${name})`));
  expect(unlisted.map(({ name }) => `${name} is missing from the table "Documents" of README.md`)).toEqual(
    [],
  );
});

// If the command is not installed, npx would fetch that name from the registry, where anyone can register it.
test("no file tells people to run the command with npx", () => {
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
