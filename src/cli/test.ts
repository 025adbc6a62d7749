/** `tripline test`: runs the cases beside the rules, in virtual time, without a server. */

import { styleText } from "node:util";
import { Command, Option } from "commander";
import { loadCases } from "../cases/load-cases.ts";
import { type Reporter, report, reporters } from "../cases/reports.ts";
import { type RunOptions, runCase } from "../cases/run-case.ts";
import type { Paint } from "../cases/timeline.ts";
import { latenessDefault } from "../core/model/limits.ts";
import { formatDuration, type Micros, parseDuration } from "../core/model/time.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { CommandFailure } from "./failure.ts";

export interface TestIo extends RunOptions {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly cwd: string;
  readonly color: boolean;
}

export interface TestOptions {
  readonly reporter?: Reporter;
  /** Only cases whose `file › name` holds this text, in any case. */
  readonly filter?: string;
  readonly lateness?: Micros;
}

/** Exit codes. */
const passed = 0;
const failed = 1;
const notRun = 2;

export function testCommand(): Command {
  return new Command("test")
    .description(
      "Run the cases of *.test.yaml files against their rules in virtual time: each firing must be expected, and each " +
        "expected one must come; once as written, and once with a restart between every two steps.",
    )
    .argument("[paths...]", "case files (*.test.yaml), and directories of them", ["rules"])
    .addOption(
      new Option("--reporter <name>", "text for people, tap or junit for programs")
        .choices(reporters)
        .default("text"),
    )
    .option("--filter <text>", "only cases whose file or name holds this text")
    .option(
      "--lateness <duration>",
      `the lateness where neither trigger nor case names one (default: ${formatDuration(latenessDefault)})`,
      durationOption,
    )
    .addHelpText(
      "after",
      "\nThe exit code is 0 when all cases pass, 1 when one fails, and 2 when none was run: because of mistakes in the " +
        "files, or because there are no cases.",
    )
    .action((paths: string[], options: TestOptions) => {
      const { stdout, stderr, env } = process;
      const color = stdout.isTTY === true && (env["NO_COLOR"] ?? "") === "";
      process.exitCode = testRules(paths, { stdout, stderr, cwd: process.cwd(), color }, options);
    });
}

/**
 * Runs the cases that `paths` name and prints what came of them.
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
      `no case's file or name holds ${JSON.stringify(filter)}; there ${count === 1 ? "is" : "are"} ${count} without --filter\n`,
    );
    return notRun;
  }
  const results = cases.map((one) => runCase(one, io));
  io.stdout.write(report(results, reporter, io.color ? painted : undefined));
  return results.every((result) => result.passed) ? passed : failed;
}

const painted: Paint = (tone, text) => {
  if (tone === "plain") return text;
  const format = ({ good: "green", bad: "red", faint: "dim" } as const)[tone];
  return styleText(format, text, { validateStream: false });
};

function durationOption(text: string): Micros {
  const duration = parseDuration(text);
  if (duration === null)
    throw new CommandFailure(`--lateness is ${text}, which is no duration; write it as 5s or 1m`, notRun);
  return duration;
}
