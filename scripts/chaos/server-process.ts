/** One `tripline serve` of a chaos run, and a supervisor that starts it again however it ends. */

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const root = resolve(import.meta.dirname, "../..");
const restartMs = 1_000;
const lookMs = 50;

export interface ServerProcessOptions {
  readonly name: string;
  /** Options of `tripline serve`. */
  readonly words: readonly string[];
  /** Where its log goes. */
  readonly folder: string;
  /** Called when it ends although no one had asked it to, after it was running. */
  readonly onCrash: (name: string, how: string) => void;
}

export class ServerProcess {
  readonly name: string;
  readonly #options: ServerProcessOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | null = null;
  #isWanted = false;
  #isDestroyed = false;
  #isRunning = false;

  constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.#log = createWriteStream(join(options.folder, `${options.name}.log`), { flags: "a" });
    process.on("exit", () => this.destroy()); // even if this program fails
  }

  /** Starts it, and again if it ends by itself: as long as Redis cannot be reached, a server does not start. */
  start(): void {
    if (this.#isDestroyed) return;
    this.#isWanted = true;
    // Two faults that overlap may both start it.
    if (this.#child === null) this.#launch();
  }

  /** Resolves once it runs, however often it has to be started. */
  async running(): Promise<void> {
    while (!this.#isRunning && !this.#isDestroyed) await pause(lookMs);
  }

  /** Ends it and leaves it down. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    if (child === null) return;
    const exited = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await exited;
  }

  /** Stops it in the middle of whatever it does. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** At once, without a word. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#isWanted = false;
    this.#child?.kill("SIGKILL");
  }

  #launch(): void {
    const { name, words, onCrash } = this.#options;
    const child = spawn(process.execPath, [join(root, "src/cli/bin.ts"), "serve", ...words], {
      cwd: root,
      env: plainEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#log.write(`--- started as ${child.pid} at ${new Date().toISOString()}\n`);
    let wasRunning = false;
    child.stdout.on("data", (chunk: Buffer) => {
      this.#log.write(chunk);
      if (wasRunning || !chunk.includes("Tripline is running")) return;
      wasRunning = true;
      this.#isRunning = true;
    });
    child.stderr.on("data", (chunk: Buffer) => void this.#log.write(chunk));
    child.once("exit", async (code, signal) => {
      this.#log.write(`--- ended with ${signal ?? code} at ${new Date().toISOString()}\n`);
      this.#child = null;
      this.#isRunning = false;
      if (!this.#isWanted) return;
      if (wasRunning) onCrash(name, String(signal ?? code));
      await pause(restartMs);
      if (this.#isWanted && this.#child === null) this.#launch();
    });
  }
}

/** Without settings of the person who runs this. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(TRIPLINE|PREFECT|REDIS|OTEL|npm)_/.test(name),
  );
  const cache = join(root, "node_modules", ".cache", "tripline");
  return { ...Object.fromEntries(kept), NODE_COMPILE_CACHE: cache };
}
