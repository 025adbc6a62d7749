/**
 * Sends the canary of a workspace, and judges whether it comes back.
 *
 * Of the processes that do this, one sends it each time. All of them see in Redis what became of it.
 */

import { assert } from "../../core/model/assert.ts";
import { type Automation, sameTrigger } from "../../core/model/automation.ts";
import { canaryAutomation, canaryAutomationId, canaryEvent } from "../../core/model/canary.ts";
import { EventSchema } from "../../core/model/event.ts";
import { formatSecond, millisecond } from "../../core/model/time.ts";
import { BackgroundTask } from "../../retry/background-task.ts";
import { type Clock, systemClock } from "../../retry/clock.ts";
import { keepRunning } from "../../retry/keep-trying.ts";
import type { CanaryStatus } from "../../store/canary-store.ts";
import { nobody, type Workspace } from "../http/tenant.ts";
import { checkEvent, type IngestMeter, ingest } from "../ingest/ingest.ts";
import { canarySecretPurpose } from "./canary-route.ts";

export interface CanaryOptions {
  /** Where workers reach `POST /canary` of this workspace. */
  readonly url: string;
  readonly everyMs: number;
  readonly meter: IngestMeter;
  readonly logger: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  readonly clock?: Clock;
}

/** The first one is sent soon after the start, but not while everything is still starting. */
const firstMsMax = 15_000;

export class Canary extends BackgroundTask {
  readonly #workspace: Workspace;
  readonly #options: CanaryOptions;
  readonly #clock: Clock;
  /** When this process first looked, by the clock of Redis. What was before, it cannot judge. */
  #startedAt: number | null = null;
  #hasSent = false;
  #problem: string | null = null;

  constructor(workspace: Workspace, options: CanaryOptions) {
    super();
    this.#workspace = workspace;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Looks at what became of it.
   *
   * @returns what is wrong and since when; null if nothing is. What happened before this process looked for the first time
   *   does not count: a canary that a stopped server left behind is on its way as soon as the server is back
   * @throws RedisUnreachable
   */
  async problem(): Promise<string | null> {
    const status = await this.#workspace.log.canary.status();
    this.#startedAt ??= status.now;
    const problem = judge(status, this.#startedAt, this.#options.everyMs);
    const isNews = (problem === null) !== (this.#problem === null);
    this.#problem = problem;
    if (!isNews) return problem;
    if (problem === null) this.#options.logger.info({}, "The canary is back");
    else this.#options.logger.error({ problem }, "The canary has not come back; alarms may not be delivered");
    return problem;
  }

  /** Whether one came back lately. @throws RedisUnreachable */
  async isFresh(): Promise<boolean> {
    const { now, returned } = await this.#workspace.log.canary.status();
    return returned !== null && now - returned <= 2 * this.#options.everyMs;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { everyMs, logger } = this.#options;
    await this.problem().catch(() => {}); // notes when it started
    await this.#clock.sleep(Math.min(everyMs / 4, firstMsMax), signal);
    await keepRunning(
      async () => {
        while (!signal.aborted) {
          await this.#send();
          await this.#clock.sleep(everyMs, signal);
          await this.problem();
        }
      },
      {
        signal,
        clock: this.#clock,
        onFailure: ({ kind, error }) => {
          // An outage is reported elsewhere.
          if (kind === "fault") logger.error({ err: error }, "Could not send the canary; retrying");
        },
      },
    );
  }

  async #send(): Promise<void> {
    const { log } = this.#workspace;
    const { everyMs, meter } = this.#options;
    if (!(await log.canary.claimTurn("canary", 0.9 * everyMs))) return;
    await this.#putAutomation();
    const id = crypto.randomUUID();
    await log.canary.sent(id);
    const tenant = { ...this.#workspace, scopes: new Set<never>(), actor: nobody, allowance: null };
    await ingest(tenant, meter, async () => {
      const value = canaryEvent(id, Date.now() * millisecond);
      const checked = checkEvent(EventSchema, value, JSON.stringify(value).length, ["body", 0]);
      assert("event" in checked, "the canary's event is valid");
      return { events: [checked.event], refused: null, refusedCount: 0 };
    });
    this.#hasSent = true;
  }

  /**
   * Creates the automation, or puts it right.
   *
   * Each process has its own address. As long as the canary comes back, the one that is stored is as good as any.
   */
  async #putAutomation(): Promise<void> {
    const { log } = this.#workspace;
    const secret = await log.secret(canarySecretPurpose);
    const wanted = canaryAutomation(this.#options.url, secret, Date.now() * millisecond);
    const stored = await log.automation(canaryAutomationId);
    const { waitingSince } = await log.canary.status();
    const mayDiffer = this.#hasSent && waitingSince === null;
    if (stored !== null && isSame(stored, wanted, mayDiffer)) return;
    await log.putAutomations([wanted]);
  }
}

/** @param ignoreUrl whether the address may be another */
function isSame(stored: Automation, wanted: Automation, ignoreUrl: boolean): boolean {
  const text = ({ enabled, secrets, actions }: Automation) => {
    const [action] = actions;
    const url = action?.type === "call-webhook" && !ignoreUrl ? action.url : "";
    return JSON.stringify([enabled, secrets, actions.length, { ...action, url }]);
  };
  return sameTrigger(stored.trigger, wanted.trigger) && text(stored) === text(wanted);
}

/** A canary takes milliseconds. It may be lost with the worker that has it, and sent again by another after half a minute. */
function judge({ now, sent, waitingSince }: CanaryStatus, startedAt: number, everyMs: number): string | null {
  const waitingMs = waitingSince === null ? 0 : now - Math.max(waitingSince, startedAt);
  if (waitingMs > 2 * everyMs) {
    const remedy = "Its way is that of every alarm: look for errors of the engine and the action worker.";
    return `The canary has not come back, since ${formatSecond((now - waitingMs) * millisecond)}. ${remedy}`;
  }
  const silentMs = now - Math.max(sent ?? 0, startedAt);
  if (silentMs <= 3 * everyMs) return null;
  return `No canary has been sent, since ${formatSecond((now - silentMs) * millisecond)}, so it is not known whether alarms are delivered.`;
}
