/** `tripline apply`: applies rule files to a running server, after printing what will change. */

import { Command } from "commander";
import type { Application, AppliedChange, AppliedRules } from "../client/index.ts";
import type { Automation } from "../core/model/automation.ts";
import { appliedBytesMax, requestBytesMax } from "../core/model/limits.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, loadRules } from "../rules/load.ts";
import { ruleTextsOf } from "../rules/rule-text.ts";
import { fieldChangeText } from "./change-text.ts";
import { rulePathsArgument } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples, addNotes } from "./help.ts";
import { rulePathsDefault } from "./option-values.ts";
import { addOutput, type OutputOptions, print, stdoutView } from "./output/output.ts";
import { paint } from "./output/style.ts";
import { counted, keyText, printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";
import { ruleEnvironment } from "./secret-files.ts";

interface ApplyOptions extends ConnectionOptions, OutputOptions {
  readonly dryRun?: true;
  readonly prune?: true;
}

/** The exit code of a dry run after which something would change. */
const wouldChange = 3;

export function applyCommand(): Command {
  const command = new Command("apply")
    .description(
      "Apply rule files to a running server: create, change and delete automations and destinations so that they match " +
        "the files. The plan is printed first, with whether each open window is kept or reset. Applying the same files " +
        "again changes nothing.",
    )
    .addArgument(rulePathsArgument("rule files, and folders of them"))
    .option("--dry-run", `only print the plan; exit with ${wouldChange} if anything would change`)
    .option("--prune", "also delete automations that were applied before and are in none of these files");
  addConnection(addOutput(command));
  addNotes(
    command,
    "References such as ${env.NAME} are filled in from the environment of this command. docs/cli.md has more.",
  );
  addExamples(command, [
    ["tripline apply --dry-run", "print the plan for the folder rules"],
    ["tripline apply rules", "print it, and apply it"],
    ["tripline apply rules --prune", "also delete what is gone from the files"],
  ]);
  return command.action(async (paths: string[], options: ApplyOptions) => {
    const { output, dryRun = false, prune = false } = options;
    const rules = rulesAt(paths.length === 0 ? rulePathsDefault : paths);
    const application = { ...applicationOf(rules), prune };
    await withServer(options, async (tripline) => {
      const plan = await tripline.automations.apply({ ...application, dry_run: true });
      const changes = plan.changes.filter(({ change }) => change !== "unchanged");
      if (output === "table") console.log(planText(plan, stdoutView(options)));
      // Also without changes: comments and lines may differ, which people see.
      if (!dryRun) await tripline.automations.apply(application);
      if (output !== "table") print({ ...plan, dry_run: dryRun }, options, () => "");
      else if (!dryRun && changes.length > 0) console.log("Applied.");
      if (dryRun && changes.length > 0) process.exitCode = wouldChange;
    });
  });
}

/** @throws CommandFailure with every mistake */
function rulesAt(paths: readonly string[]): LoadedRules {
  const env = ruleEnvironment(process.env);
  // The server assigns ids and times.
  const rules = loadRules(paths, { workspace: "default", env, now: 0 });
  if (rules.diagnostics.length > 0) {
    const mistakes = rules.diagnostics.map(formatDiagnostic).join("\n");
    throw new CommandFailure(
      `${mistakes}\n${counted(rules.diagnostics.length, "mistake")}. Nothing was applied.`,
    );
  }
  if (rules.hooks.length > 0) {
    const names = rules.hooks.map(({ name }) => name).join(", ");
    console.error(
      `Skipped ${counted(rules.hooks.length, "hook")} (${names}): hooks can only be defined in the --rules of a server.`,
    );
  }
  return rules;
}

function applicationOf(rules: LoadedRules): Application {
  const { automations, destinations } = rules;
  const texts = ruleTextsOf(rules);
  const withTexts = automations.map((automation) => {
    const rule = {
      definition: definitionOf(automation),
      file: automation.source.kind === "file" ? automation.source.file : "",
      secrets: automation.secrets,
    };
    const text = texts.get(automation.id);
    if (text === undefined || sizeOf(rule) + sizeOf(text) > requestBytesMax) return rule;
    return { ...rule, text: { yaml: text.yaml, line: text.line } };
  });
  const application = {
    automations: withTexts,
    destinations: destinations.map(({ definition }) => definition),
  };
  if (sizeOf(application) <= appliedBytesMax - roomForOptions) return application;
  // The texts are only for people to look at. The rules matter.
  return { ...application, automations: withTexts.map(({ text: _text, ...rule }: TextedRule) => rule) };
}

type TextedRule = Application["automations"][number];

/** In bytes of UTF-8, as the server counts. */
function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

const roomForOptions = 1_000;

function definitionOf(automation: Automation): Record<string, unknown> {
  const { name, description, enabled, tags, trigger, actions, actions_on_trigger, actions_on_resolve } =
    automation;
  return { name, description, enabled, tags, trigger, actions, actions_on_trigger, actions_on_resolve };
}

const signs = { create: "+", change: "~", delete: "-", unchanged: " " } as const;
const verbs = { create: "create", change: "change", delete: "delete", unchanged: "leave" } as const;
const styles = { create: "green", change: "yellow", delete: "red", unchanged: "dim" } as const;

/** The plan as text: what will be created, changed and deleted, then the counts. */
export function planText({ changes }: AppliedRules, view: View): string {
  const planned = changes.filter(({ change }) => change !== "unchanged");
  const counts = (["create", "change", "delete", "unchanged"] as const).map(
    (kind) =>
      `${changes.filter(({ change }) => change === kind).length} ${kind === "unchanged" ? kind : `to ${kind}`}`,
  );
  return [...planned.flatMap((change) => changeLines(change, view)), `${counts.join(", ")}.`].join("\n");
}

function changeLines(applied: AppliedChange, view: View): string[] {
  const { what, change, name, file, fields, changes, windows } = applied;
  const from = file === null ? "" : ` (${file})`;
  const parts = fields.length === 0 ? "" : `: ${fields.join(", ")}`;
  const noun = what === "destination" ? "destination " : "";
  const line = printable(`${signs[change]} ${verbs[change]} ${noun}${name}${from}${parts}`);
  return [
    paint(line, styles[change], view.colored),
    ...changes.map((each) => printable(`    ${fieldChangeText(each, view)}`)),
    ...windows.map((window) => windowLine(window, view)),
  ];
}

function windowLine(
  { becomes, labels, count, threshold, start, end }: AppliedChange["windows"][number],
  view: View,
): string {
  const key = keyText(labels);
  const until = end === null ? "" : `, until ${timeText(end, view)}`;
  const span = start === null ? "" : ` since ${timeText(start, view)}${until}`;
  return printable(
    `    window${key === "" ? "" : ` ${key}`} with ${count} of ${threshold}${span}: ${becomes}`,
  );
}
