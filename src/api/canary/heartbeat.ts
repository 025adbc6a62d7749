/**
 * The outbound heartbeat: a URL that is requested at regular intervals as long as alarms are delivered.
 *
 * What watches it (healthchecks.io, Uptime Kuma, Dead Man's Snitch, another Tripline) raises the alarm that this server
 * cannot raise: that it does not work. So whenever there is doubt, nothing is sent.
 */

import { BackgroundTask } from "../../retry/background-task.ts";
import { type Clock, systemClock } from "../../retry/clock.ts";

export interface HeartbeatOptions {
  readonly url: string;
  /** How often to ask whether it may be requested. */
  readonly everyMs: number;
  /** Whether alarms are delivered, and this process may say so now. May throw: then they are not. */
  readonly mayPing: () => Promise<boolean>;
  readonly onPing: (outcome: "succeeded" | "failed") => void;
  readonly logger: {
    warn(fields: object, message: string): void;
    info(fields: object, message: string): void;
  };
  readonly clock?: Clock;
  readonly retryMs?: number;
}

const timeoutMs = 10_000;
const attemptCountMax = 3;
const retryMsDefault = 2_000;

export class Heartbeat extends BackgroundTask {
  readonly #options: HeartbeatOptions;
  readonly #clock: Clock;
  readonly #request: { readonly url: string; readonly headers: Record<string, string> };
  #hasFailed = false;

  constructor(options: HeartbeatOptions) {
    super();
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#request = requestOf(options.url);
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { everyMs, mayPing } = this.#options;
    while (!signal.aborted) {
      if (await mayPing().catch(() => false)) await this.#ping(signal);
      await this.#clock.sleep(everyMs, signal);
    }
  }

  async #ping(stop: AbortSignal): Promise<void> {
    const { onPing, logger, retryMs = retryMsDefault } = this.#options;
    let reason: string | null = null;
    for (let attempt = 1; attempt <= attemptCountMax && !stop.aborted; attempt += 1) {
      if (attempt > 1) await this.#clock.sleep(retryMs, stop);
      reason = await this.#attempt(stop);
      if (reason === null) break;
    }
    if (reason !== null && stop.aborted) return;
    onPing(reason === null ? "succeeded" : "failed");
    // The path of such a URL is often a secret.
    const { host } = new URL(this.#request.url);
    if (reason !== null && !this.#hasFailed)
      logger.warn({ host, reason }, "The heartbeat URL does not answer");
    if (reason === null && this.#hasFailed) logger.info({ host }, "The heartbeat URL answers again");
    this.#hasFailed = reason !== null;
  }

  /** @returns why it failed; null if it succeeded */
  async #attempt(stop: AbortSignal): Promise<string | null> {
    const { url, headers } = this.#request;
    try {
      const signal = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
      const answer = await fetch(url, { headers, signal });
      await answer.body?.cancel();
      return answer.ok ? null : `responded ${answer.status}`;
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      return String(cause instanceof Error ? cause.message : (error as Error).message);
    }
  }
}

/** Credentials in a URL, as another Tripline's key may be, belong in a header. */
function requestOf(text: string): { url: string; headers: Record<string, string> } {
  const url = new URL(text);
  const { username, password } = url;
  url.username = "";
  url.password = "";
  const headers: Record<string, string> = { "User-Agent": "tripline" };
  if (username !== "" || password !== "") {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    headers["Authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
  }
  return { url: url.href, headers };
}
