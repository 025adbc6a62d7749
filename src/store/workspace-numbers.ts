/** How much there is of what in a workspace, for people who look at it as a whole. */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { OpenNumbers } from "../core/machine/open-count.ts";
import type { Automation } from "../core/model/automation.ts";
import { isCanary } from "../core/model/canary.ts";
import { breathe } from "../retry/slices.ts";
import { type Activity, readActivity } from "./activity.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { workspaceKeys } from "./keys.ts";
import { readOpenCounts, readOpenTotals } from "./open-counts.ts";
import { readWindowStates, type WindowQuery, type WindowStates } from "./window-states.ts";

/** People's automations: all but that of the canary. */
export interface AutomationNumbers {
  readonly enabled: number;
  readonly paused: number;
}

/** To count automations is to read them. What takes longer than this is not done again and again. */
const quickMs = 50;
/** How many times longer than it took to count many automations their number is used. */
const reuseFactor = 20;

/** The numbers of one workspace, for `Log`. Every method may throw `RedisUnreachable`. */
export class WorkspaceNumbers {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  #counting: Promise<AutomationNumbers> | null = null;
  #counted: { readonly numbers: AutomationNumbers; readonly until: number } | null = null;

  constructor(redis: RedisConnection, workspace: string) {
    this.#redis = redis;
    this.#workspace = workspace;
  }

  /** Events, firings and resolutions, by second and by minute. */
  activity(): Promise<Activity> {
    return readActivity(this.#redis, this.#workspace);
  }

  /** How many windows of each shard are open. */
  openTotals(): Promise<readonly OpenNumbers[]> {
    return readOpenTotals(this.#redis, this.#workspace);
  }

  /** How many windows of each automation are open, by its id. */
  openCounts(): Promise<ReadonlyMap<string, OpenNumbers>> {
    return readOpenCounts(this.#redis, this.#workspace);
  }

  /** The state of open windows, over all automations. */
  windowStates(query: WindowQuery): Promise<WindowStates> {
    return readWindowStates(this.#redis, this.#workspace, query);
  }

  /** How many automations there are. Of thousands, the number may be some seconds old. */
  async automations(): Promise<AutomationNumbers> {
    if (this.#counted !== null && performance.now() < this.#counted.until) return this.#counted.numbers;
    this.#counting ??= this.#countAutomations().finally(() => {
      this.#counting = null;
    });
    return this.#counting;
  }

  async #countAutomations(): Promise<AutomationNumbers> {
    const started = performance.now();
    const { automations } = workspaceKeys(this.#workspace);
    const enabled = new Map<string, boolean>();
    for (let part = "0", done = false; !done; done = part === "0") {
      const [next, found] = await callRedis(() => this.#redis.hscan(automations, part, "COUNT", 500));
      for (let index = 0; index < found.length; index += 2) {
        await breathe();
        enabled.set(found[index] ?? "", (parseExactJson(found[index + 1] ?? "") as Automation).enabled);
      }
      part = next;
    }
    const people = [...enabled].filter(([id]) => !isCanary(id));
    const enabledCount = people.filter(([, isEnabled]) => isEnabled).length;
    const numbers = { enabled: enabledCount, paused: people.length - enabledCount };
    const tookMs = performance.now() - started;
    this.#counted = tookMs < quickMs ? null : { numbers, until: performance.now() + reuseFactor * tookMs };
    return numbers;
  }
}
