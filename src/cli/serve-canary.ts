/** The canary of a server, and the heartbeat that it sends while the canary comes back. */

import type { Logger } from "pino";
import { Canary } from "../api/canary/canary.ts";
import { Heartbeat } from "../api/canary/heartbeat.ts";
import type { Metrics } from "../api/http/metrics.ts";
import { withoutTrailingSlashes } from "../client/http.ts";
import { millisecond } from "../core/model/time.ts";
import { CommandFailure } from "./failure.ts";
import type { Running } from "./running.ts";
import type { ServedWorkspace } from "./serve-workspace.ts";
import type { Settings } from "./settings.ts";

export interface ServeCanaryOptions {
  readonly settings: Settings;
  /** Of this server; null if it does not listen. */
  readonly url: string | null;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly running: Running;
}

/**
 * Where workers reach the API; null if this process sends no canary.
 *
 * A process with all the roles that a canary passes is its own receiver. Others cannot know where the workers are.
 */
function apiOf({ canary, canaryUrl, roles }: Settings, url: string | null): string | null {
  if (canary === 0 || !roles.includes("api")) return null;
  if (canaryUrl !== null) return withoutTrailingSlashes(canaryUrl);
  const isWhole = roles.includes("engine") && roles.includes("actions");
  return isWhole && url !== null
    ? `${url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")}/api`
    : null;
}

/**
 * Starts the canary of each workspace, and the heartbeat.
 *
 * @returns the canary of each workspace; none if this process sends none
 * @throws CommandFailure if there is a heartbeat URL and nothing to make it depend on
 */
export function serveCanary(
  served: readonly ServedWorkspace[],
  { settings, url, metrics, logger: parent, running }: ServeCanaryOptions,
): ReadonlyMap<string, Canary> {
  const api = apiOf(settings, url);
  const { heartbeatUrl } = settings;
  const canaries = new Map<string, Canary>();
  if (api === null) {
    if (heartbeatUrl === null || !settings.roles.includes("api")) return canaries;
    throw new CommandFailure(
      "--heartbeat-url reports that the canary comes back, but this process sends none. Set --canary-url to the address at " +
        "which the action workers reach the API, such as http://tripline:4200/api; and --canary must not be 0.",
    );
  }
  const everyMs = settings.canary / millisecond;
  for (const workspace of served) {
    const { workspace: name } = workspace;
    const logger = served.length > 1 ? parent.child({ workspace: name }) : parent;
    const receiver = `${api}/accounts/tripline/workspaces/${encodeURIComponent(name)}/canary`;
    const canary = new Canary(workspace, { url: receiver, everyMs, meter: metrics, logger });
    canary.start();
    running.add(() => canary.stop());
    canaries.set(name, canary);
  }
  if (heartbeatUrl === null) return canaries;
  const heartbeat = new Heartbeat({
    url: heartbeatUrl,
    everyMs: everyMs / 4, // of which one is a turn; so that another process takes over soon from one that has ended
    mayPing: async () => {
      const wells = await Promise.all(served.map((workspace) => isWell(workspace, canaries)));
      if (!wells.every(Boolean)) return false;
      return (await served[0]?.log.canary.claimTurn("heartbeat", 0.9 * everyMs)) ?? false;
    },
    onPing: (outcome) => metrics.heartbeatPinged(outcome),
    logger: parent,
  });
  heartbeat.start();
  running.add(() => heartbeat.stop());
  return canaries;
}

async function isWell(
  { workspace, engineHealth }: ServedWorkspace,
  canaries: ReadonlyMap<string, Canary>,
): Promise<boolean> {
  const canary = canaries.get(workspace);
  const [isFresh, problem, engineProblems] = await Promise.all([
    canary?.isFresh() ?? false,
    canary?.problem() ?? null,
    engineHealth?.check() ?? [],
  ]);
  return isFresh && problem === null && !engineProblems.some(({ stopsAlarms }) => stopsAlarms);
}
