/** `tripline apply`: brings a running server's automations to what rule files say; first it says what will change. */

import { Command } from "commander";
import type { Application, AppliedChange, AppliedRules } from "../client/index.ts";
import type { Automation } from "../core/model/automation.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, loadRules } from "../rules/load.ts";
import { addConnection, asking, type ConnectionOptions } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addOutput, counted, type OutputOptions, onOneLine, paint, print } from "./output.ts";
import { ruleEnvironment } from "./secret-files.ts";

interface ApplyOptions extends ConnectionOptions, OutputOptions {
  readonly dryRun?: true;
  readonly prune?: true;
}

/** The exit code of a dry run that would change something. */
const wouldChange = 3;

export function applyCommand(): Command {
  const command = new Command("apply")
    .description(
      "Bring the automations and destinations of a running server to what rule files say. Says first what is created, " +
        "changed and deleted, and whether each open window is kept or reset; applying the same again changes nothing.",
    )
    .argument("[paths...]", "rule files, and directories of them", ["rules"])
    .option(
      "--dry-run",
      `only say what would be done; the exit code is then ${wouldChange} when that is anything`,
    )
    .option("--prune", "also delete automations that were applied before and are in none of these files")
    .addHelpText(
      "after",
      "\nReferences such as ${env.NAME} are filled in from the environment of this command. docs/cli.md says more.",
    );
  return addOutput(addConnection(command)).action(async (paths: string[], options: ApplyOptions) => {
    const { output, dryRun = false, prune = false } = options;
    const application = { ...applicationOf(rulesAt(paths)), prune };
    await asking(options, async (tripline) => {
      const plan = await tripline.automations.apply({ ...application, dry_run: true });
      const changes = plan.changes.filter(({ change }) => change !== "unchanged");
      if (output === "table") console.log(planText(plan));
      if (!dryRun && changes.length > 0) await tripline.automations.apply(application);
      if (output !== "table") print({ ...plan, dry_run: dryRun }, output, () => "");
      else if (!dryRun && changes.length > 0) console.log("Applied.");
      if (dryRun && changes.length > 0) process.exitCode = wouldChange;
    });
  });
}

/** @throws CommandFailure with every mistake */
function rulesAt(paths: readonly string[]): LoadedRules {
  const env = ruleEnvironment(process.env);
  // Ids and times are the server's.
  const rules = loadRules(paths, { workspace: "default", env, now: 0 });
  if (rules.diagnostics.length > 0) {
    const mistakes = rules.diagnostics.map(formatDiagnostic).join("\n");
    throw new CommandFailure(
      `${mistakes}\n${counted(rules.diagnostics.length, "mistake")}; nothing was applied.`,
    );
  }
  if (rules.hooks.length > 0) {
    const names = rules.hooks.map(({ name }) => name).join(", ");
    console.error(
      `Passed over ${counted(rules.hooks.length, "webhook")} (${names}): only a server's own --rules define them.`,
    );
  }
  return rules;
}

function applicationOf({ automations, destinations }: LoadedRules): Application {
  return {
    automations: automations.map((automation) => ({
      definition: definitionOf(automation),
      file: automation.source.kind === "file" ? automation.source.file : "",
      secrets: automation.secrets,
    })),
    destinations: destinations.map(({ definition }) => definition),
  };
}

function definitionOf(automation: Automation): Record<string, unknown> {
  const { name, description, enabled, tags, trigger, actions, actions_on_trigger, actions_on_resolve } =
    automation;
  return { name, description, enabled, tags, trigger, actions, actions_on_trigger, actions_on_resolve };
}

const signs = { create: "+", change: "~", delete: "-", unchanged: " " } as const;
const verbs = { create: "create", change: "change", delete: "delete", unchanged: "leave" } as const;
const colors = { create: "green", change: "yellow", delete: "red", unchanged: "dim" } as const;

/** The plan, for people. */
export function planText({ changes }: AppliedRules): string {
  const shown = changes.filter(({ change }) => change !== "unchanged");
  const counts = (["create", "change", "delete", "unchanged"] as const).map(
    (kind) =>
      `${changes.filter(({ change }) => change === kind).length} ${kind === "unchanged" ? kind : `to ${kind}`}`,
  );
  return [...shown.flatMap(linesOf), `${counts.join(", ")}.`].join("\n");
}

function linesOf({ what, change, name, file, fields, windows }: AppliedChange): string[] {
  const from = file === null ? "" : ` (${file})`;
  const parts = fields.length === 0 ? "" : `: ${fields.join(", ")}`;
  const noun = what === "destination" ? "destination " : "";
  const line = onOneLine(`${signs[change]} ${verbs[change]} ${noun}${name}${from}${parts}`);
  return [paint(line, colors[change]), ...windows.map(windowLine)];
}

function windowLine({
  becomes,
  labels,
  count,
  threshold,
  start,
  end,
}: AppliedChange["windows"][number]): string {
  const key = Object.entries(labels).map(([label, value]) => ` ${label}=${value}`);
  const span = start === null ? "" : ` since ${start}${end === null ? "" : `, until ${end}`}`;
  return onOneLine(`    window${key.join("")} with ${count} of ${threshold}${span}: ${becomes}`);
}
