/** Applies a server's rule files, and watches them for changes. */

import type { Logger } from "pino";
import { millisecond } from "../core/model/time.ts";
import { applyRules } from "../reconcile/carry-out.ts";
import { namesOf } from "../reconcile/plan.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import type { LoadedRules } from "../rules/load.ts";
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
  { log, workspace, logger }: ServeRulesOptions,
): Promise<RuleWatcher> {
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
  let isStarting = true;
  const reject = async ({ diagnostics }: LoadedRules): Promise<void> => {
    const mistakes = diagnostics.map(formatDiagnostic);
    const isFirst = isStarting && !(await log.automations()).some(({ source }) => source.kind === "file");
    if (isFirst) {
      throw new CommandFailure(
        `${mistakes.join("\n")}\nThe rules have mistakes, and none were applied before. Fix them and start again.`,
      );
    }
    logger.error({ mistakes }, "The rules have mistakes; the rules applied before remain in effect");
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
