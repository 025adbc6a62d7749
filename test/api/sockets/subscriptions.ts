/** What tests of subscribers need: events of the greenhouse, and subscriptions to them. */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import type { TestApi } from "../support.ts";
import { SocketClient } from "./socket-client.ts";

export const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString();
export const anyTime = { occurred: { since: ago(3_600), until: "2200-01-01T00:00:00Z" } };

/** An event that occurs now. Each test uses its own names, so that they can share a server. */
export function ventEvent(name: string, changes: Record<string, unknown> = {}) {
  const resource = { "prefect.resource.id": "vent.1", "vent.side": "north" };
  return { id: randomUUID(), occurred: ago(0), event: name, resource, ...changes };
}

export async function postEvents(api: TestApi, events: readonly unknown[]): Promise<void> {
  expect((await api.post(JSON.stringify(events))).status).toBe(204);
}

export async function subscribeTo(
  api: TestApi,
  filter: Record<string, unknown>,
  backfill: boolean,
): Promise<SocketClient> {
  const client = await SocketClient.prefect(`${api.url}/api/events/out`);
  client.send({ type: "filter", filter, backfill });
  return client;
}

/** Waits until exactly `count` connections are blocked in a read of the log. */
export async function blockedReaders({ connection }: TestApi, count: number): Promise<void> {
  for (;;) {
    const clients = String(await connection.client("LIST"));
    if (clients.split("\n").filter((line) => /flags=\S*b/.test(line)).length === count) return;
    await pause(10);
  }
}
