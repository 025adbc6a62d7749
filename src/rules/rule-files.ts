/** Finds and reads rule files. */

import { type Dirent, existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, normalize, resolve } from "node:path";
import { type Diagnostic, diagnosticAt, wholeFile } from "./diagnostic.ts";
import { ruleFileBytesMax } from "./rule-tree.ts";

export interface RuleTexts {
  /** The text of each rule file by its name, sorted by name. A name starts with the path under which it was found. */
  readonly texts: ReadonlyMap<string, string>;
  readonly diagnostics: readonly Diagnostic[];
}

export interface FoundTexts extends RuleTexts {
  /** Every directory that was read. */
  readonly directories: readonly string[];
}

const fileCountMax = 10_000; // so that a wrong path does not read a whole disk

/** A kind of file, recognized by its name. */
export interface FileKind {
  readonly noun: string;
  readonly isOne: (name: string) => boolean;
  /** False for names that certainly mean something else. A file that is named explicitly may have any other name. */
  readonly mayBeOne: (name: string) => boolean;
  readonly names: string;
}

const ruleFiles: FileKind = {
  noun: "rule file",
  isOne: (name) => /\.(ya?ml|json)$/i.test(name) && !isOther(name),
  mayBeOne: (name) => !isOther(name),
  names: ".yaml, .yml or .json file",
};

/**
 * Reads the rule files that `paths` name: files, and directories with all `*.yaml`, `*.yml` and `*.json` below them.
 * `*.test.yaml` (cases for rules), `*.schema.json`, hidden files and `node_modules` are skipped.
 *
 * @param cwd the directory that paths are relative to
 * @param kind the kind of file to read
 */
export function readRuleFiles(paths: readonly string[], cwd: string, kind = ruleFiles): FoundTexts {
  const reader = new FileReader(cwd, kind);
  for (const path of paths) reader.readPath(normalize(path));
  const texts = [...reader.texts].sort(([a], [b]) => (a < b ? -1 : 1));
  const { diagnostics, directories } = reader;
  return { texts: new Map(texts), diagnostics, directories };
}

class FileReader {
  readonly texts = new Map<string, string>();
  readonly diagnostics: Diagnostic[] = [];
  readonly directories: string[] = [];
  readonly #cwd: string;
  readonly #kind: FileKind;
  /** Real paths, so that a file or directory that is reached twice, for example through a link, counts once. */
  readonly #visited = new Set<string>();
  #foundCount = 0; // every file that looks like a rule file, even if it was read before or cannot be read

  constructor(cwd: string, kind: FileKind) {
    this.#cwd = cwd;
    this.#kind = kind;
  }

  readPath(path: string): void {
    const { noun, names, mayBeOne } = this.#kind;
    if (!this.#isDirectory(path)) {
      if (mayBeOne(path) || !existsSync(resolve(this.#cwd, path))) this.#readFile(path);
      else this.#report(path, `does not look like a ${noun}; name a ${names}, or a directory`);
      return;
    }
    const foundBefore = this.#foundCount;
    this.#readDirectory(path);
    if (this.#foundCount === foundBefore && !this.diagnostics.some(({ file }) => file === path)) {
      this.#report(path, `no ${noun}s here; add a ${names}, or name another directory`);
    }
  }

  #readDirectory(directory: string): void {
    let entries: Dirent[];
    try {
      if (!this.#visit(directory)) return;
      entries = readdirSync(resolve(this.#cwd, directory), { withFileTypes: true });
      this.directories.push(directory);
    } catch (error) {
      this.#report(directory, unreadable(error));
      return;
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const path = join(directory, entry.name);
      const isDirectory = entry.isDirectory() || (entry.isSymbolicLink() && this.#isDirectory(path));
      if (isDirectory) this.#readDirectory(path);
      else if (this.#kind.isOne(entry.name)) this.#readFile(path);
    }
  }

  #readFile(file: string): void {
    this.#foundCount++;
    try {
      if (!this.#visit(file)) return;
      const path = resolve(this.#cwd, file);
      const stats = statSync(path);
      if (!stats.isFile()) {
        this.#report(file, `is not a file; name a ${this.#kind.noun} or a directory`);
      } else if (stats.size > ruleFileBytesMax) {
        this.#report(
          file,
          `has ${stats.size} bytes; a ${this.#kind.noun} has at most ${ruleFileBytesMax}; split it`,
        );
      } else if (this.texts.size >= fileCountMax) {
        this.#report(file, `is one of more than ${fileCountMax} files; name a smaller directory`);
      } else {
        this.texts.set(file, new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)));
      }
    } catch (error) {
      this.#report(file, unreadable(error));
    }
  }

  #isDirectory(path: string): boolean {
    return isDirectory(resolve(this.#cwd, path));
  }

  /** @throws the file system's error when there is nothing at `path` */
  #visit(path: string): boolean {
    const real = realpathSync(resolve(this.#cwd, path));
    if (this.#visited.has(real)) return false;
    this.#visited.add(real);
    return true;
  }

  #report(file: string, message: string): void {
    this.diagnostics.push(diagnosticAt(file, wholeFile, message));
  }
}

/** False also if this cannot be determined. Then reading the path reports why. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function isOther(name: string): boolean {
  return /\.(test\.ya?ml|schema\.json)$/i.test(name);
}

function unreadable(error: unknown): string {
  if (error instanceof TypeError) return "is not UTF-8 text; save it as UTF-8";
  const code = error instanceof Error && "code" in error ? error.code : error;
  return code === "ENOENT"
    ? "no such file or directory; check the path"
    : `cannot be read (${code}); check its permissions, or name another path`;
}
