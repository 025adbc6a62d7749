/** What tests of actions need: a log and a queue in a real Redis, a real webhook receiver, and a worker. */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { invocationsOf } from "../../src/core/machine/consequence.ts";
import type { Firing, TriggerFiring } from "../../src/core/machine/firing.ts";
import { type ActionDefinition, ActionSchema } from "../../src/core/model/action.ts";
import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { type Event, eventOf, type WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { parseTime, second } from "../../src/core/model/time.ts";
import type { DeliveryView, ListedStatus } from "../../src/delivery/delivery-view.ts";
import { type DeliveryListOptions, DeliveryQueue, type QueueSettings } from "../../src/delivery/queue.ts";
import { type ActionWorker, startActionWorker } from "../../src/delivery/worker.ts";
import type { ActionMetrics, WorkerSettings } from "../../src/delivery/worker-settings.ts";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { quick, recordingLogger } from "./support-settings.ts";

const noon = parseTime("2026-03-01T12:00:00Z")!;

export function pumpEvent(fields: Partial<WireEvent> = {}): Event {
  const wire: WireEvent = {
    occurred: "2026-03-01T12:00:00Z",
    event: "pump.stopped",
    resource: { "prefect.resource.id": "greenhouse.pump.1", zone: "north" },
    related: [],
    payload: { pressure: 0.4 },
    id: randomUUID(),
    follows: null,
    ...fields,
  };
  return eventOf(wire, noon);
}

export interface Given {
  readonly name?: string;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly event?: Event | null;
  readonly children?: readonly TriggerFiring[];
}

export function automationOf(action: unknown, given: Given = {}): Automation {
  const definition = AutomationSchema.parse({
    name: given.name ?? "pump watch",
    trigger: { expect: ["pump.stopped"], posture: "Reactive" },
    actions: [action],
  });
  const id = randomUUID();
  return {
    ...definition,
    id,
    source: { kind: "api" },
    secrets: given.secrets ?? {},
    created: noon,
    updated: noon,
  };
}

export function triggerFiring(event: Event | null, firings: readonly TriggerFiring[] = []): TriggerFiring {
  return {
    id: randomUUID(),
    triggerId: randomUUID(),
    state: "Triggered",
    triggered: noon,
    happened: noon,
    labels: { zone: "north" },
    event,
    window: { start: noon, end: noon + 60 * second, count: 3, threshold: 1 },
    late: false,
    firings,
  };
}

/** What an automation does when it fires, as the engine adds it to the queue. */
export function firedBy(
  automation: Automation,
  {
    event = pumpEvent(),
    children,
    ...fields
  }: Partial<TriggerFiring> & Pick<Given, "event" | "children"> = {},
): Invocation[] {
  const firing: Firing = {
    ...triggerFiring(event, children),
    automation,
    lineage: [automation.id],
    ...fields,
  };
  return invocationsOf(firing);
}

/** The invocation of an action, as the engine adds it to the queue. */
export function invocationOf(action: unknown, given: Given = {}): Invocation {
  const { event, children } = given;
  const [invocation] = firedBy(automationOf(action, given), {
    ...(event === undefined ? {} : { event }),
    ...(children === undefined ? {} : { children }),
  });
  return invocation!;
}

/** At most three attempts, unless the fields say otherwise. */
export function webhook(url: string, fields: Readonly<Record<string, unknown>> = {}): ActionDefinition {
  return ActionSchema.parse({ type: "call-webhook", url, retry: { attempts: 3 }, ...fields });
}

/** A redelivery that sends what the rule said when it fired. */
export const asSent = { automation: null, asSent: true, insists: false };

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly receivedMs: number;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  readonly server: Server;
  /** Resolves once `count` requests have arrived. */
  arrived(count: number): Promise<void>;
}

/** A real HTTP server on loopback. @param answer may leave the response open */
export async function startReceiver(
  answer: (response: ServerResponse, request: Received, index: number) => void | Promise<void> = (response) =>
    void response.end(),
  host = "127.0.0.1",
): Promise<Receiver> {
  const received: Received[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const server = createServer(async (message, response) => {
    const body = await buffer(message).catch(() => null);
    if (body === null) return;
    const { method = "", url = "", headers } = message;
    const request = { method, path: url, headers, body: body.toString(), receivedMs: Date.now() };
    received.push(request);
    for (const { count, resolve } of waiting) if (received.length >= count) resolve();
    await answer(response, request, received.length - 1);
  });
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/hook`,
    port,
    received,
    server,
    arrived: (count) =>
      new Promise((resolve) => {
        if (received.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
}

/** A fresh workspace with a queue, a log, and workers on demand. All are closed when the test ends. */
export function startActions(redisUrl: string, queueSettings: Partial<QueueSettings> = {}) {
  const workspace = `greenhouse-${randomUUID()}`;
  const redis = connect(redisUrl);
  const log = new Log(redis, workspace);
  const queue = new DeliveryQueue(redisUrl, workspace, queueSettings);
  const logger = recordingLogger();
  const workers: ActionWorker[] = [];
  onTestFinished(async () => {
    await Promise.all(workers.map((worker) => worker.close(0)));
    await queue.close();
    log.close();
    redis.disconnect();
  });
  return {
    workspace,
    redis,
    log,
    queue,
    logger,
    work(
      settings: Partial<WorkerSettings> = {},
      overrides: { log?: Log; metrics?: ActionMetrics } = {},
    ): ActionWorker {
      const worker = startActionWorker({
        redisUrl,
        workspace,
        log,
        logger,
        settings: { ...quick, ...settings },
        ...overrides,
      });
      workers.push(worker);
      return worker;
    },
    /** The deliveries of one state. */
    async listed(state: ListedStatus, options?: DeliveryListOptions): Promise<readonly DeliveryView[]> {
      return (await queue.deliveries(state, options)).deliveries;
    },
    /** Reads the log until the delivery's outcome is in it. */
    async outcome(invocation: Invocation): Promise<WireEvent> {
      return this.event(
        ({ event, payload }) =>
          /\.action\.(executed|failed)$/.test(event) && payload["invocation"] === invocation.id,
      );
    },
    /** Reads the log until an event matches. */
    async event(matches: (event: WireEvent) => boolean): Promise<WireEvent> {
      for (let position = "0-0"; ; ) {
        const batch = await log.readBatch(position, { count: 100, blockMs: 1_000 }).catch(() => null);
        if (batch === null) continue; // Redis is being restarted
        for (const entry of batch.entries) {
          if (entry.kind === "event" && matches(entry.event.wire)) return entry.event.wire;
        }
        position = batch.position;
      }
    },
    /** Every event in the log so far. */
    async events(): Promise<WireEvent[]> {
      const entries = await log.read("0-0", { count: 10_000 });
      return entries.flatMap((entry) => (entry.kind === "event" ? [entry.event.wire] : []));
    },
  };
}
