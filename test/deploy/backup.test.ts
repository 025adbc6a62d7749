/** Runs the commands for backup and restore of docs/deploy.md. */

import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, describe, expect, test } from "vitest";
import { type Running, Sandbox } from "../cli/support.ts";
import { fencesOf } from "../docs/fences.ts";
import { databaseKinds } from "../history/databases.ts";
import { freePort } from "../support/free-port.ts";

const sandbox = new Sandbox();
const folder = mkdtempSync(join(tmpdir(), "tripline-backup-"));

afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The block of the document that is marked with this name. */
function block(name: string): string {
  const found = fencesOf("docs/deploy.md").find(({ note }) => note === `run: ${name}`);
  if (found === undefined) throw new Error(`docs/deploy.md has no block "run: ${name}"`);
  return found.text;
}

function run(name: string, env: Readonly<Record<string, string>>): void {
  const script = block(name).replaceAll("/tmp/restore.sock", join(folder, "restore.sock"));
  execFileSync("sh", ["-euc", script], { cwd: folder, env: { ...process.env, ...env }, stdio: "pipe" });
}

/** A Redis as the document sets it up. */
async function startRedis(directory: string): Promise<{ url: string; stop(): Promise<void> }> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const words = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
  const server = spawn("redis-server", [...words, "--appendonly", "yes", "--appendfsync", "always"], {
    stdio: "ignore",
  });
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => {}); // it is not ready yet
  await client.ping();
  client.disconnect();
  return {
    url,
    async stop() {
      server.kill("SIGTERM");
      await once(server, "exit");
    },
  };
}

const has = (program: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};

const kinds = databaseKinds.map((kind) => {
  const program = kind.name === "SQLite" ? "sqlite3" : "pg_dump";
  return { ...kind, missing: kind.missing ?? (has(program) ? null : `${program} is not installed`) };
});

describe("backup and restore", () => {
  for (const kind of kinds) {
    test.skipIf(kind.missing !== null)(
      `bring back events and open windows, with ${kind.name}${kind.missing === null ? "" : ` (skipped: ${kind.missing})`}`,
      async () => {
        const database = await kind.start();
        const options = database.options("default") as { path?: string; url?: string };
        const isFile = options.path !== undefined;
        const history = isFile ? `sqlite:${options.path}` : String(options.url);
        const directory = join(folder, randomUUID());
        const rules = sandbox.write(
          `${randomUUID()}.yaml`,
          "name: pump-silent\ntrigger: {posture: Reactive, expect: [pump.stopped], for_each: [prefect.resource.id], threshold: 2, within: 1h}\nactions: [{type: do-nothing}]\n",
        );
        const start = async (url: string) => sandbox.serve(url, ["--rules", rules, "--history-url", history]);
        const emit = (api: string, resource: string) =>
          sandbox.output(["emit", "-e", "pump.stopped", "-r", resource, "--url", api]);
        const resources = async (api: string): Promise<string[]> => {
          const { stdout } = await sandbox.output([
            "events",
            "ls",
            "--name",
            "pump.stopped",
            "--output",
            "json",
            "--url",
            api,
          ]);
          const events = JSON.parse(stdout) as { resource: Record<string, string> }[];
          return events.map(({ resource }) => resource["prefect.resource.id"] ?? "").sort();
        };
        const settle = async (api: string, wanted: readonly string[]) => {
          for (const deadline = Date.now() + 20_000; ; ) {
            const found = await resources(api);
            if (JSON.stringify(found) === JSON.stringify(wanted)) return;
            if (Date.now() > deadline) expect(found).toEqual(wanted);
          }
        };

        const redis = await startRedis(directory);
        const server = await start(redis.url);
        expect((await emit(server.api, "pump.1")).code).toBe(0);
        await settle(server.api, ["pump.1"]);
        const env = {
          REDIS_URL: redis.url,
          REDIS_DIR: directory,
          ...(isFile ? { HISTORY: options.path ?? "" } : { HISTORY_URL: history }),
        };
        // With PostgreSQL the first block's line for SQLite does not apply.
        if (isFile) run("backup", env);
        else {
          mkdirSync(join(folder, "backup"), { recursive: true });
          run("backup-postgres", env);
          const redisLine =
            block("backup")
              .split("\n")
              .find((line) => line.startsWith("redis-cli")) ?? "";
          execFileSync("sh", ["-euc", redisLine], {
            cwd: folder,
            env: { ...process.env, ...env },
            stdio: "pipe",
          });
        }
        await emit(server.api, "pump.2");
        await settle(server.api, ["pump.1", "pump.2"]);
        await server.process.end();
        await redis.stop();

        run("restore", env);
        run(isFile ? "restore-sqlite" : "restore-postgres", env);
        expect(existsSync(join(directory, "appendonlydir"))).toBe(true);
        const restored = await startRedis(directory);
        const again = await start(restored.url);
        await settle(again.api, ["pump.1"]);
        // The window of pump.1 was open at the backup, with one of two: the next event fires.
        const { stdout } = await sandbox.output([
          "windows",
          "pump-silent",
          "--output",
          "json",
          "--url",
          again.api,
        ]);
        expect(stdout).toContain("pump.1");
        expect(stdout).not.toContain("pump.2");
        await stopAll([again.process]);
        await restored.stop();
        await database.remove();
      },
      120_000,
    );
  }
});

async function stopAll(processes: readonly Running[]): Promise<void> {
  for (const process of processes) await process.end();
}
