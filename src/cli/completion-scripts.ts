/**
 * The completion scripts. Commands, options and choices are written into a script, so that they appear at once; names
 * are asked for with `tripline completion-values` when they are needed.
 */

import { type Completable, valueKinds } from "./completable.ts";
import type { CompletedOption, Completions } from "./completion.ts";

export function bashScript(all: readonly Completions[]): string {
  const cases = all.map(({ words, commands, options, arguments: kind }) => {
    const offered = [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)];
    return `    ${quoted(words)}) offered=${quoted(offered.join(" "))}; kind=${kind ?? ""} ;;`;
  });
  return `# Completes tripline in bash.
_tripline() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} place="" offered="" kind="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "\${place:+$place }\${COMP_WORDS[index]}" in
${knownPlaces(all)}) place="\${place:+$place }\${COMP_WORDS[index]}" ;;
    esac
  done
  case "$place" in
${cases.join("\n")}
  esac
  case "$place $previous" in
${optionCases(all, ({ choices, values }) => `offered=${quoted(choices.join(" "))}; kind=${values ?? ""}`)}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
  if [[ $current == -* ]]; then return; fi
  case "$kind" in
    files) COMPREPLY+=($(compgen -f -- "$current")) ;;
    rule-files)
      COMPREPLY+=($(compgen -d -- "$current"))
      COMPREPLY+=($(compgen -f -X '!*.yaml' -- "$current") $(compgen -f -X '!*.yml' -- "$current"))
      COMPREPLY+=($(compgen -f -X '!*.json' -- "$current")) ;;
    ${valueKinds.join("|")})
      local name start=\${current//\\\\/}
      start=\${start#[\\"\\']}
      while IFS= read -r name; do
        if [[ $name == "$start"* ]]; then COMPREPLY+=("$name"); fi
      done < <(tripline completion-values "$kind" "$COMP_LINE" 2>/dev/null) ;;
  esac
}
complete -o filenames -F _tripline tripline`;
}

export function zshScript(all: readonly Completions[]): string {
  const described = ({ commands, options }: Completions): string =>
    [
      ...commands.map(({ name, summary }) => ({ word: name, summary })),
      ...options.map(({ flag, summary }) => ({ word: flag, summary })),
    ]
      .map(({ word, summary }) => quoted(`${word}:${summary.replaceAll(":", "\\:")}`))
      .join(" ");
  const cases = all.map(
    (each) => `    ${quoted(each.words)}) offered=(${described(each)}); kind=${each.arguments ?? ""} ;;`,
  );
  // A variable must not be called path: in zsh that is PATH.
  return `#compdef tripline
# Completes tripline in zsh.
_tripline() {
  local place="" kind="" index
  local -a offered names
  for ((index = 2; index < CURRENT; index++)); do
    case "\${place:+$place }$words[index]" in
${knownPlaces(all)}) place="\${place:+$place }$words[index]" ;;
    esac
  done
  case "$place" in
${cases.join("\n")}
  esac
  case "$place $words[CURRENT-1]" in
${optionCases(all, ({ choices, values }) => `offered=(${choices.map(quoted).join(" ")}); kind=${values ?? ""}`)}
  esac
  if (( $#offered )); then _describe tripline offered; fi
  if [[ $words[CURRENT] == -* ]]; then return; fi
  case "$kind" in
    files) _files ;;
    rule-files) _files -g '*.(yaml|yml|json)' ;;
    ${valueKinds.join("|")})
      names=("\${(@f)$(tripline completion-values "$kind" "$BUFFER" 2>/dev/null)}")
      names=(\${names:#})
      compadd -a names ;;
  esac
}
if [[ $funcstack[1] == _tripline ]]; then _tripline "$@"; else compdef _tripline tripline; fi`;
}

export function fishScript(all: readonly Completions[]): string {
  const lines = all.flatMap(({ words, commands, options, arguments: kind }) => {
    const here = `complete -c tripline -n ${quoted(`__tripline_at ${words}`.trim())}`;
    return [
      ...commands.map(({ name, summary }) => `${here} -f -a ${quoted(name)} -d ${quoted(summary)}`),
      ...options.map(({ flag, shortFlag, summary, ...option }) => {
        const short = shortFlag === null ? "" : ` -s ${shortFlag.slice(1)}`;
        return `${here}${short} -l ${flag.slice(2)} -d ${quoted(summary)}${fishValues(option)}`;
      }),
      ...(kind === "files" || kind === "rule-files" || words === ""
        ? []
        : [`${here} -f${kind === null ? "" : ` -a ${fishNames(kind)}`}`]),
    ];
  });
  const known = all.flatMap(({ words }) => (words === "" ? [] : [quoted(words)]));
  return `# Completes tripline in fish.
function __tripline_at
    set -l place
    for word in (commandline -opc)[2..]
        set -l next $place $word
        if contains -- "$next" ${known.join(" ")}
            set place $place $word
        end
    end
    test "$place" = "$argv"
end
function __tripline_values
    command tripline completion-values $argv[1] (commandline -b) 2>/dev/null
end
${lines.join("\n")}`;
}

function fishValues({
  takesValue,
  choices,
  values,
}: Pick<CompletedOption, "takesValue" | "choices" | "values">) {
  if (!takesValue) return "";
  if (choices.length > 0) return ` -x -a ${quoted(choices.join(" "))}`;
  if (values === "files" || values === "rule-files") return " -r";
  return values === null ? " -x" : ` -x -a ${fishNames(values)}`;
}

function fishNames(kind: Completable): string {
  return `'(__tripline_values ${kind})'`;
}

/** What follows an option that takes a value, by its long and by its short name. */
function optionCases(all: readonly Completions[], offer: (option: CompletedOption) => string): string {
  const cases = all.flatMap(({ words, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map((option) => {
        const flags = [option.flag, ...(option.shortFlag === null ? [] : [option.shortFlag])];
        return `    ${flags.map((flag) => quoted(`${words} ${flag}`)).join("|")}) ${offer(option)} ;;`;
      }),
  );
  return cases.join("\n");
}

function knownPlaces(all: readonly Completions[]): string {
  return `      ${all.flatMap(({ words }) => (words === "" ? [] : [quoted(words)])).join("|")}`;
}

/** A text in quotes, for any of the shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’").replaceAll("\n", " ")}'`;
}
