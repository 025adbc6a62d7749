/** Reports deliveries: as events in the log, to the operator, and as metrics. */

import { isCanary } from "../core/model/canary.ts";
import { endpointName } from "../core/model/disabled-endpoint.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { millisecond } from "../core/model/time.ts";
import { traceIdOf } from "../core/model/trace-context.ts";
import type { WallClock } from "../retry/clock.ts";
import { keepTrying } from "../retry/keep-trying.ts";
import {
  type DeliveryOutcome,
  type DeliveryState,
  deliveryEvent,
  disabledEndpointOf,
} from "./delivery-state.ts";
import { EventReports } from "./event-reports.ts";
import type { DeliveryLog } from "./ports.ts";
import type { ActionLogger, ActionMetrics } from "./worker-settings.ts";

export interface DeliveryReporterOptions {
  readonly log: DeliveryLog;
  readonly clock: WallClock;
  readonly logger: ActionLogger;
  readonly metrics: ActionMetrics;
  /** Aborted when the worker must stop at once. */
  readonly stop: AbortSignal;
}

/**
 * Every method waits for Redis to come back, and throws RedisUnreachable once the worker is stopped. The canary's deliveries
 * are nobody's concern: no event is about them.
 */
export class DeliveryReporter {
  readonly #log: DeliveryLog;
  readonly #clock: WallClock;
  readonly #logger: ActionLogger;
  readonly #metrics: ActionMetrics;
  readonly #stop: AbortSignal;
  readonly #events: EventReports;

  constructor({ log, clock, logger, metrics, stop }: DeliveryReporterOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#stop = stop;
    this.#events = new EventReports(log, stop, clock);
  }

  /** Appends the event that says the delivery has started. */
  async started(state: DeliveryState): Promise<void> {
    if (isCanary(state.invocation.automation.id)) return;
    const event = deliveryEvent(state, "triggered", this.#clock.timeOfDay() * millisecond);
    const { lineage, trace } = state.invocation;
    await this.#events.append({ event, lineage, trace });
  }

  /**
   * Appends the event that says how the delivery ended, and disables its endpoint if that is gone.
   *
   * @param added when the delivery was added to the queue, in milliseconds since the epoch
   */
  async ended(state: DeliveryState, outcome: DeliveryOutcome, added: number): Promise<void> {
    const { kind, at, result, gone } = outcome;
    const { id, automation, action, lineage, trace } = state.invocation;
    const isOfCanary = isCanary(automation.id);
    const event = deliveryEvent(state, kind, at, result);
    if (!isOfCanary) await this.#events.append({ event, lineage, trace });
    if (gone !== undefined) await this.#disable(state, { ...outcome, gone });
    const fields = {
      automation: automation.name,
      action: action.type,
      ...result,
      invocation: id,
      ...traceFields(state.invocation),
    };
    const isPlain = result["template_failures"] !== undefined;
    if (isPlain) this.#logger.warn(fields, "A template failed; the message is plain");
    if (kind === "executed") {
      if (!isOfCanary) this.#logger.info(fields, "Action executed"); // it would be a line every minute
    } else if (outcome.cancelled) this.#logger.info(fields, "Delivery cancelled");
    else this.#logger.error(fields, "Action failed; no retries left");
    const seconds = (this.#clock.timeOfDay() - (state.started ?? added)) / 1_000;
    this.#metrics.actionFinished?.(action.type, kind, seconds);
  }

  /** Disables the endpoint of a delivery, which has responded that it is gone. */
  async #disable(state: DeliveryState, outcome: Parameters<typeof disabledEndpointOf>[1]): Promise<void> {
    const { lineage, trace } = state.invocation;
    const { endpoint, event } = disabledEndpointOf(state, outcome);
    const disable = () => this.#log.endpoints.disable(endpoint, { event, lineage, trace });
    const isNew = await keepTrying(disable, { signal: this.#stop, clock: this.#clock });
    const { id, delivery, reason } = endpoint;
    const fields = { endpoint: id, name: endpointName(endpoint), invocation: delivery, reason };
    if (isNew) this.#logger.warn(fields, "Endpoint disabled: it responded 410 Gone");
  }
}

/** Connects a log line with its trace. */
export function traceFields({ trace }: Invocation): { trace_id?: string } {
  return trace === undefined ? {} : { trace_id: traceIdOf(trace) };
}
