/** The rule files of a server: loaded, applied, and followed as they change. */

import type { Logger } from "pino";
import { millisecond } from "../core/model/time.ts";
import { applyRules } from "../reconcile/carry-out.ts";
import { namesOf } from "../reconcile/plan.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, loadRules } from "../rules/load.ts";
import { type RuleWatcher, watchRules } from "../rules/watch.ts";
import type { Log } from "../store/log.ts";
import { CommandFailure } from "./failure.ts";
import { ruleEnvironment } from "./secret-files.ts";

export interface ServeRulesOptions {
  readonly log: Log;
  readonly workspace: string;
  readonly logger: Logger;
}

/**
 * Applies the rules and goes on watching their files.
 *
 * Rules with mistakes are not applied. What was applied before stays in force, also over a restart: an alarm must not
 * fall silent because somebody was editing when the machine went down.
 *
 * @throws CommandFailure with every mistake, when there are some and nothing was applied before
 */
export async function serveRules(
  paths: readonly string[],
  { log, workspace, logger }: ServeRulesOptions,
): Promise<RuleWatcher> {
  const options = { workspace, env: ruleEnvironment(process.env) };
  const now = () => Date.now() * millisecond;

  const apply = async (rules: LoadedRules): Promise<void> => {
    const plan = await applyRules(log, rules, { from: "watched files", prune: true });
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
    if (plan.hooks !== null) logger.info({ hooks: plan.hooks.map(({ name }) => name) }, "Hooks applied");
  };
  const reject = ({ diagnostics }: LoadedRules): void => {
    const mistakes = diagnostics.map(formatDiagnostic);
    logger.error({ mistakes }, "The rules have mistakes; those applied before stay in force");
  };

  const first = loadRules(paths, { ...options, now: now() });
  if (first.diagnostics.length === 0) {
    await apply(first);
  } else if (!(await log.automations()).some(({ source }) => source.kind === "file")) {
    const mistakes = first.diagnostics.map(formatDiagnostic).join("\n");
    throw new CommandFailure(
      `${mistakes}\nThe rules have mistakes, and none were applied before; put them right.`,
    );
  }
  return watchRules(paths, {
    ...options,
    now,
    apply,
    reject,
    failed: (error) => logger.warn({ err: error }, "The rules could not be applied; trying again"),
  });
}
