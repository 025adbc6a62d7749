/**
 * Writes src/store/scripts/generated.ts from the Lua scripts beside it: `npm run lua`.
 *
 * The edge Worker cannot read files at run time, so programs import the scripts as text from that module. It is checked
 * in, and test/store/scripts.test.ts fails if it is out of date.
 */

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const folder = new URL("../src/store/scripts/", import.meta.url);

/** The text of the module. */
export function luaModuleText(): string {
  const texts = new Map(
    globSync("*.lua", { cwd: folder })
      .sort()
      .map((file) => [basename(file, ".lua"), readFileSync(new URL(file, folder), "utf8")]),
  );
  const included = new Set(
    [...texts.values()].flatMap((text) => [...text.matchAll(include)].map(([, name]) => name)),
  );
  const exports = [...texts]
    .filter(([name]) => !included.has(name)) // a fragment is not a script
    .map(
      ([name, text]) =>
        `export const ${camelCase(name)} = \`\n${escaped(withoutComments(withIncludes(text, texts)))}\`;\n`,
    );
  return [header, ...exports].join("\n");
}

const header = "/** Generated from the .lua files of this folder by `npm run lua`. Edit those instead. */\n";

// BullMQ's scripts use the same syntax. Two dashes alone would be a comment.
const include = /^--- @include "([^"]+)"$/gm;

function withIncludes(text: string, texts: ReadonlyMap<string, string>): string {
  return text.replaceAll(include, (_directive, name: string) => {
    const fragment = texts.get(name);
    if (fragment === undefined) throw new Error(`src/store/scripts has no ${name}.lua to include`);
    return fragment.trimEnd();
  });
}

/** Redis keeps the text of each script that it receives, so comments would cost memory. */
function withoutComments(text: string): string {
  return text
    .replaceAll(/^--.*\n/gm, "")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trimStart();
}

function escaped(text: string): string {
  return text.replaceAll(/[\\`]|\$\{/g, "\\$&");
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_dash, letter: string) => letter.toUpperCase());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(new URL("generated.ts", folder), luaModuleText());
}
