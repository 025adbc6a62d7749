/** `tripline completion`: lets a shell complete commands and options. The scripts are made from the commands. */

import { Command, type Option } from "commander";
import { CommandFailure } from "./failure.ts";

const shells = ["bash", "zsh", "fish"] as const;

/** What can be written after some words: from `""` for the first word to `automations ls`. */
export interface Completions {
  readonly words: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly {
    readonly flag: string;
    readonly summary: string;
    readonly choices: readonly string[];
  }[];
  /** The arguments are files. */
  readonly takesFiles: boolean;
}

/** @param load all commands, as `main` knows them */
export function completionCommand(load: () => Promise<readonly Command[]>): Command {
  return new Command("completion")
    .description("Print a script with which a shell completes commands and options.")
    .argument("<shell>", shells.join(", "))
    .addHelpText(
      "after",
      "\nbash: tripline completion bash > ~/.local/share/bash-completion/completions/tripline\n" +
        'zsh:  tripline completion zsh > "${fpath[1]}/_tripline"\n' +
        "fish: tripline completion fish > ~/.config/fish/completions/tripline.fish",
    )
    .action(async (shell: string) => {
      const all = completionsOf(await load());
      if (shell === "bash") console.log(bashScript(all));
      else if (shell === "zsh") console.log(zshScript(all));
      else if (shell === "fish") console.log(fishScript(all));
      else throw new CommandFailure(`There is no script for ${shell}; there are ${shells.join(", ")}.`, 2);
    });
}

export function completionsOf(commands: readonly Command[], words: readonly string[] = []): Completions[] {
  const listed = commands.map((command) => ({ name: command.name(), summary: summaryOf(command) }));
  const root: Completions[] =
    words.length === 0 ? [{ words: "", commands: listed, options: [], takesFiles: false }] : [];
  return [...root, ...commands.flatMap((command) => completionsOfOne(command, [...words, command.name()]))];
}

function completionsOfOne(command: Command, words: readonly string[]): Completions[] {
  const { commands, options, registeredArguments } = command;
  const own: Completions = {
    words: words.join(" "),
    commands: commands.map((each) => ({ name: each.name(), summary: summaryOf(each) })),
    options: [
      ...options.map((option) => ({
        flag: flagOf(option),
        summary: option.description,
        choices: option.argChoices ?? [],
      })),
      { flag: "--help", summary: "say how to use it", choices: [] },
    ],
    takesFiles: registeredArguments.some((argument) => /^(?:paths?|files?|dirs?)$/.test(argument.name())),
  };
  return [own, ...completionsOf(commands, words)];
}

function flagOf({ long, short }: Option): string {
  return long ?? short ?? "";
}

function summaryOf(command: Command): string {
  return command.summary() || (command.description().split(/[.:;]/)[0] ?? "");
}

function bashScript(all: readonly Completions[]): string {
  const cases = all.map(({ words, commands, options, takesFiles }) => {
    const offered = [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)].join(" ");
    return `    ${quoted(words)}) offered=${quoted(offered)}; files=${takesFiles ? 1 : 0} ;;`;
  });
  const choices = all.flatMap(({ words, options }) =>
    options
      .filter((option) => option.choices.length > 0)
      .map(
        (option) =>
          `    ${quoted(`${words} ${option.flag}`)}) offered=${quoted(option.choices.join(" "))}; files=0 ;;`,
      ),
  );
  return `# Completes tripline's commands and options in bash.
_tripline() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path="" offered="" files=0 index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${path:+$path }\${COMP_WORDS[index]}" in
${knownPaths(all)}) path="\${path:+$path }\${COMP_WORDS[index]}" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  case "$path $previous" in
${choices.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
  if [[ $files == 1 && $current != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _tripline tripline`;
}

function zshScript(all: readonly Completions[]): string {
  const described = ({ commands, options }: Completions): string =>
    [
      ...commands.map(({ name, summary }) => `${name}:${summary}`),
      ...options.map(({ flag, summary }) => `${flag}:${summary}`),
    ]
      .map((entry) => quoted(entry.replaceAll(/(?<=^.*:.*):/g, "\\:")))
      .join(" ");
  const cases = all.map(
    (one) => `    ${quoted(one.words)}) offered=(${described(one)}); files=${one.takesFiles ? 1 : 0} ;;`,
  );
  const choices = all.flatMap(({ words, options }) =>
    options
      .filter((option) => option.choices.length > 0)
      .map(
        (option) =>
          `    ${quoted(`${words} ${option.flag}`)}) offered=(${option.choices.map(quoted).join(" ")}); files=0 ;;`,
      ),
  );
  return `#compdef tripline
# Completes tripline's commands and options in zsh.
_tripline() {
  local path="" files=0 index
  local -a offered
  for ((index = 2; index < CURRENT; index++)); do
    case "\${path:+$path }$words[index]" in
${knownPaths(all)}) path="\${path:+$path }$words[index]" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  case "$path $words[CURRENT-1]" in
${choices.join("\n")}
  esac
  _describe tripline offered
  if [[ $files == 1 ]]; then _files; fi
}
if [[ $funcstack[1] == _tripline ]]; then _tripline "$@"; else compdef _tripline tripline; fi`;
}

function fishScript(all: readonly Completions[]): string {
  const lines = all.flatMap(({ words, commands, options, takesFiles }) => {
    const at = `-n ${quoted(`__tripline_at ${words}`.trim())}`;
    return [
      ...commands.map(
        ({ name, summary }) => `complete -c tripline ${at} -f -a ${quoted(name)} -d ${quoted(summary)}`,
      ),
      ...options.map(({ flag, summary, choices }) => {
        const values = choices.length === 0 ? "" : ` -x -a ${quoted(choices.join(" "))}`;
        return `complete -c tripline ${at} -l ${quoted(flag.replace(/^--/, ""))} -d ${quoted(summary)}${values}`;
      }),
      ...(takesFiles || words === "" ? [] : [`complete -c tripline ${at} -f`]),
    ];
  });
  const known = all.flatMap(({ words }) => (words === "" ? [] : [quoted(words)]));
  return `# Completes tripline's commands and options in fish.
function __tripline_at
    set -l path
    for word in (commandline -opc)[2..]
        if contains -- (string join ' ' $path $word) ${known.join(" ")}
            set path $path $word
        end
    end
    test (string join ' ' $path) = (string join ' ' $argv)
end
${lines.join("\n")}`;
}

function knownPaths(all: readonly Completions[]): string {
  return `      ${all.flatMap(({ words }) => (words === "" ? [] : [quoted(words)])).join("|")}`;
}

/** For any of the shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’").replaceAll("\n", " ")}'`;
}
