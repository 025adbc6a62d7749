/** Several private redis-server processes that belong together, and their end. */

import { type ChildProcess, execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { launch } from "./redis.ts";

const execute = promisify(execFile);

/** A process that can be killed as a power cut would, and started again on its port and files. */
export interface TestNode {
  readonly port: number;
  kill9(): Promise<void>;
  restart(): Promise<void>;
  /** Stops it without a word: connections stay open, and nobody answers. */
  pause(): void;
  resume(): void;
}

export class RedisNodes {
  readonly #directories: string[] = [];
  readonly #processes = new Map<number, ChildProcess>();
  readonly #killWithParent = () => {
    for (const running of this.#processes.values()) running.kill("SIGKILL");
  };

  constructor() {
    process.on("exit", this.#killWithParent);
  }

  /**
   * Starts a server on a free port.
   *
   * @param settings are given the port and the directory
   */
  async start(settings: (port: number, directory: string) => readonly string[]): Promise<TestNode> {
    const directory = await mkdtemp(join(tmpdir(), "tripline-redis-"));
    this.#directories.push(directory);
    for (let attempt = 1; ; attempt += 1) {
      const port = await freeClusterPort();
      const common = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""];
      try {
        return await this.#run(
          port,
          [...common, ...settings(port, directory)],
          "Ready to accept connections",
        );
      } catch (error) {
        if (attempt === 5) throw error; // another suite may have taken the port
      }
    }
  }

  async startSentinel(lines: (port: number) => readonly string[]): Promise<TestNode> {
    const directory = await mkdtemp(join(tmpdir(), "tripline-sentinel-"));
    this.#directories.push(directory);
    for (let attempt = 1; ; attempt += 1) {
      const port = await freeClusterPort();
      const file = join(directory, `${port}.conf`);
      await writeFile(
        file,
        [`port ${port}`, "bind 127.0.0.1", `dir ${directory}`, ...lines(port)].join("\n"),
      );
      try {
        return await this.#run(port, [file, "--sentinel"], "Sentinel ID is");
      } catch (error) {
        if (attempt === 5) throw error;
      }
    }
  }

  async #run(port: number, settings: readonly string[], isReady: string): Promise<TestNode> {
    this.#processes.set(port, await launch(settings, isReady));
    const end = async () => {
      const running = this.#processes.get(port);
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const exited = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGKILL");
      await exited;
    };
    return {
      port,
      kill9: end,
      restart: async () => {
        await end();
        this.#processes.set(port, await launch(settings, isReady));
      },
      pause: () => void this.#processes.get(port)?.kill("SIGSTOP"),
      resume: () => void this.#processes.get(port)?.kill("SIGCONT"),
    };
  }

  /** Ends all of them and removes their files. */
  async stop(): Promise<void> {
    const ended = [...this.#processes.values()].map(async (running) => {
      if (running.exitCode !== null || running.signalCode !== null) return;
      const exited = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGKILL");
      await exited;
    });
    await Promise.all(ended);
    process.off("exit", this.#killWithParent);
    for (const directory of this.#directories) await rm(directory, { recursive: true, force: true });
  }
}

/** Runs redis-cli. @returns what it printed */
export async function redisCli(port: number, ...words: string[]): Promise<string> {
  const { stdout } = await execute("redis-cli", ["-h", "127.0.0.1", "-p", String(port), ...words]);
  return stdout.trim();
}

/** @throws Error that names what did not happen within a minute */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); ) {
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A port whose cluster bus, 10,000 above it, is free as well. */
async function freeClusterPort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
