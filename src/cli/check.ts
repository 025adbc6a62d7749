/** `tripline check`: says what is wrong with rule files, without a server. */

import { Command } from "commander";
import { lintRules } from "../lint/lint.ts";
import { formatWarning, type Warning } from "../lint/warning.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, loadRules } from "../rules/load.ts";
import type { Environment } from "../templates/environment.ts";
import { ruleEnvironment } from "./secret-files.ts";

export interface CheckIo {
  readonly stdout: { write(text: string): unknown };
  readonly env: Environment;
  readonly cwd: string;
  readonly color: boolean;
}

export interface CheckOptions {
  readonly json?: boolean;
  /** Warnings, too, make the exit code 1. */
  readonly strict?: boolean;
}

export function checkCommand(): Command {
  return new Command("check")
    .description(
      "Say what is wrong with rule files: each mistake with its file, line and column, and its remedy; and warn of what is legal, but surely not meant.",
    )
    .argument("[paths...]", "rule files, and directories of them", ["rules"])
    .option("--strict", "exit with 1 when there are warnings, too")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      "\nThe exit code is 0 when there are no mistakes, and 1 otherwise. docs/rule-warnings.md lists all warnings.",
    )
    .action((paths: string[], options: CheckOptions) => {
      const { stdout } = process;
      const env = ruleEnvironment(process.env);
      const color = stdout.isTTY === true && (env["NO_COLOR"] ?? "") === "";
      process.exitCode = checkRules(paths, { stdout, env, cwd: process.cwd(), color }, options);
    });
}

/**
 * Prints every mistake and every warning in the rule files that `paths` name, and a summary.
 *
 * @returns the exit code: 0 when there are no mistakes (nor warnings, when they are to count), 1 otherwise
 */
export function checkRules(paths: readonly string[], io: CheckIo, options: CheckOptions = {}): number {
  const { env, cwd } = io;
  // Neither the workspace nor the time makes a difference to what is right.
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
  const called = hooks.length === 0 ? "" : ` and ${counted(hooks.length, "webhook")}`;
  const checked = `${counted(automations.length, "automation")}${called} in ${counted(files.length, "file")}`;
  const fileCount = new Set(diagnostics.map(({ file }) => file)).size;
  const summary =
    diagnostics.length === 0
      ? paint(`${checked}: no mistakes${warned}`, warned === "" ? green : yellow, color)
      : paint(
          `${counted(diagnostics.length, "mistake")} in ${counted(fileCount, "file")}${warned}`,
          red,
          color,
        );
  return `${[...lines.map(({ text }) => text), summary].join("\n")}\n`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const red = 31;
const green = 32;
const yellow = 33;

function paint(text: string, code: number, color: boolean): string {
  return color ? `\u001b[${code}m${text}\u001b[0m` : text;
}
