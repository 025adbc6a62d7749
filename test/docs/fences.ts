/** The fenced blocks of documents, which readers copy. */

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

export interface Fence {
  /** The path of the document in the project. */
  readonly file: string;
  /** The number of its first line of text, counted from 1. */
  readonly line: number;
  /** The first word after the backticks: `yaml`, `sh`, …; empty for none. */
  readonly language: string;
  /** What follows the language: `fixed`, or why the block is not run. */
  readonly note: string;
  readonly text: string;
  /** The name in a first line such as `# cooldown.yaml`, or null. */
  readonly name: string | null;
  /** The nearest heading above. */
  readonly heading: string;
}

/** The documents at the root, except the changelog, and those of docs/. */
export function documents(): string[] {
  const atRoot = readdirSync(root).filter((name) => /^[A-Z-]+\.md$/.test(name) && name !== "CHANGELOG.md");
  const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  return [...atRoot, ...docs.map((name) => `docs/${name}`)];
}

export function textOf(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** @throws Error naming the line of a block that is never closed */
export function fencesOf(file: string, markdown: string = textOf(file)): Fence[] {
  const fences: Fence[] = [];
  let open: { indent: string; info: string; line: number; lines: string[] } | null = null;
  let heading = "";
  for (const [index, line] of markdown.split("\n").entries()) {
    const [, indent = "", info] = /^( *)```(.*)$/.exec(line) ?? [];
    if (open === null && info !== undefined) open = { indent, info: info.trim(), line: index + 2, lines: [] };
    else if (open === null) heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
    else if (info === undefined) open.lines.push(line.replace(open.indent, ""));
    else {
      const text = `${open.lines.join("\n")}\n`;
      const [, language = "", note = ""] = /^(\S*)\s*(.*)$/.exec(open.info) ?? [];
      const name = /^# (\S+\.ya?ml)$/m.exec(open.lines[0] ?? "")?.[1] ?? null;
      fences.push({ file, line: open.line, language, note, text, name, heading });
      open = null;
    }
  }
  if (open !== null) throw new Error(`${file}:${open.line - 1}: this block is never closed`);
  return fences;
}
