/**
 * Messages for people who look at a delivery or try out a destination: what is sent, and one test message.
 *
 * Made where the API runs, which may be another process than the workers'. A test has the address policy, the limits and
 * the timeout of a delivery, but no job: it is sent once, while whoever asked for it waits.
 */

import { randomUUID } from "node:crypto";
import { secretsOf } from "../core/machine/consequence.ts";
import { underPresentRule } from "../core/machine/present-rule.ts";
import { type ActionDefinition, ActionSchema } from "../core/model/action.ts";
import type { Automation } from "../core/model/automation.ts";
import { cut } from "../core/model/cut.ts";
import {
  type Destination,
  type DestinationDefinition,
  destinationAddress,
} from "../core/model/destination.ts";
import type { DisabledEndpoint } from "../core/model/disabled-endpoint.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { RedeliveryRefusal } from "../core/model/redelivery.ts";
import { referencesIn } from "../core/model/reference.ts";
import { triplineNamespace, uuid5 } from "../core/model/uuid.ts";
import { systemClock } from "../retry/clock.ts";
import type { Log } from "../store/log.ts";
import { SecretUnreadable } from "../store/secret-box.ts";
import { Renderer } from "../templates/renderer.ts";
import type { AttemptOutcome } from "./attempt.ts";
import { type DeliveryState, hasWaited } from "./delivery-state.ts";
import { limitOf } from "./destinations/kind.ts";
import { WebhookClient } from "./http/webhook-client.ts";
import { type MessageView, viewMessage } from "./message-view.ts";
import type { DeliveryQueue } from "./queue.ts";
import { invocationToRedeliver, isMoved } from "./redelivery.ts";
import { runAction } from "./run-action.ts";
import { type WorkerSettings, workerSettings } from "./worker-settings.ts";

export interface MessagesOptions {
  readonly log: Log;
  readonly queue: Pick<DeliveryQueue, "stored">;
  readonly settings?: Partial<Pick<WorkerSettings, "dangerouslyAllowPrivateAddresses" | "endpoints">>;
}

/** What a delivery sends: as the rule was when it fired, or as the present rule has it. */
export interface DeliveryMessage extends MessageView {
  readonly rendered: "as_sent" | "now";
}

export interface TestOutcome {
  /** Whether the receiver has accepted it. */
  readonly ok: boolean;
  readonly status_code: number | null;
  /** Why it was not accepted. */
  readonly reason: string | null;
  /** The beginning of the receiver's answer, if it was accepted. */
  readonly answer: string | null;
  readonly duration_ms: number;
  readonly sent: DeliveryMessage;
}

/** No test keeps whoever asks for it waiting for longer, whatever the destination allows. Clients give up after 30 s. */
const testTimeoutMs = 25_000;

/** To look for more of them in a message would take long. Those of the action itself are looked for anyway. */
const otherSecretsMax = 50;

/** So many tests at a time, in this process. */
const testCountMax = 10;

/** Every method may throw RedisUnreachable. */
export class Messages {
  readonly #log: Log;
  readonly #queue: MessagesOptions["queue"];
  readonly #webhooks: WebhookClient;
  readonly #stop = new AbortController();
  #testCount = 0;

  constructor({ log, queue, settings = {} }: MessagesOptions) {
    const { dangerouslyAllowPrivateAddresses, endpoints } = { ...workerSettings, ...settings };
    this.#log = log;
    this.#queue = queue;
    this.#webhooks = new WebhookClient({ dangerouslyAllowPrivateAddresses, limits: endpoints });
  }

  /**
   * Shows what a delivery has sent, or will send.
   *
   * @param wanted the rule as it was when it fired, or as it is now; null for that of the next attempt, or of the last one
   * @returns why it cannot be told
   */
  async ofDelivery(
    id: string,
    wanted: "as_sent" | "now" | null,
  ): Promise<DeliveryMessage | RedeliveryRefusal> {
    const found = await this.#queue.stored(id);
    if (found === null) return { kind: "unknown" };
    const { state, isDelivered, ended } = found;
    if (state === null) return { kind: "not kept" };
    const automation = await this.#log.sealedAutomation(state.invocation.automation.id);
    const present = wanted === "now" || (wanted === null && ended === null && isToBeMoved(state, automation));
    if (!present) {
      const attempt = ended === null ? undefined : state.attempts?.at(-1);
      const sentMs = attempt === undefined ? null : Date.parse(attempt.at) - attempt.duration_ms;
      const secrets = isDelivered ? null : this.#opened(state.invocation);
      return this.#view(state.invocation, "as_sent", { secrets, automation, sentMs });
    }
    const options = { automation, asSent: false, insists: false };
    const invocation = invocationToRedeliver(state.invocation, options, isDelivered);
    if ("kind" in invocation) return invocation;
    return this.#view(invocation, "now", { secrets: this.#opened(invocation), automation, sentMs: null });
  }

  async #view(
    invocation: Invocation,
    rendered: DeliveryMessage["rendered"],
    {
      secrets,
      automation,
      sentMs,
    }: {
      readonly secrets: Invocation["secrets"] | null;
      readonly automation: Automation | null;
      readonly sentMs: number | null;
    },
  ): Promise<DeliveryMessage> {
    const hasReferences = referencesIn(JSON.stringify(invocation.action)).length > 0;
    const view = await viewMessage(invocation, {
      log: this.#log,
      secrets: hasReferences ? secrets : {},
      alsoHidden: this.#presentSecrets(invocation, automation),
      sent: new Date(sentMs ?? Date.now()),
      wasSentMs: sentMs,
    });
    return { ...view, rendered };
  }

  /** The values of its references; null if no key opens them. */
  #opened({ automation, secrets }: Pick<Invocation, "automation" | "secrets">): Invocation["secrets"] | null {
    try {
      return this.#log.openSecrets(automation.id, secrets);
    } catch (error) {
      if (error instanceof SecretUnreadable) return null;
      throw error;
    }
  }

  /** Those that its automation has now. An event may quote one that the delivery does not hold, or not any more. */
  #presentSecrets(invocation: Invocation, automation: Automation | null): Invocation["secrets"] {
    if (automation === null) return {};
    const others = Object.fromEntries(Object.entries(automation.secrets).slice(0, otherSecretsMax));
    const secrets = { ...others, ...secretsOf(invocation.action, automation) };
    return this.#opened({ ...invocation, secrets }) ?? {};
  }

  /**
   * Sends a test message to a destination, once.
   *
   * @param signal aborted when whoever asked for it has gone
   * @returns the endpoint if it is disabled, or `busy` if too many tests are being made; then nothing is sent
   */
  async test(
    destination: Destination,
    signal: AbortSignal,
  ): Promise<TestOutcome | { readonly disabled: DisabledEndpoint } | "busy"> {
    const { definition } = destination;
    const address = { destination: definition.name, address: destinationAddress(definition) };
    const disabled = await this.#log.endpoints.find(address);
    if (disabled !== null) return { disabled };
    if (this.#testCount >= testCountMax) return "busy";
    this.#testCount += 1;
    try {
      return await this.#test(testDestination(destination), AbortSignal.any([signal, this.#stop.signal]));
    } finally {
      this.#testCount -= 1;
    }
  }

  async #test(destination: Destination, signal: AbortSignal): Promise<TestOutcome> {
    const invocation = testInvocation(destination);
    const log = this.#logWith(destination);
    const now = new Date();
    const timeout = AbortSignal.timeout(testTimeoutMs);
    const stop = AbortSignal.any([signal, timeout]);
    const sent = {
      ...(await viewMessage(invocation, { log, secrets: {}, sent: now })),
      rendered: "now" as const,
    };
    const started = performance.now();
    const outcome = await runAction(invocation, {
      log,
      webhooks: this.#webhooks,
      renderer: new Renderer(invocation),
      redact: (text) => text,
      clock: systemClock,
      wake: async () => false,
      isWoken: true, // a person wants to know whether it works again
      checkHeld: async () => {},
      addressees: undefined,
      signal: stop,
    }).catch((error: unknown): AttemptOutcome => {
      if (!stop.aborted) throw error;
      const reason = `timed out: no complete response within ${testTimeoutMs} ms`;
      return { kind: "failed", reason: timeout.aborted ? reason : "the test was interrupted" };
    });
    const durationMs = Math.round(performance.now() - started);
    const limit = limitOf(destination.definition);
    // It does not come back, so it must hold no place in line.
    if (outcome.kind === "deferred" && limit !== null)
      await this.#log.limits.withdraw(limit.id, invocation.id);
    const status = outcome.kind === "deferred" ? undefined : outcome.result?.["status_code"];
    return {
      ok: outcome.kind === "executed",
      status_code: typeof status === "number" ? status : null,
      reason: outcome.kind === "executed" ? null : outcome.reason,
      answer: outcome.kind === "executed" ? (outcome.answer ?? null) : null,
      duration_ms: durationMs,
      sent,
    };
  }

  /** The log, but with this destination in it. */
  #logWith(destination: Destination) {
    const log = this.#log;
    return {
      destinations: {
        get: async () => destination,
        getByName: async () => destination,
        requireSecrets: (found: Destination) => log.destinations.requireSecrets(found),
      },
      endpoints: log.endpoints,
      limits: log.limits,
      automations: () => log.automations(),
      sealedAutomation: (id: string) => log.sealedAutomation(id),
      openSecrets: (...parameters: Parameters<Log["openSecrets"]>) => log.openSecrets(...parameters),
      appendEvents: (...parameters: Parameters<Log["appendEvents"]>) => log.appendEvents(...parameters),
      updateAutomation: (...parameters: Parameters<Log["updateAutomation"]>) =>
        log.updateAutomation(...parameters),
    };
  }

  /** Interrupts the tests in progress. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#webhooks.close();
  }
}

/** Whether the next attempt is made as the present rule has it. */
function isToBeMoved(state: DeliveryState, automation: Automation | null): boolean {
  if (automation === null || !hasWaited(state, Date.now())) return false;
  const present = underPresentRule(state.invocation, automation);
  return typeof present !== "string" && isMoved(state.invocation, present);
}

/** With a bounded timeout, and without raising an alarm of high severity. */
function testDestination(destination: Destination): Destination {
  return { ...destination, definition: testDefinition(destination.definition) };
}

function testDefinition(definition: DestinationDefinition): DestinationDefinition {
  switch (definition.type) {
    case "webhook":
      return { ...definition, timeout: Math.min(definition.timeout, testTimeoutMs / 1_000) };
    case "pagerduty":
      return { ...definition, severity: "info" };
    default:
      return definition;
  }
}

const nameLengthMax = 200;

/** A firing that never was, whose texts say that they are a test. */
function testInvocation({ id, definition }: Destination): Invocation {
  const name = cut(definition.name, nameLengthMax);
  const now = new Date().toISOString();
  return {
    id: randomUUID(),
    actionIndex: 0,
    action: testAction(definition),
    secrets: {},
    automation: {
      // The same for each test of a destination, so that PagerDuty has one incident for all of them.
      id: uuid5(triplineNamespace, `test of destination ${id}`),
      name: "Test by Tripline",
      description: `This is a test of the destination ${JSON.stringify(name)}. No automation has fired, and there is nothing to do.`,
      tags: [],
      enabled: true,
      posture: null,
    },
    firing: {
      id: randomUUID(),
      trigger_id: uuid5(triplineNamespace, `test trigger of destination ${id}`),
      trigger_states: ["Triggered"],
      triggered: now,
      triggering_labels: {},
      triggering_event: null,
      window: null,
      late: false,
      triggering_firings: [],
    },
    lineage: [],
    firingEventId: randomUUID(),
  };
}

/** What reaches the destination the way that its own deliveries do: the method of a webhook counts only for `call-webhook`. */
function testAction(definition: DestinationDefinition): ActionDefinition {
  const { name: destination } = definition;
  if (definition.type !== "webhook") {
    return ActionSchema.parse({
      type: "send-notification",
      destination,
      subject: "[TEST] {{ automation.name }}",
      body: "{{ automation.description }}",
    });
  }
  const hasBody = definition.method !== "GET" && definition.method !== "DELETE";
  const payload = {
    test: true,
    subject: "[TEST] {{ automation.name }}",
    body: "{{ automation.description }}",
    automation: { id: "{{ automation.id }}", name: "{{ automation.name }}" },
  };
  return ActionSchema.parse({ type: "call-webhook", destination, ...(hasBody ? { payload } : {}) });
}
