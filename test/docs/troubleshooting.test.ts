/** docs/troubleshooting.md quotes the program's messages exactly, because readers search for them. */

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fencesOf, root, textOf } from "./fences.ts";

const page = "docs/troubleshooting.md";
const text = textOf(page);

/** Messages of Redis, Node or curl. */
const others = [/ECONNREFUSED/, /ENOTFOUND/, /OOM command/, /READONLY/, /NOAUTH|WRONGPASS/, /^ERR /, /^curl/];

/** Sentences in code, which are not commands, settings or parts of rules. */
const quotes = [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([A-Za-z][^`]*? [^`]*)`/g)]
  .map(([, quote = ""]) => quote)
  .filter(
    (quote) => /^(?:[A-Z]|lacks|names|it is late)/.test(quote) && !/^(?:GET|POST|Authorization)/.test(quote),
  )
  .filter((quote) => !others.some((pattern) => pattern.test(quote)));

/** Tripline's own messages in the blocks of output. */
const outputs = [
  "The event is not covered",
  "The server refused the request",
  "There are no API keys; listening on 127.0.0.1 only",
  "is not a public address. If you trust it, allow it with",
  "needs a number",
  "unknown key",
  "did you mean",
];

const source = globSync("src/**/*.ts", { cwd: root })
  .map((file) => readFileSync(join(root, file), "utf8"))
  .join("\n")
  .replaceAll(/\$\{[^}]*\}/g, "…");

test("the quotes in docs/troubleshooting.md are messages of the program", () => {
  expect(quotes.length).toBeGreaterThan(8);
  const parts = quotes.flatMap((quote) => quote.split("…").map((part) => part.trim().replace(/:$/, "")));
  const missing = parts.filter((part) => part.length > 3 && !source.includes(withoutAddress(part)));
  expect(missing).toEqual([]);
});

test("the output in docs/troubleshooting.md has messages of the program", () => {
  const blocks = fencesOf(page)
    .flatMap((fence) => (fence.language === "text" ? [fence.text] : []))
    .join("");
  expect(outputs.filter((part) => !blocks.includes(part))).toEqual([]);
  expect(outputs.filter((part) => !source.includes(part))).toEqual([]);
});

/** `Cannot listen on 127.0.0.1:4200: another …` names an address that the program fills in. */
function withoutAddress(part: string): string {
  return part.replace(/127\.0\.0\.1:\d+.*/, "").trim();
}
