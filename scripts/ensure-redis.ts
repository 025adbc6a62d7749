/**
 * Sees to it that this machine has a `redis-server`: for `npm start` without REDIS_URL, and for the tests, which start
 * private ones. The product itself (`tripline serve`) never installs anything.
 */

import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";

type Command = readonly [program: string, ...parameters: string[]];

/** Finds `redis-server`, or installs it and says so; otherwise prints what to run, and ends this process with 1. */
export function ensureRedisServer(): void {
  if (answers("redis-server", "--version")) return;
  const commands = installation();
  if (commands === null) {
    fail(`Install it with your system's package manager, or set REDIS_URL to a Redis that is running.`);
  }
  const shown = commands.map((command) => command.join(" ")).join(" && ");
  if (!mayInstall(commands)) fail(`Run this${hasSudo() ? "" : " as root"}, then try again:\n\n  ${shown}\n`);

  console.log(`redis-server is not on this machine; installing it:\n\n  ${shown}\n`);
  for (const [program, ...parameters] of commands) {
    const { status } = spawnSync(program, parameters, {
      stdio: "inherit",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status !== 0) fail(`That failed. Run this, then try again:\n\n  ${shown}\n`);
  }
  if (!answers("redis-server", "--version")) fail("It was installed, but is still not found on the PATH.");
}

/** The commands that install Redis here, or null where we know none. */
function installation(): readonly Command[] | null {
  if (answers("apt-get", "--version")) {
    const apt: Command = !isRoot() && hasSudo() ? ["sudo", "apt-get"] : ["apt-get"];
    return [
      [...apt, "update"],
      [...apt, "install", "-y", "--no-install-recommends", "redis-server"],
    ];
  }
  if (answers("brew", "--version")) return [["brew", "install", "redis"]];
  return null;
}

/** True when nobody has to be asked for a password. */
function mayInstall([first]: readonly Command[]): boolean {
  if (first?.[0] === "brew" || isRoot()) return true;
  return hasSudo() && answers("sudo", "-n", "true");
}

function hasSudo(): boolean {
  return answers("sudo", "--version");
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function answers(program: string, ...parameters: string[]): boolean {
  return spawnSync(program, parameters, { stdio: "ignore" }).status === 0;
}

function fail(remedy: string): never {
  console.error(
    `Tripline needs redis-server (the program that holds its log), which is not on this machine.\n${remedy}`,
  );
  process.exit(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) ensureRedisServer();
