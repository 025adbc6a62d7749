/** Runs the commands as a person does: in real processes. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");
/** The command of this clone. */
export const launcher = join(root, "bin", "tripline");

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process, and what it has printed so far. */
export class Running {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #finished: Finished | null = null;

  constructor(program: string, words: readonly string[], env: Record<string, string>, input?: string) {
    this.#child = spawn(program, words, {
      cwd: root,
      env: { ...environment(), ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdin?.end(input ?? "");
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
      this.#look();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#look();
    });
    this.ended = new Promise((done) => {
      this.#child.once("close", (code, signal) => {
        this.#finished = { code, signal };
        this.#look();
        done({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Finished> {
    if (this.#finished === null) this.#child.kill(signal);
    return this.ended;
  }

  /** Waits until `look` finds something in what was printed. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return new Promise((found, failed) => {
      const watch = () => {
        const result = look();
        if (result !== null && result !== undefined && result !== false) found(result);
        else if (this.#finished !== null) {
          failed(
            new Error(
              `It ended (${JSON.stringify(this.#finished)}) and printed:\n${this.stdout}${this.stderr}`,
            ),
          );
        } else return;
        this.#watchers.delete(watch);
      };
      this.#watchers.add(watch);
      watch();
    });
  }

  #look(): void {
    for (const watch of this.#watchers) watch();
  }
}

/** The folder and the processes of one test file. `close` ends the processes and removes the folder. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "tripline-cli-"));
  readonly #running: Running[] = [];

  /** Runs `tripline`. */
  tripline(words: readonly string[], env: Record<string, string> = {}, input?: string): Running {
    const history = { TRIPLINE_HISTORY_URL: `sqlite:${join(this.folder, "history.sqlite")}` };
    return this.run(launcher, words, { ...history, ...env }, input);
  }

  run(program: string, words: readonly string[], env: Record<string, string> = {}, input?: string): Running {
    const running = new Running(program, words, env, input);
    this.#running.push(running);
    return running;
  }

  /** Runs `tripline` to its end. */
  async output(words: readonly string[], env: Record<string, string> = {}, input?: string) {
    const running = this.tripline(words, env, input);
    const { code } = await running.ended;
    return { code, stdout: running.stdout, stderr: running.stderr };
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts `tripline serve`, which takes over quickly from a killed server, and waits until it listens. */
  async serve(
    redisUrl: string,
    words: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<Server> {
    const quick = ["--lease", "500ms", "--worker-dead-after", "500ms", "--lateness", "0"];
    const local = ["--port", "0", "--allow-private-addresses", "loopback", "--redis", redisUrl];
    const process = this.tripline(["serve", ...local, ...quick, ...words], env);
    const url = await process.until(
      () => logLines(process).find(({ msg }) => msg === "Tripline is running")?.["url"],
    );
    return { process, url: String(url), api: `${url}/api` };
  }

  /** Starts `tripline listen` on a free port. */
  async listen(words: readonly string[] = []): Promise<Listener> {
    const process = this.tripline(["listen", "--json", "--port", "0", ...words]);
    const url = await process.until(() => /http:\S+/.exec(process.stderr)?.[0]);
    const deliveries = () => linesOf<Delivery>(process.stdout);
    return {
      url,
      deliveries,
      until: async (enough) => process.until(() => (enough(deliveries()) ? deliveries() : null)),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.end("SIGKILL")));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Server {
  readonly process: Running;
  readonly url: string;
  /** The value for TRIPLINE_API_URL. */
  readonly api: string;
}

/** What `tripline listen --json` prints. */
export interface Delivery {
  readonly webhook_id: string;
  readonly arrival: number;
  readonly signature: string;
  readonly answered: number;
  readonly body: Record<string, unknown>;
}

export interface Listener {
  readonly url: string;
  deliveries(): Delivery[];
  until(enough: (deliveries: Delivery[]) => boolean): Promise<Delivery[]>;
}

export function logLines(process: Running): Record<string, unknown>[] {
  return linesOf(process.stdout);
}

/** Complete lines of JSON; others, such as those of npm, are skipped. */
function linesOf<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split("\n")
    .slice(0, -1)
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as T];
      } catch {
        return [];
      }
    });
}

/**
 * The environment of this process, without settings that would affect the commands under test. A server sends no canary
 * unless it is told to: tests count events and deliveries.
 */
function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && !/^(TRIPLINE_|PREFECT_|REDIS_URL|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  return { ...(Object.fromEntries(kept) as Record<string, string>), NO_COLOR: "1", TRIPLINE_CANARY: "0" };
}
