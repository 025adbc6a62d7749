/** Watches rule files. A valid change is applied; an invalid one is reported, and the last valid version stays. */

import { type FSWatcher, statSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import { systemClock } from "../retry/clock.ts";
import { type Failure, keepRunning } from "../retry/keep-trying.ts";
import { type LoadedRules, type LoadOptions, readRulesInSlices } from "./load.ts";
import { isDirectory, type RuleTexts, readRuleFiles } from "./rule-files.ts";

export interface WatchOptions extends Omit<LoadOptions, "now"> {
  /** Returns the current time. */
  readonly now: () => number;
  /** Called with the rules after a change without mistakes. If it rejects, the files are read and applied again. */
  readonly apply: (rules: LoadedRules) => Promise<void>;
  /** Called once for each change with mistakes. The rules applied before stay. */
  readonly reject: (rules: LoadedRules) => void | Promise<void>;
  /** Called when `apply` rejects or the files cannot be read, before the next try. */
  readonly failed: (failure: Failure) => void;
  /** How long files must stay the same before they are applied: editors write in several steps. Default 100. */
  readonly quietMs?: number;
  /**
   * How often the files are read even if no change was reported. Some file systems report none, and the machine may have
   * run out of watches. Default 5,000.
   */
  readonly lookMs?: number;
}

export interface RuleWatcher {
  /** Stops watching. Resolves when no change is being applied anymore. */
  close(): Promise<void>;
}

/**
 * Reads the files, applies or rejects the rules in them, and then watches for changes.
 *
 * @throws what `apply` or `reject` throws for the initial files; then nothing is watched
 */
export async function watchRules(paths: readonly string[], options: WatchOptions): Promise<RuleWatcher> {
  const watcher = new Watcher(paths, options);
  try {
    await watcher.start();
    return watcher;
  } catch (error) {
    await watcher.close();
    throw error;
  }
}

const quietMsDefault = 100;

/** Files that change all the time are read as they are after this time. */
const settleMsMax = 30_000;

class Watcher implements RuleWatcher {
  readonly #paths: readonly string[];
  readonly #options: WatchOptions;
  readonly #cwd: string;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #quiet: NodeJS.Timeout | undefined;
  /** The content of the files when they were last applied or rejected. */
  #judged = "";
  #looking: Promise<void> | null = null;
  #lookAgain = false;

  constructor(paths: readonly string[], options: WatchOptions) {
    this.#paths = paths;
    this.#options = options;
    this.#cwd = options.cwd ?? process.cwd();
  }

  async start(): Promise<void> {
    await this.#judge();
    this.#timer = setInterval(() => this.#look(), this.#options.lookMs ?? 5_000);
    this.#look(); // a change during the first look would go unnoticed
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#timer);
    clearTimeout(this.#quiet);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#looking;
  }

  /** Only one look runs at a time, so that an older version is never applied after a newer one. */
  #look(): void {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    this.#lookAgain = this.#looking !== null;
    if (this.#lookAgain) return;
    this.#looking = keepRunning(() => this.#judge(), { signal, onFailure: this.#options.failed }).finally(
      () => {
        this.#looking = null;
        if (this.#lookAgain) this.#look();
      },
    );
  }

  async #judge(): Promise<void> {
    let texts = this.#read();
    let content = contentOf(texts);
    if (content === this.#judged) return;
    // What is written in steps, as by a checkout of many files, lacks rules meanwhile: their windows would be gone for good.
    const deadline = performance.now() + settleMsMax;
    for (let isSettled = this.#judged === ""; !isSettled; ) {
      await systemClock.sleep(this.#options.quietMs ?? quietMsDefault, this.#closing.signal);
      if (this.#closing.signal.aborted) return;
      const before = content;
      texts = this.#read();
      content = contentOf(texts);
      isSettled = content === before || performance.now() > deadline;
    }
    if (content === this.#judged) return;
    const rules = await readRulesInSlices(texts, { ...this.#options, now: this.#options.now() });
    if (rules.diagnostics.length > 0) await this.#options.reject(rules);
    else await this.#options.apply(rules);
    this.#judged = content;
  }

  /** Reads the files, and reads them again if a directory was not watched yet while they were read. */
  #read(): RuleTexts {
    for (;;) {
      const texts = readRuleFiles(this.#paths, this.#cwd);
      if (!this.#watch(texts.directories)) return texts;
    }
  }

  /**
   * Watches directories and not files, because an editor that saves by renaming replaces the file. Each directory gets its
   * own watcher, because a recursive one ends the process if it meets a directory that it may not read.
   *
   * @returns true when a directory is watched that was not watched before
   */
  #watch(directories: readonly string[]): boolean {
    const found = new Map<string, string>();
    for (const path of [...directories, ...this.#paths.map((path) => this.#directoryOf(path))]) {
      const directory = resolve(this.#cwd, path);
      const identity = identityOf(directory);
      if (identity !== null) found.set(identity, directory);
    }
    for (const [identity, watcher] of this.#watchers) {
      if (found.has(identity)) continue;
      watcher.close();
      this.#watchers.delete(identity);
    }
    let isNew = false;
    for (const [identity, directory] of found) {
      if (this.#watchers.has(identity)) continue;
      try {
        const watcher = watch(directory, () => this.#changed());
        watcher.on("error", () => {
          watcher.close();
          this.#watchers.delete(identity); // the next look tries again
        });
        this.#watchers.set(identity, watcher);
        isNew = true;
      } catch {
        // The directory is gone, or no watches are left. The periodic look still finds changes.
      }
    }
    return isNew;
  }

  /** The directory itself, or the directory of a file, which need not exist yet. */
  #directoryOf(path: string): string {
    return isDirectory(resolve(this.#cwd, path)) ? path : dirname(path);
  }

  #changed(): void {
    if (this.#closing.signal.aborted || this.#timer === undefined) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), this.#options.quietMs ?? quietMsDefault);
  }
}

/** Path, device and inode, so that a new directory with the same name is watched again. Null when it cannot be read. */
function identityOf(directory: string): string | null {
  try {
    const { dev, ino } = statSync(directory, { bigint: true });
    return `${directory} ${dev} ${ino}`;
  } catch {
    return null;
  }
}

function contentOf({ texts, diagnostics }: RuleTexts): string {
  return JSON.stringify([[...texts], diagnostics]);
}
