/** `tripline completion`: scripts with which a shell completes commands, options, files and names. */

import { Argument, Command, type Option } from "commander";
import { type Completable, completableOf } from "./completable.ts";
import { bashScript, fishScript, zshScript } from "./completion-scripts.ts";
import { addExamples } from "./help.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** What can follow certain words. */
export interface Completions {
  /** The words of a command: `""` for the first word, `automations ls`, … */
  readonly words: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly CompletedOption[];
  /** What the arguments are; null: nothing that could be listed. */
  readonly arguments: Completable | null;
}

export interface CompletedOption {
  readonly flag: string;
  /** Such as `-a`; null when there is none. */
  readonly shortFlag: string | null;
  readonly summary: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly values: Completable | null;
}

/** @param load all commands, as `main` knows them */
export function completionCommand(load: () => Promise<readonly Command[]>): Command {
  const command = new Command("completion")
    .description(
      "Print a script with which a shell completes commands, options, files, and the names that a server knows.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(scripts)));
  addExamples(command, [
    ["tripline completion bash > ~/.local/share/bash-completion/completions/tripline", "bash, in new shells"],
    ['tripline completion zsh > "${fpath[1]}/_tripline"', "zsh, in new shells"],
    ["tripline completion fish > ~/.config/fish/completions/tripline.fish", "fish, at once"],
  ]);
  return command.action(async (shell: keyof typeof scripts) => {
    console.log(scripts[shell](completionsOf(await load())));
  });
}

export function completionsOf(commands: readonly Command[], words: readonly string[] = []): Completions[] {
  const listed = commands.map((command) => ({ name: command.name(), summary: summaryOf(command) }));
  const root: Completions[] =
    words.length === 0 ? [{ words: "", commands: listed, options: [], arguments: null }] : [];
  return [...root, ...commands.flatMap((command) => completionsOfOne(command, [...words, command.name()]))];
}

function completionsOfOne(command: Command, words: readonly string[]): Completions[] {
  const { commands, options, registeredArguments } = command;
  const [argument] = registeredArguments;
  const own: Completions = {
    words: words.join(" "),
    commands: commands.map((each) => ({ name: each.name(), summary: summaryOf(each) })),
    options: [...options.filter(({ hidden }) => !hidden).map(completedOption), helpOption],
    arguments: argument === undefined ? null : completableOf(argument),
  };
  return [own, ...completionsOf(commands, words)];
}

const helpOption: CompletedOption = {
  flag: "--help",
  shortFlag: null,
  summary: "show how to use it",
  takesValue: false,
  choices: [],
  values: null,
};

function completedOption(option: Option): CompletedOption {
  return {
    flag: option.long ?? option.short ?? "",
    shortFlag: option.long === undefined ? null : (option.short ?? null),
    summary: option.description,
    takesValue: option.required,
    choices: option.argChoices ?? [],
    values: completableOf(option),
  };
}

/** The first sentence of the description. */
function summaryOf(command: Command): string {
  return (
    command
      .description()
      .split(/(?<=[.:;])\s/)[0]
      ?.replace(/[.:;]$/, "") ?? ""
  );
}
