/**
 * Makes sure that this machine has a program, for `npm start` and the tests. It prints what it installs, and asks first if
 * there is a terminal. The product itself (`tripline serve`) never installs anything.
 */

import { spawnSync } from "node:child_process";
import { readSync } from "node:fs";

/** A program, and how it is installed. */
export interface NeededProgram {
  readonly name: string;
  readonly isInstalled: () => boolean;
  /** Its package on Debian and its relatives. */
  readonly debianPackage: string;
  /** The arguments of `brew install`. */
  readonly brewPackage: readonly string[];
  /** What to do where neither package manager is there. */
  readonly otherwise: string;
}

type Command = readonly [program: string, ...parameters: string[]];

/**
 * Finds a program. If it is missing, prints the commands that install it, and runs them if a person at the terminal
 * agrees. Without a terminal, it runs them in CI (CI=true) and as root. Otherwise exits with status 1.
 */
export function ensureProgram(program: NeededProgram): void {
  const { name, isInstalled, otherwise } = program;
  if (isInstalled()) return;
  const fail = (remedy: string): never => {
    console.error(`Tripline needs ${name}, which is not installed.\n${remedy}`);
    process.exit(1);
  };
  const commands = installation(program) ?? fail(otherwise);
  const commandLine = commands.map((command) => command.join(" ")).join(" && ");
  if (!mayInstall(commands))
    fail(`Run this${hasSudo() ? "" : " as root"}, then try again:\n\n  ${commandLine}\n`);

  console.log(`${name} is not installed. To install it:\n\n  ${commandLine}\n`);
  if (process.stdin.isTTY) {
    if (!confirms("Install it now? [y/N] ")) fail(`Run this, then try again:\n\n  ${commandLine}\n`);
  } else if (isCi() || isRoot()) {
    // In a container or a CI job there is no one to ask, and nothing else lives on the machine.
    console.log("There is no terminal to ask on. Installing it.");
  } else fail(`There is no terminal to ask on. Run this, then try again:\n\n  ${commandLine}\n`);

  for (const [command, ...parameters] of commands) {
    const { status } = spawnSync(command, parameters, {
      stdio: "inherit",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    if (status !== 0) fail(`The installation failed. Run this, then try again:\n\n  ${commandLine}\n`);
  }
  if (!isInstalled()) fail(`The installation succeeded, but ${name} is not on the PATH.`);
}

/** The commands that install it here, or null if the package manager is unknown. */
function installation({ debianPackage, brewPackage }: NeededProgram): readonly Command[] | null {
  if (succeeds("apt-get", "--version")) {
    const apt: Command = !isRoot() && hasSudo() ? ["sudo", "apt-get"] : ["apt-get"];
    return [
      [...apt, "update"],
      [...apt, "install", "-y", "--no-install-recommends", debianPackage],
    ];
  }
  if (succeeds("brew", "--version")) return [["brew", "install", ...brewPackage]];
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

/** Whether a program is there and ends well. */
export function succeeds(program: string, ...parameters: string[]): boolean {
  return spawnSync(program, parameters, { stdio: "ignore" }).status === 0;
}
