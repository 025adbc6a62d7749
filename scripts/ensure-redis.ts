/**
 * Makes sure that this machine has `redis-server`: for `npm start` without REDIS_URL, and for the tests, which start
 * private servers. It prints what it installs, and asks first if there is a terminal. The product itself
 * (`tripline serve`) never installs anything.
 */

import { spawnSync } from "node:child_process";
import { readSync } from "node:fs";
import { pathToFileURL } from "node:url";

type Command = readonly [program: string, ...parameters: string[]];

/**
 * Finds `redis-server`. If it is missing, prints the commands that install it, and runs them if a person at the
 * terminal agrees. Without a terminal, it runs them in CI (CI=true) and as root. Otherwise exits with status 1.
 */
export function ensureRedisServer(): void {
  if (succeeds("redis-server", "--version")) return;
  const commands = installation();
  if (commands === null) {
    fail(`Install it with your package manager, or set REDIS_URL to a running Redis server.`);
  }
  const commandLine = commands.map((command) => command.join(" ")).join(" && ");
  if (!mayInstall(commands))
    fail(`Run this${hasSudo() ? "" : " as root"}, then try again:\n\n  ${commandLine}\n`);

  console.log(`redis-server is not installed. To install it:\n\n  ${commandLine}\n`);
  if (process.stdin.isTTY) {
    if (!confirms("Install it now? [y/N] ")) fail(`Run this, then try again:\n\n  ${commandLine}\n`);
  } else if (isCi() || isRoot()) {
    // In a container or a CI job there is no one to ask, and nothing else lives on the machine.
    console.log("There is no terminal to ask on. Installing it.");
  } else fail(`There is no terminal to ask on. Run this, then try again:\n\n  ${commandLine}\n`);

  for (const [program, ...parameters] of commands) {
    const { status } = spawnSync(program, parameters, {
      stdio: "inherit",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status !== 0) fail(`The installation failed. Run this, then try again:\n\n  ${commandLine}\n`);
  }
  if (!succeeds("redis-server", "--version"))
    fail("The installation succeeded, but redis-server is not on the PATH.");
}

/** The commands that install Redis here, or null if the package manager is unknown. */
function installation(): readonly Command[] | null {
  if (succeeds("apt-get", "--version")) {
    const apt: Command = !isRoot() && hasSudo() ? ["sudo", "apt-get"] : ["apt-get"];
    return [
      [...apt, "update"],
      [...apt, "install", "-y", "--no-install-recommends", "redis-server"],
    ];
  }
  if (succeeds("brew", "--version")) return [["brew", "install", "redis"]];
  return null;
}

function isCi(): boolean {
  return !["", "0", "false"].includes(process.env["CI"] ?? "");
}

/** Asks a question on the terminal. */
function confirms(question: string): boolean {
  process.stdout.write(question);
  const answer = Buffer.alloc(100);
  return /^y(es)?$/i.test(answer.toString("utf8", 0, readSync(0, answer)).trim());
}

/** True if the commands can run without asking for a password. */
function mayInstall([first]: readonly Command[]): boolean {
  if (first?.[0] === "brew" || isRoot()) return true;
  return hasSudo() && succeeds("sudo", "-n", "true");
}

function hasSudo(): boolean {
  return succeeds("sudo", "--version");
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function succeeds(program: string, ...parameters: string[]): boolean {
  return spawnSync(program, parameters, { stdio: "ignore" }).status === 0;
}

function fail(remedy: string): never {
  console.error(`Tripline needs redis-server, which is not installed.\n${remedy}`);
  process.exit(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) ensureRedisServer();
