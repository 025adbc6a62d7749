/** The shell commands of documents, and whether the command line accepts them. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { root } from "./fences.ts";

/** One simple command: its words, without what it is piped into. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** The command as written, with what it is piped into. */
  readonly text: string;
  /** Its first line, counted from 0 within the block. */
  readonly line: number;
}

/** The commands in a block of shell; in a `console` block, those after a `$`. */
export function commandsIn(block: string, language: string): ShellCommand[] {
  const commands: ShellCommand[] = [];
  const lines = block.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const line = index;
    let text = lines[index] ?? "";
    if (language === "console") {
      if (!text.startsWith("$ ")) continue;
      text = text.slice(2);
    }
    // A command continues after a backslash and while a quote is open.
    while ((/\\$/.test(text) || wordsOf(text) === null) && index + 1 < lines.length) {
      index += 1;
      text = `${text.replace(/\\$/, "")}\n${lines[index]}`;
    }
    for (const words of wordsOf(text) ?? []) if (words.length > 0) commands.push({ words, text, line });
  }
  return commands;
}

/** The words of each simple command in a line, without comments and redirections; null while a quote is open. */
function wordsOf(text: string): string[][] | null {
  const commands: string[][] = [[]];
  const token =
    /\s+|#[^\n]*|(&&|\|\||[;|&])|\d?[<>]+&?\s*[^\s;|&]*|((?:\\[\s\S]|'[^']*'|"(?:\\[\s\S]|[^"\\])*"|[^\s;|&<>'"\\])+)|(.)/gy;
  for (const [, separator, word, open] of text.matchAll(token)) {
    if (open !== undefined) return null;
    if (separator !== undefined) commands.push([]);
    else if (word !== undefined)
      commands.at(-1)?.push(word.replaceAll(/\\([\s\S])|'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"/g, "$1$2$3"));
  }
  return commands.map((words) => {
    const first = words.findIndex((word) => !/^\w+=/.test(word));
    return first === -1 ? [] : words.slice(first);
  });
}

/** The mistake that `tripline` would report, such as an unknown command or option, or null. */
export async function usageProblem(words: readonly string[]): Promise<string | null> {
  const program = new Command("tripline");
  for (const command of await subcommands()) program.addCommand(command);
  program.option("--version");
  quiet(program);
  try {
    await program.parseAsync(words, { from: "user" });
    return null;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return null; // --help
    return (error as Error).message;
  }
}

/** Every subcommand as its file makes it. */
async function subcommands(): Promise<Command[]> {
  const folder = join(root, "src/cli");
  const commands: Command[] = [];
  for (const file of readdirSync(folder).filter(
    (name) => name.endsWith(".ts") && name !== "main.ts" && name !== "bin.ts",
  )) {
    const exported: Record<string, unknown> = await import(join(folder, file));
    for (const [name, make] of Object.entries(exported)) {
      if (!name.endsWith("Command") || typeof make !== "function") continue;
      commands.push((make as (list: () => Promise<Command[]>) => Command)(async () => []));
    }
  }
  return commands;
}

/** Makes a command parse and report mistakes as usual, but print nothing and do nothing. */
function quiet(command: Command): void {
  command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
  for (const subcommand of command.commands) quiet(subcommand as Command);
  if (command.commands.length === 0) command.action(() => {});
}
