/** What all commands have in common: the form of their help, and of the complaint when one is misused. */

import type { Command, Option } from "commander";
import { paint, wantsColor } from "./output/style.ts";

/** Adds examples to the help of a command. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [line: string, meaning: string])[],
  title = "Examples:",
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const fits = width <= exampleWidthMax;
  const lines = examples.map(([line, meaning]) =>
    fits ? `  ${line.padEnd(width)}  ${meaning}` : `  # ${meaning}\n  ${line}`,
  );
  return command.addHelpText("after", () => `\n${heading(title)}\n${lines.join("\n")}`);
}

/** Beyond this, the meaning does not fit beside the line on a terminal of 80 columns. */
const exampleWidthMax = 44;

/** Adds a paragraph to the help of a command. */
export function addNotes(command: Command, notes: string): Command {
  return command.addHelpText("after", `\n${notes}`);
}

function heading(text: string): string {
  return paint(text, "bold", wantsColor());
}

/**
 * Prepares a command and its subcommands: errors are thrown to `main` rather than ending the process, and each says
 * where help is.
 */
export function prepare(command: Command, parents: readonly string[] = ["tripline"]): Command {
  const words = [...parents, command.name()];
  for (const subcommand of command.commands) prepare(subcommand, words);
  return withForm(command, words);
}

export function withForm(command: Command, words: readonly string[]): Command {
  return command
    .exitOverride()
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .showHelpAfterError(`Run ${words.join(" ")} --help to see what it takes.`)
    .configureHelp({ styleTitle: heading, optionDescription });
}

/** Commander's own form quotes some defaults and not others, and repeats what the name of the option says. */
function optionDescription(option: Option): string {
  const { description, argChoices, defaultValue, defaultValueDescription, envVar } = option;
  const value = defaultValueDescription ?? (defaultValue === undefined ? undefined : String(defaultValue));
  const showsDefault = value !== undefined && value !== "" && value !== "false";
  const notes = [
    ...(argChoices === undefined ? [] : [argChoices.join(", ")]),
    ...(showsDefault ? [`default: ${value}`] : []),
    ...(envVar === undefined ? [] : [`env: ${envVar}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join("; ")})`;
}
