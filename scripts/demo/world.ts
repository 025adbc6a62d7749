/** A small shop whose services, jobs and orders post events; and the receivers of what Tripline has to say about them. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type NewEvent, type Tripline, Unreachable } from "../../src/client/index.ts";

const services = ["cart", "checkout", "search", "payments", "inventory", "mail", "images", "login"];
const jobs = ["nightly-backup", "daily-report", "index-products", "resize-images", "sync-stock"];
const reasons = ["disk full", "out of memory", "connection refused by db-2", "exit status 137"];
const faults = ["no route to host", "timeout after 30 s", "500 from payments", "deadlock detected"];

/** How often the world moves on. */
const stepMs = 1_000;

export interface Receivers {
  readonly url: string;
  stop(): Promise<void>;
}

/** Takes webhooks and answers them: most at once, those below `/broken` never with success. */
export async function startReceivers(): Promise<Receivers> {
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      const isBroken = request.url?.startsWith("/broken") ?? false;
      const answer = () => {
        response.writeHead(isBroken ? 503 : 200, { "Content-Type": "application/json" });
        response.end(isBroken ? '{"error":"switched off"}' : '{"ok":true}');
      };
      setTimeout(answer, 20 + Math.random() * 120);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Lets the shop live: once a second, its services beat, and now and then something happens.
 *
 * @param options.perSecond how many more events to post each second
 */
export async function live(
  tripline: Tripline,
  { perSecond = 0, signal }: { readonly perSecond?: number; readonly signal: AbortSignal },
): Promise<void> {
  for (let second = 0; !signal.aborted; second++) {
    const events = [...eventsAt(second), ...Array.from({ length: perSecond }, clicked)];
    try {
      await tripline.events.emit(events, { signal });
      await pause(stepMs, undefined, { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Unreachable)) throw error;
    }
  }
}

function eventsAt(second: number): NewEvent[] {
  const events: NewEvent[] = services
    // From time to time the search does not answer for a while.
    .filter((name) => (second + name.length) % 5 === 0 && !(name === "search" && second % 120 > 40))
    .map((name) => serviceEvent("service.heartbeat", name, { load: round(Math.random()) }));
  if (second % 7 === 0) events.push(...jobRun(jobs[(second / 7) % jobs.length] ?? "", second));
  if (second % 4 === 0) events.push(...order(second / 4));
  if (second % 90 === 20) {
    events.push(serviceEvent("service.deployed", "payments", { version: `4.${second}`, by: "ci" }));
  }
  if (second % 90 > 20 && second % 90 < 34) {
    events.push(serviceEvent("service.error", "payments", { message: pick(faults), code: 500 }));
  }
  if (Math.random() < 0.15) {
    events.push(serviceEvent("service.error", pick(services), { message: pick(faults) }));
  }
  return events;
}

function serviceEvent(event: string, name: string, payload: Record<string, unknown>): NewEvent {
  return {
    event,
    resource: {
      "prefect.resource.id": `service.${name}`,
      "prefect.resource.name": name,
      region: name.length % 2 === 0 ? "eu" : "us",
    },
    related: [
      {
        "prefect.resource.id": `team.${name.length % 2 === 0 ? "store" : "platform"}`,
        "prefect.resource.role": "owner",
      },
    ],
    payload,
  };
}

/** A job that starts and ends; the end follows the start. */
function jobRun(name: string, second: number): NewEvent[] {
  const [start, end] = [crypto.randomUUID(), crypto.randomUUID()];
  const resource = { "prefect.resource.id": `job.${name}`, "prefect.resource.name": name };
  const run = { "prefect.resource.id": `run.${start.slice(0, 8)}`, "prefect.resource.role": "run" };
  const isFailed = second % 35 === 14;
  return [
    { id: start, event: "job.started", resource, related: [run], payload: { attempt: 1 } },
    {
      id: end,
      event: isFailed ? "job.failed" : "job.completed",
      resource,
      related: [run],
      follows: start,
      payload: isFailed ? { reason: pick(reasons), attempt: 1 } : { seconds: round(Math.random() * 90) },
    },
  ];
}

/** An order, and the payment of an earlier one; every tenth is never paid. */
function order(number: number): NewEvent[] {
  const resource = (index: number) => ({ "prefect.resource.id": `order.${1_000 + index}` });
  const customer = { "prefect.resource.id": `customer.${number % 17}`, "prefect.resource.role": "customer" };
  const amount = round(5 + Math.random() * 200);
  const placed: NewEvent = {
    event: "order.placed",
    resource: resource(number),
    related: [customer],
    payload: { amount },
  };
  const earlier = number - 3;
  if (earlier < 0 || earlier % 10 === 9) return [placed];
  return [placed, { event: "order.paid", resource: resource(earlier), payload: { method: "card" } }];
}

function clicked(): NewEvent {
  const page = Math.floor(Math.random() * 5_000);
  return {
    event: "page.viewed",
    resource: { "prefect.resource.id": `page.${page}` },
    payload: { ms: page % 300 },
  };
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
