/**
 * The command `tripline`. Each subcommand is a file, read only when it is called, so that the short ones start fast.
 */

import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { CommandFailure } from "./failure.ts";
import { loadSecretFiles } from "./secret-files.ts";

/** A subcommand: its line in the help, and where to find it. */
const commands: readonly { name: string; summary: string; load: () => Promise<Command> }[] = [
  {
    name: "serve",
    summary: "run the server: API, engine and actions",
    load: async () => (await import("./serve.ts")).serveCommand(),
  },
  {
    name: "keys",
    summary: "make, list and revoke API keys",
    load: async () => (await import("./keys.ts")).keysCommand(),
  },
  {
    name: "check",
    summary: "say what is wrong with rule files, without a server",
    load: async () => (await import("./check.ts")).checkCommand(),
  },
  {
    name: "emit",
    summary: "send an event, from options, a file or standard input",
    load: async () => (await import("./emit.ts")).emitCommand(),
  },
  {
    name: "listen",
    summary: "receive webhooks on this machine, check their signatures and print them",
    load: async () => (await import("./listen.ts")).listenCommand(),
  },
  {
    name: "test",
    summary: "run the cases beside the rules (*.test.yaml) in virtual time, without a server",
    load: async () => (await import("./test.ts")).testCommand(),
  },
  {
    name: "simulate",
    summary: "run rules over a timeline of events in virtual time, without a server",
    load: async () => (await import("./simulate.ts")).simulateCommand(),
  },
  {
    name: "explain",
    summary: "say why an event did, or did not, make an automation fire",
    load: async () => (await import("./explain.ts")).explainCommand(),
  },
  {
    name: "windows",
    summary: "show the open windows of a running server",
    load: async () => (await import("./automations.ts")).windowsCommand(),
  },
  {
    name: "apply",
    summary: "bring a running server's automations to what rule files say",
    load: async () => (await import("./apply.ts")).applyCommand(),
  },
  {
    name: "automations",
    summary: "list, show, pause, resume and remove automations",
    load: async () => (await import("./automations.ts")).automationsCommand(),
  },
  {
    name: "events",
    summary: "list, follow and count events",
    load: async () => (await import("./events.ts")).eventsCommand(),
  },
  {
    name: "deliveries",
    summary: "list, show and redeliver dead letters",
    load: async () => (await import("./deliveries.ts")).deliveriesCommand(),
  },
  {
    name: "completion",
    summary: "print a script with which a shell completes these commands",
    load: async () =>
      (await import("./completion.ts")).completionCommand(() =>
        Promise.all(commands.map(({ load }) => load())),
      ),
  },
];

async function main(words: readonly string[]): Promise<void> {
  const program = new Command("tripline")
    .description("Act on events, and on events that do not come.")
    .version(version)
    .exitOverride();
  try {
    loadSecretFiles(process.env); // before a command is built: its options take their defaults from the environment
  } catch (error) {
    process.exitCode = report(error);
    return;
  }
  const called = commands.find(({ name }) => name === words.find((word) => !word.startsWith("-")));
  for (const { name, summary, load } of commands) {
    if (name === called?.name) program.addCommand(withoutExit(await load()));
    else program.command(name).description(summary);
  }
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** The exit code when the command itself was wrong: an unknown option, a value that is none. */
const misused = 2;

/** Commander would end the process in the middle of a subcommand. */
function withoutExit(command: Command): Command {
  for (const subcommand of command.commands) withoutExit(subcommand);
  return command.exitOverride();
}

/** Prints what went wrong, for people, and says the exit code. A mistake of the program itself is thrown on. */
function report(error: unknown): number {
  // Commander has already printed its own complaints.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : misused;
  if (!(error instanceof CommandFailure)) throw error;
  console.error(error.message);
  return error.exitCode;
}

// Whoever reads our output may stop reading: `tripline … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

await main(process.argv.slice(2));
