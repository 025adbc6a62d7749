/**
 * Makes sure that this machine has a `redis-server`: for `npm start` without REDIS_URL, and for the tests, which start
 * private ones. It says what it installs, and asks first where there is a terminal. The product itself (`tripline serve`) never installs anything.
 */

import { spawnSync } from "node:child_process";
import { readSync } from "node:fs";
import { pathToFileURL } from "node:url";

type Command = readonly [program: string, ...parameters: string[]];

/**
 * Finds `redis-server`. Where it is missing, prints the commands that install it, and runs them if a person at the
 * terminal agrees. Without a terminal it runs them in CI (CI=true) and as root. Otherwise ends this process with 1.
 */
export function ensureRedisServer(): void {
  if (answers("redis-server", "--version")) return;
  const commands = installation();
  if (commands === null) {
    fail(`Install it with your system's package manager, or set REDIS_URL to a Redis that is running.`);
  }
  const shown = commands.map((command) => command.join(" ")).join(" && ");
  if (!mayInstall(commands)) fail(`Run this${hasSudo() ? "" : " as root"}, then try again:\n\n  ${shown}\n`);

  console.log(`redis-server is not on this machine. These commands install it:\n\n  ${shown}\n`);
  if (process.stdin.isTTY) {
    if (!agrees("Run them now? [y/N] ")) fail(`Run this, then try again:\n\n  ${shown}\n`);
  } else if (isCi() || isRoot()) {
    // A container or a CI job: no one can be asked, and the machine is theirs.
    console.log("There is no terminal to ask on; running them.");
  } else fail(`There is no terminal to ask on. Run this, then try again:\n\n  ${shown}\n`);

  for (const [program, ...parameters] of commands) {
    const { status } = spawnSync(program, parameters, {
      stdio: "inherit",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status !== 0) fail(`That failed. Run this, then try again:\n\n  ${shown}\n`);
  }
  if (!answers("redis-server", "--version"))
    fail("The installation succeeded, but redis-server is still not on the PATH.");
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

function isCi(): boolean {
  return !["", "0", "false"].includes(process.env["CI"] ?? "");
}

/** Asks on the terminal. */
function agrees(question: string): boolean {
  process.stdout.write(question);
  const answer = Buffer.alloc(100);
  return /^y(es)?$/i.test(answer.toString("utf8", 0, readSync(0, answer)).trim());
}

/** Whether the commands run without asking for a password. */
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
