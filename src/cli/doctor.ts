/** `tripline doctor`: checks a deployment from outside, and says what to fix. It changes nothing. */

import { Command, Option } from "commander";
import { apiUrlDefault, withoutTrailingSlashes } from "../client/http.ts";
import type { RedisConnection } from "../store/connection.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { checkApi } from "./doctor/check-api.ts";
import { type CheckResult, exitCodeOf, problem, skipped, statusOf } from "./doctor/check-result.ts";
import { examineHistory, examineRedis, examineWorkspace } from "./doctor/examine.ts";
import { CommandFailure } from "./failure.ts";
import { findRedis } from "./find-redis.ts";
import { addExamples } from "./help.ts";
import { openRedis } from "./open-redis.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { paint, type Style } from "./output/style.ts";
import { printable } from "./output/text.ts";
import { boxHere } from "./secret-box-here.ts";
import {
  historyUrlDefault,
  readHistoryUrl,
  readWorkspaces,
  redisUrlIn,
  workspaceDefault,
} from "./settings.ts";
import { redisOption } from "./with-redis.ts";

interface DoctorOptions extends OutputOptions {
  readonly redis?: string;
  readonly url?: string;
  readonly historyUrl?: string;
  readonly workspace: readonly string[];
}

export function doctorCommand(): Command {
  const command = addOutput(
    new Command("doctor").description(
      "Check a deployment from outside: Redis, engines, deliveries, history and API. Prints one line for each check, and " +
        "what to do. It changes nothing. It exits with 0 if all is well, 1 after warnings, and 2 after problems.",
    ),
  )
    .addOption(redisOption())
    .addOption(
      new Option("-u, --url <url>", `the server's API (default: TRIPLINE_API_URL, or ${apiUrlDefault})`).env(
        "TRIPLINE_API_URL",
      ),
    )
    .addOption(
      new Option(
        "--history-url <url>",
        `the history (default: TRIPLINE_HISTORY_URL, or ${historyUrlDefault})`,
      )
        .env("TRIPLINE_HISTORY_URL")
        .argParser(readHistoryUrl),
    )
    .addOption(
      new Option("-w, --workspace <names>", "the workspaces, separated by commas")
        .env("TRIPLINE_WORKSPACE")
        .argParser(readWorkspaces)
        .default(workspaceDefault, "default"),
    );
  addExamples(command, [
    ["tripline doctor", "the deployment on this machine"],
    [
      "tripline doctor --redis redis://redis.internal:6379 --url http://tripline.internal:4200/api",
      "another one",
    ],
    ["tripline doctor --json | jq '.findings[] | select(.status == \"problem\")'", "for programs"],
  ]);
  return command.action(async (options: DoctorOptions) => {
    const findings = await examine(options);
    print({ status: statusOf(findings), findings }, options, ({ colored }) => textOf(findings, colored));
    process.exitCode = exitCodeOf(findings);
  });
}

async function examine(options: DoctorOptions): Promise<CheckResult[]> {
  const api = checkApi({
    url: withoutTrailingSlashes(options.url ?? apiUrlDefault),
    key: process.env["TRIPLINE_API_KEY"] || null,
    isNamed: options.url !== undefined,
  });
  const opened = await openOrExplain(options);
  if ("check" in opened) return [opened, ...(await examineHistories(options, null)), ...(await api)];
  const { redis, url } = opened;
  try {
    const found = await examineRedis(redis);
    const box = boxHere();
    for (const workspace of options.workspace) {
      const findings = await examineWorkspace({ redis, redisUrl: url, workspace, box });
      found.push(...named(findings, workspace, options));
    }
    return [...found, ...(await examineHistories(options, redis)), ...(await api)];
  } finally {
    redis.disconnect();
  }
}

async function examineHistories(
  options: DoctorOptions,
  redis: RedisConnection | null,
): Promise<CheckResult[]> {
  const { historyUrl } = options;
  const found: CheckResult[] = [];
  for (const workspace of options.workspace) {
    const url = historyUrl ?? historyUrlDefault;
    const isNamed = historyUrl !== undefined;
    const history = await examineHistory({ url, workspace, redis, isNamed });
    found.push(...named(history, workspace, options));
  }
  return found;
}

/** With a single workspace, its name in each line would be noise. */
function named(
  findings: readonly CheckResult[],
  workspace: string,
  options: DoctorOptions,
): readonly CheckResult[] {
  if (options.workspace.length === 1) return findings;
  return findings.map((finding) => ({ ...finding, check: `${workspace}: ${finding.check}` }));
}

/** Without a Redis that was named, there may be none on this machine. */
async function openOrExplain(
  options: DoctorOptions,
): Promise<Awaited<ReturnType<typeof openRedis>> | CheckResult> {
  const url = findRedis(options.redis);
  const isNamed = options.redis !== undefined || redisUrlIn(process.env) !== undefined;
  const otherwise = "Start it, or name another with --redis or REDIS_URL.";
  try {
    return await openRedis(url, { start: "", otherwise }, { name: "tripline-doctor" });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const lines = error.message.split("\n").filter((line) => line !== "");
    const [reason = "", ...remedies] = lines;
    const message = `No Redis to work with at ${withoutPassword(url)}: ${reason}`;
    if (!isNamed) return skipped("redis", `${message}. ${otherwise}`);
    return problem("redis", message, remedies.join(" ") || otherwise);
  }
}

const styles: Readonly<Record<CheckResult["status"], Style>> = {
  ok: "green",
  warning: "yellow",
  problem: "red",
  skipped: "dim",
};

function textOf(findings: readonly CheckResult[], colored: boolean): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, status, message, remedy }) => [
    `${paint(status.padEnd(8), styles[status], colored)} ${check.padEnd(width)}  ${message}`,
    ...(remedy === null ? [] : [`${" ".repeat(width + 11)}→ ${remedy}`]),
  ]);
  const counts = (["problem", "warning"] as const).map((status) => {
    const count = findings.filter((finding) => finding.status === status).length;
    return `${count} ${status}${count === 1 ? "" : "s"}`;
  });
  return [...lines.map(printable), "", `${counts.join(", ")}.`].join("\n");
}
