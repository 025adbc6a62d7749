/** `tripline test`: runs the cases beside the rules, in virtual time, without a server. */

import { Command, Option } from "commander";
import { loadCases } from "../cases/load-cases.ts";
import { type Reporter, report, reporters } from "../cases/reports.ts";
import { type RunOptions, runCase } from "../cases/run-case.ts";
import type { Paint } from "../cases/timeline.ts";
import { latenessDefault } from "../core/model/limits.ts";
import { formatDuration, type Micros } from "../core/model/time.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { rulePathsArgument } from "./completable.ts";
import { addExamples, addNotes } from "./help.ts";
import { readDuration, rulePathsDefault } from "./option-values.ts";
import { paint, wantsColor } from "./output/style.ts";

export interface TestIo extends RunOptions {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly cwd: string;
  readonly color: boolean;
}

export interface TestOptions {
  readonly reporter?: Reporter;
  /** Only cases whose `file › name` contains this text, whatever its case. */
  readonly filter?: string;
  readonly lateness?: Micros;
}

/** Exit codes. */
const passed = 0;
const failed = 1;
const notRun = 2;

export function testCommand(): Command {
  const command = new Command("test")
    .description(
      "Run the cases of *.test.yaml files against their rules in virtual time. Every firing must be expected, and every " +
        "expected one must come. Each case runs twice: as written, and with a restart between every two steps. No " +
        "server is needed.",
    )
    .addArgument(rulePathsArgument("case files (*.test.yaml), and folders of them"))
    .addOption(
      new Option("--reporter <name>", "text for people; tap or junit for programs")
        .choices(reporters)
        .default("text"),
    )
    .option("--filter <text>", "only cases whose file or name contains this text")
    .option(
      "--lateness <duration>",
      `the lateness where neither trigger nor case sets one (default: ${formatDuration(latenessDefault)})`,
      readDuration,
    );
  addNotes(
    command,
    "Exits with 0 when all cases pass, with 1 when one fails, and with 2 when none was run: because of mistakes in the\n" +
      "files, or because there are no cases. docs/testing-rules.md shows how to write cases.",
  );
  addExamples(command, [
    ["tripline test", "the cases of the folder rules"],
    ["tripline test --filter silent", "only some of them"],
    ["tripline test --reporter junit > report.xml", "for CI"],
  ]);
  return command.action((paths: string[], options: TestOptions) => {
    const { stdout, stderr } = process;
    const io = { stdout, stderr, cwd: process.cwd(), color: wantsColor() };
    process.exitCode = testRules(paths.length === 0 ? rulePathsDefault : paths, io, options);
  });
}

/**
 * Runs the cases that `paths` name and prints their results.
 *
 * @returns the exit code
 */
export function testRules(paths: readonly string[], io: TestIo, options: TestOptions = {}): number {
  const { reporter = "text", filter = "", lateness = latenessDefault } = options;
  const loaded = loadCases(paths, { cwd: io.cwd, lateness });
  if (loaded.diagnostics.length > 0) {
    io.stderr.write(`${loaded.diagnostics.map(formatDiagnostic).join("\n")}\n`);
    return notRun;
  }
  const cases = loaded.cases.filter(({ file, name }) =>
    `${file} › ${name}`.toLowerCase().includes(filter.toLowerCase()),
  );
  if (cases.length === 0) {
    const count = loaded.cases.length;
    io.stderr.write(
      `No case's file or name contains ${JSON.stringify(filter)}. Without --filter there ${count === 1 ? "is" : "are"} ${count}.\n`,
    );
    return notRun;
  }
  const results = cases.map((one) => runCase(one, io));
  io.stdout.write(report(results, reporter, io.color ? painted : undefined));
  return results.every((result) => result.passed) ? passed : failed;
}

const painted: Paint = (tone, text) => {
  if (tone === "plain") return text;
  return paint(text, ({ good: "green", bad: "red", faint: "dim" } as const)[tone], true);
};
