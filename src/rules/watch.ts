/** Watches rule files: a good change is applied, a bad one is reported and the last good version stays. */

import { type FSWatcher, statSync, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import { type LoadedRules, type LoadOptions, readRules } from "./load.ts";
import { type RuleTexts, readRuleFiles } from "./rule-files.ts";

export interface WatchOptions extends Omit<LoadOptions, "now"> {
  /** The time, asked for at each change. */
  readonly now: () => number;
  /** Called with the rules after a change without mistakes. When it rejects, it is called again at the next look. */
  readonly apply: (rules: LoadedRules) => Promise<void>;
  /** Called once for each change with mistakes. What was applied before stays. */
  readonly reject: (rules: LoadedRules) => void;
  /** Called when `apply` rejects. */
  readonly failed: (error: unknown) => void;
  /** How long files must be quiet before they are read: editors write in several steps. Default 100. */
  readonly quietMs?: number;
  /**
   * How often the files are read without being told of a change: some file systems tell of none, and the machine may
   * have run out of watches. Default 5,000.
   */
  readonly lookMs?: number;
}

export interface RuleWatcher {
  /** Stops watching. Resolves when nothing is being applied any more. */
  close(): Promise<void>;
}

/**
 * Begins with a look at the files, and applies them, so that no change is lost between loading and watching; applying
 * the same rules twice does nothing.
 */
export function watchRules(paths: readonly string[], options: WatchOptions): RuleWatcher {
  return new Watcher(paths, options);
}

class Watcher implements RuleWatcher {
  readonly #paths: readonly string[];
  readonly #options: WatchOptions;
  readonly #cwd: string;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #timer: NodeJS.Timeout;
  #quiet: NodeJS.Timeout | undefined;
  /** What the files held when they were last applied or rejected. */
  #judged = "";
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(paths: readonly string[], options: WatchOptions) {
    this.#paths = paths;
    this.#options = options;
    this.#cwd = options.cwd ?? process.cwd();
    this.#timer = setInterval(() => this.#look(), options.lookMs ?? 5_000);
    this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#quiet);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#looking;
  }

  /** Looks take turns, so that an older version is never applied after a newer one. */
  #look(): void {
    this.#looking = this.#looking.then(async () => {
      if (this.#closed) return;
      this.#watch();
      const texts = readRuleFiles(this.#paths, this.#cwd);
      const content = contentOf(texts);
      if (content === this.#judged) return;
      const rules = readRules(texts, { ...this.#options, now: this.#options.now() });
      try {
        if (rules.diagnostics.length > 0) this.#options.reject(rules);
        else await this.#options.apply(rules);
        this.#judged = content;
      } catch (error) {
        this.#options.failed(error);
      }
    });
  }

  /** Watches directories, never files: an editor that saves by renaming puts another file in its place. */
  #watch(): void {
    for (const path of this.#paths) {
      const absolute = resolve(this.#cwd, path);
      const isDirectory = statSync(absolute, { throwIfNoEntry: false })?.isDirectory() ?? false;
      const directory = isDirectory ? absolute : dirname(absolute);
      if (this.#watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, { recursive: isDirectory }, () => this.#changed());
        watcher.on("error", () => {
          watcher.close();
          this.#watchers.delete(directory); // the next look tries again
        });
        this.#watchers.set(directory, watcher);
      } catch {
        // No such directory, or no watches left: looking now and then is what remains.
      }
    }
  }

  #changed(): void {
    if (this.#closed) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), this.#options.quietMs ?? 100);
  }
}

function contentOf({ texts, diagnostics }: RuleTexts): string {
  return JSON.stringify([[...texts], diagnostics]);
}
