/** `tripline check`: finds mistakes in rule files, without a server. */

import { Command } from "commander";
import { lintRules } from "../lint/lint.ts";
import { formatWarning, type Warning } from "../lint/warning.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, loadRules } from "../rules/load.ts";
import type { Environment } from "../templates/environment.ts";
import { rulePathsArgument } from "./completable.ts";
import { addExamples, addNotes } from "./help.ts";
import { rulePathsDefault } from "./option-values.ts";
import { addJson } from "./output/output.ts";
import { paint, wantsColor } from "./output/style.ts";
import { counted } from "./output/text.ts";
import { ruleEnvironment } from "./secret-files.ts";

export interface CheckIo {
  readonly stdout: { write(text: string): unknown };
  readonly env: Environment;
  readonly cwd: string;
  readonly color: boolean;
}

export interface CheckOptions {
  readonly json?: boolean;
  /** Exit with 1 for warnings, too. */
  readonly strict?: boolean;
}

export function checkCommand(): Command {
  const command = new Command("check")
    .description(
      "Find mistakes in rule files, each with its file, line, column and remedy; and warn about what is valid, but " +
        "almost certainly a mistake. No server is needed.",
    )
    .addArgument(rulePathsArgument("rule files, and folders of them"))
    .option("--strict", "exit with 1 for warnings, too");
  addJson(command, "print the result as JSON");
  addNotes(
    command,
    "Exits with 0 when there are no mistakes, and with 1 otherwise. docs/rule-warnings.md lists the warnings.",
  );
  addExamples(command, [
    ["tripline check", "the files of the folder rules"],
    ["tripline check --strict rules ops.yaml", "in CI: warnings fail, too"],
  ]);
  return command.action((paths: string[], options: CheckOptions) => {
    const { stdout } = process;
    const io = { stdout, env: ruleEnvironment(process.env), cwd: process.cwd(), color: wantsColor() };
    process.exitCode = checkRules(paths.length === 0 ? rulePathsDefault : paths, io, options);
  });
}

/**
 * Prints every mistake and every warning in the rule files that `paths` name, and a summary.
 *
 * @returns the exit code: 0 when there are no mistakes (nor warnings, with `strict`), 1 otherwise
 */
export function checkRules(paths: readonly string[], io: CheckIo, options: CheckOptions = {}): number {
  const { env, cwd } = io;
  // Neither the workspace nor the time affects whether a rule is valid.
  const rules = loadRules(paths, { workspace: "default", env, cwd, now: 0 });
  const warnings = lintRules(rules);
  io.stdout.write(options.json === true ? asJson(rules, warnings) : asText(rules, warnings, io.color));
  const isGood = rules.diagnostics.length === 0 && (warnings.length === 0 || options.strict !== true);
  return isGood ? 0 : 1;
}

function asJson({ automations, diagnostics, files }: LoadedRules, warnings: readonly Warning[]): string {
  const names = automations.map(({ name }) => name);
  return `${JSON.stringify({ files, automations: names, diagnostics, warnings }, null, 2)}\n`;
}

function asText(
  { automations, hooks, diagnostics, files }: LoadedRules,
  warnings: readonly Warning[],
  color: boolean,
): string {
  const mistakeLines = diagnostics.map((one) => ({ ...one, text: formatDiagnostic(one) }));
  const warningLines = warnings.map((one) => ({ ...one, text: formatWarning(one) }));
  const lines = [...mistakeLines, ...warningLines].sort(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  );
  const warned = warnings.length === 0 ? "" : `, ${counted(warnings.length, "warning")}`;
  const called = hooks.length === 0 ? "" : ` and ${counted(hooks.length, "hook")}`;
  const checked = `${counted(automations.length, "automation")}${called} in ${counted(files.length, "file")}`;
  const fileCount = new Set(diagnostics.map(({ file }) => file)).size;
  const summary =
    diagnostics.length === 0
      ? paint(`${checked}: no mistakes${warned}`, warned === "" ? "green" : "yellow", color)
      : paint(
          `${counted(diagnostics.length, "mistake")} in ${counted(fileCount, "file")}${warned}`,
          "red",
          color,
        );
  return `${[...lines.map(({ text }) => text), summary].join("\n")}\n`;
}
