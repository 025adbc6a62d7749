/** Applies a server's rule files, and watches them for changes. */

import type { Logger } from "pino";
import { type Micros, millisecond } from "../core/model/time.ts";
import { affectedWindows } from "../reconcile/affected-windows.ts";
import { applyRules } from "../reconcile/carry-out.ts";
import { namesOf, type Plan } from "../reconcile/plan.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import type { LoadedRules } from "../rules/load.ts";
import { type RuleWatcher, watchRules } from "../rules/watch.ts";
import type { Log } from "../store/log.ts";
import { CommandFailure } from "./failure.ts";
import type { RuleChecks } from "./rule-checks.ts";
import { ruleEnvironment } from "./secret-files.ts";

export interface ServeRulesOptions {
  readonly log: Log;
  readonly workspace: string;
  readonly logger: Logger;
  /** The lateness of triggers that set none. */
  readonly lateness: Micros;
  /** Learns of each load. */
  readonly checks: Pick<RuleChecks, "loaded">;
}

/**
 * Applies the rules and watches their files.
 *
 * Rules with mistakes are not applied. The rules applied before remain in effect, even across a restart: an alarm must not
 * fall silent because someone was editing a file when the machine went down.
 *
 * @throws CommandFailure with every mistake, if the rules have any and none were applied before
 * @throws RedisUnreachable
 */
export async function serveRules(
  paths: readonly string[],
  { log, workspace, logger, lateness, checks }: ServeRulesOptions,
): Promise<RuleWatcher> {
  const apply = async (rules: LoadedRules): Promise<void> => {
    let details: readonly ChangeDetails[] = [];
    const plan = await applyRules(log, rules, { from: "watched files", prune: true }, async (planned) => {
      details = await changeDetails(planned, log, lateness);
    });
    for (const warning of plan.warnings) logger.warn({ warning }, "A rule may fire twice");
    const changedDestinations = plan.destinations.filter(({ kind }) => kind !== "unchanged").length;
    if (changedDestinations > 0) logger.info({ changed: changedDestinations }, "Destinations applied");
    const [created, changed, deleted] = [
      namesOf(plan, "create"),
      namesOf(plan, "change"),
      namesOf(plan, "delete"),
    ];
    if (created.length + changed.length + deleted.length > 0) {
      logger.info({ created, changed, deleted }, "Rules applied");
    }
    for (const { name, fields, kept, reset } of details) {
      const windows = { kept, reset };
      if (fields === null) logger.info({ automation: name, windows }, "Automation deleted");
      else logger.info({ automation: name, fields, windows }, "Automation changed");
    }
    if (plan.hooks !== null) logger.info({ hooks: plan.hooks.map(({ name }) => name) }, "Hooks applied");
    checks.loaded(rules, true);
  };
  let isStarting = true;
  const reject = async (rules: LoadedRules): Promise<void> => {
    const { diagnostics } = rules;
    const mistakes = diagnostics.map(formatDiagnostic);
    const isFirst = isStarting && !(await log.automations()).some(({ source }) => source.kind === "file");
    if (isFirst) {
      throw new CommandFailure(
        `${mistakes.join("\n")}\nThe rules have mistakes, and none were applied before. Fix them and start again.`,
      );
    }
    logger.error({ mistakes }, "The rules have mistakes; the rules applied before remain in effect");
    checks.loaded(rules, false);
  };
  const watcher = await watchRules(paths, {
    workspace,
    env: ruleEnvironment(process.env),
    now: () => Date.now() * millisecond,
    apply,
    reject,
    failed: ({ error }) => logger.warn({ err: error }, "Could not apply the rules; retrying"),
  });
  isStarting = false;
  return watcher;
}

interface ChangeDetails {
  readonly name: string;
  /** Null for an automation that is deleted. */
  readonly fields: readonly string[] | null;
  /** How many open windows stay as they are. */
  readonly kept: number;
  /** How many start over. */
  readonly reset: number;
}

/** What `tripline apply` prints about each automation that changes, for the log. */
async function changeDetails(plan: Plan, log: Log, latenessDefault: Micros): Promise<ChangeDetails[]> {
  const details: ChangeDetails[] = [];
  for (const change of plan.automations) {
    if (change.kind !== "change" && change.kind !== "delete") continue;
    const windows = await affectedWindows(change, log, { latenessDefault });
    const kept = windows.filter(({ becomes }) => becomes === "kept").length;
    const fields = change.kind === "change" ? change.fields : null;
    details.push({ name: change.before.name, fields, kept, reset: windows.length - kept });
  }
  return details;
}
