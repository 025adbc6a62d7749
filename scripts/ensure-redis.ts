/** Makes sure that this machine has `redis-server`: for `npm start` without REDIS_URL, and for the tests, which start private servers. */

import { pathToFileURL } from "node:url";
import { ensureProgram, succeeds } from "./ensure-program.ts";

export function ensureRedisServer(): void {
  ensureProgram({
    name: "redis-server",
    isInstalled: () => succeeds("redis-server", "--version"),
    debianPackage: "redis-server",
    brewPackage: ["redis"],
    otherwise: "Install it with your package manager, or set REDIS_URL to a running Redis server.",
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) ensureRedisServer();
