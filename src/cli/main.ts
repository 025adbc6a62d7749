/**
 * The command `tripline`. Each subcommand is a file that is read only when it is called, so that short commands start
 * fast.
 */

import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples, prepare, withForm } from "./help.ts";
import { guardOutput, printable } from "./output/text.ts";
import { loadSecretFiles } from "./secret-files.ts";

interface Subcommand {
  readonly name: string;
  /** Its line in the help. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Whether a group of commands does something when none of them is named. Otherwise it shows its help. */
  readonly hasDefault?: boolean;
}

/** All commands, in groups, in the order in which a newcomer needs them. */
const groups: readonly { readonly heading: string; readonly commands: readonly Subcommand[] }[] = [
  {
    heading: "Run it and try it out:",
    commands: [
      {
        name: "serve",
        summary: "run the server",
        load: async () => (await import("./serve.ts")).serveCommand(),
      },
      {
        name: "emit",
        summary: "send events",
        load: async () => (await import("./emit.ts")).emitCommand(),
      },
      {
        name: "listen",
        summary: "receive webhooks on this machine and print them",
        load: async () => (await import("./listen.ts")).listenCommand(),
      },
    ],
  },
  {
    heading: "Write rules:",
    commands: [
      {
        name: "check",
        summary: "find mistakes in rule files (no server needed)",
        load: async () => (await import("./check.ts")).checkCommand(),
      },
      {
        name: "test",
        summary: "run the test cases beside the rules (no server needed)",
        load: async () => (await import("./test.ts")).testCommand(),
      },
      {
        name: "simulate",
        summary: "run rules over a timeline of events (no server needed)",
        load: async () => (await import("./simulate.ts")).simulateCommand(),
      },
      {
        name: "apply",
        summary: "apply rule files to a running server",
        load: async () => (await import("./apply.ts")).applyCommand(),
      },
    ],
  },
  {
    heading: "See what happens, and why:",
    commands: [
      {
        name: "explain",
        summary: "show why an event did, or did not, fire an automation",
        load: async () => (await import("./explain.ts")).explainCommand(),
      },
      {
        name: "trace",
        summary: "print a firing's whole path: events, window, deliveries and answers",
        load: async () => (await import("./trace.ts")).traceCommand(),
      },
      {
        name: "events",
        summary: "list, follow and count events",
        load: async () => (await import("./events.ts")).eventsCommand(),
      },
      {
        name: "automations",
        summary: "list, show, pause, resume and remove automations",
        load: async () => (await import("./automations.ts")).automationsCommand(),
      },
      {
        name: "windows",
        summary: "show what automations are waiting for, and until when",
        load: async () => (await import("./windows.ts")).windowsCommand(),
      },
      {
        name: "deliveries",
        summary: "show what became of actions, and redeliver what failed",
        load: async () => (await import("./deliveries.ts")).deliveriesCommand(),
      },
      {
        name: "endpoints",
        summary: "show and enable endpoints that are gone",
        load: async () => (await import("./endpoints.ts")).endpointsCommand(),
      },
      {
        name: "shards",
        summary: "show which engine owns which shard, and change their number",
        load: async () => (await import("./shards.ts")).shardsCommand(),
        hasDefault: true,
      },
    ],
  },
  {
    heading: "Administer:",
    commands: [
      {
        name: "doctor",
        summary: "check a deployment, and say what to fix",
        load: async () => (await import("./doctor.ts")).doctorCommand(),
      },
      {
        name: "audit",
        summary: "list who changed what, and when",
        load: async () => (await import("./audit.ts")).auditCommand(),
      },
      {
        name: "keys",
        summary: "create, list and revoke API keys",
        load: async () => (await import("./keys.ts")).keysCommand(),
      },
      {
        name: "secrets",
        summary: "show how stored secrets are protected, and encrypt them again",
        load: async () => (await import("./secrets.ts")).secretsCommand(),
      },
      {
        name: "completion",
        summary: "print a completion script for bash, zsh or fish",
        load: async () => (await import("./completion.ts")).completionCommand(loadAll),
      },
    ],
  },
];

/** Called by the completion scripts. */
const completionValues = "completion-values";

const subcommands = groups.flatMap(({ commands }) => commands);

function loadAll(): Promise<Command[]> {
  return Promise.all(subcommands.map(({ load }) => load()));
}

async function main(words: readonly string[]): Promise<void> {
  try {
    loadSecretFiles(process.env); // before a command is built: its options take their defaults from the environment
  } catch (error) {
    process.exitCode = report(error);
    return;
  }
  const program = withForm(new Command("tripline"), ["tripline"])
    .description("Tripline acts on events, and on events that do not come.")
    .usage("<command> [options]")
    .version(version, "-V, --version", "print the version");
  const wanted = helpAsOption(words);
  const [name] = wanted;
  for (const { heading, commands } of groups) {
    program.commandsGroup(heading);
    for (const command of commands) {
      if (command.name === name) program.addCommand(prepare(await command.load()));
      else program.command(command.name).description(command.summary);
    }
  }
  if (name === completionValues) {
    const { completionValuesCommand } = await import("./complete-values.ts");
    program.addCommand(prepare(completionValuesCommand()), { hidden: true });
  }
  addExamples(
    program,
    [
      ["tripline serve --rules rules", "a server with the rules of a folder"],
      ["tripline listen", "prints the webhooks that arrive"],
      ["tripline emit -e job.failed -r job.backup", "something happens"],
      ["tripline explain <the id that emit printed>", "why it did, or did not, fire"],
    ],
    "First steps, the first two in terminals of their own:",
  );
  program.addHelpText("after", "\nEach command has help with examples: tripline emit --help");
  try {
    // Commander takes a group of commands without one of them for a mistake. It is a question.
    const group = name === undefined ? program : program.commands.find((command) => command.name() === name);
    const hasDefault = subcommands.find((command) => command.name === name)?.hasDefault ?? false;
    if (wanted.length < 2 && (group?.commands.length ?? 0) > 0 && !hasDefault) group?.outputHelp();
    else await program.parseAsync(wanted, { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** `tripline help emit` is `tripline emit --help`: only then is the command read that is asked about. */
function helpAsOption(words: readonly string[]): readonly string[] {
  return words[0] === "help" ? [...words.slice(1), "--help"] : words;
}

/** The exit code when the command was misused: an unknown option, an invalid value. */
const misused = 2;

/** Prints what went wrong and returns the exit code. A bug is thrown on. */
function report(error: unknown): number {
  // Commander has printed its own complaints.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : misused;
  if (!(error instanceof CommandFailure)) throw error;
  // The message may quote what a server or a file says. Its line breaks are ours.
  console.error(error.message.split("\n").map(printable).join("\n"));
  return error.exitCode;
}

// The reader of our output may stop reading: `tripline … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

for (const stream of [process.stdout, process.stderr]) guardOutput(stream);

await main(process.argv.slice(2));
