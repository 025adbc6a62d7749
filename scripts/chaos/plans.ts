/** What the load of a chaos run sends about each resource, and what must come of it. */

import type { Random } from "../../test/support/random.ts";
import { heartbeatLatenessMs, heartbeatWithinMs, receiverNames, thresholdCount } from "./rules.ts";

/** An event to send, at an offset from the start of the load; the event may say that it occurred earlier or later. */
export interface PlannedEvent {
  readonly atMs: number;
  /** By default `atMs`. */
  readonly occurredMs?: number;
  readonly event: string;
  readonly resource: string;
}

export type Expectation = "fires once" | "never fires";

export interface Plan {
  readonly events: readonly PlannedEvent[];
  /** By rule and resource: `sequence order.7`. */
  readonly expected: ReadonlyMap<string, Expectation>;
  readonly heartbeats: readonly HeartbeatPlan[];
}

/** A sender of heartbeats, from one offset to another. */
export interface HeartbeatPlan {
  readonly resource: string;
  readonly firstMs: number;
  /** Infinity for one that never goes silent. */
  readonly lastMs: number;
  /** Whether it starts again once its silence was reported. */
  readonly returns: boolean;
}

export const heartbeatEveryMs = 5_000;
const minute = 60_000;

/** @param eventsPerSecond without heartbeats */
export function planLoad(random: Random, lengthMs: number, eventsPerSecond: number): Plan {
  const events: PlannedEvent[] = [];
  const expected = new Map<string, Expectation>();
  const total = (lengthMs / 1_000) * eventsPerSecond;
  const someTime = () => random.integer(0, lengthMs);
  const send = (event: string, resource: string, atMs: number, occurredMs = atMs) =>
    void events.push({ event, resource, atMs, occurredMs });

  for (let count = total * 0.5; count > 0; count -= 1) {
    const receiver = random.pick(receiverNames);
    // Few things, so that the order of the deliveries about one of them matters.
    send(`chaos.presence.${receiver}`, `thing.${receiver}.${random.integer(1, 20)}`, someTime());
  }
  const makeKeys = (share: number, perKey: number, make: (index: number, atMs: number) => void) => {
    for (let index = 0; index < (total * share) / perKey; index += 1) make(index, someTime());
  };
  makeKeys(0.2, 3, (index, atMs) => planThreshold(random, send, expected, `job.${index}`, atMs));
  makeKeys(0.1, 2, (index, atMs) => planSequence(random, send, expected, `order.${index}`, atMs));
  makeKeys(0.1, 2, (index, atMs) => planComposite(random, send, expected, `pair.${index}`, atMs));
  makeKeys(0.1, 1, (index, atMs) => {
    send("chaos.link", `link.${index}`, atMs);
    expected.set(`link link.${index}`, "fires once");
    expected.set(`chain link.${index}`, "fires once");
  });
  events.sort((a, b) => a.atMs - b.atMs);
  return { events, expected, heartbeats: planHeartbeats(random, lengthMs) };
}

type Send = (event: string, resource: string, atMs: number, occurredMs?: number) => void;

function planThreshold(
  random: Random,
  send: Send,
  expected: Map<string, Expectation>,
  resource: string,
  atMs: number,
): void {
  if (random.chance(0.2)) {
    // Enough, but too far apart.
    for (const agoMs of [25 * minute, 12 * minute, 0]) send("chaos.failed", resource, atMs, atMs - agoMs);
    expected.set(`threshold ${resource}`, "never fires");
    return;
  }
  const count = random.integer(thresholdCount - 2, thresholdCount + 2);
  for (let index = 0; index < count; index += 1) {
    send("chaos.failed", resource, atMs + random.integer(0, 5_000));
  }
  expected.set(`threshold ${resource}`, count >= thresholdCount ? "fires once" : "never fires");
}

function planSequence(
  random: Random,
  send: Send,
  expected: Map<string, Expectation>,
  resource: string,
  atMs: number,
): void {
  const kind = random.pick(["in order", "in order", "out of order", "first", "second"] as const);
  const laterMs = atMs + random.integer(100, 5_000);
  if (kind === "in order" || kind === "first") send("chaos.step.one", resource, atMs);
  if (kind === "in order") send("chaos.step.two", resource, laterMs);
  if (kind === "out of order" || kind === "second") send("chaos.step.two", resource, atMs);
  if (kind === "out of order") send("chaos.step.one", resource, laterMs);
  expected.set(`sequence ${resource}`, kind === "in order" ? "fires once" : "never fires");
}

function planComposite(
  random: Random,
  send: Send,
  expected: Map<string, Expectation>,
  resource: string,
  atMs: number,
): void {
  const kind = random.pick(["both", "both", "left", "right"] as const);
  if (kind !== "right") send("chaos.left", resource, atMs + random.integer(0, 3_000));
  if (kind !== "left") send("chaos.right", resource, atMs + random.integer(0, 3_000));
  expected.set(`composite ${resource}`, kind === "both" ? "fires once" : "never fires");
}

function planHeartbeats(random: Random, lengthMs: number): HeartbeatPlan[] {
  const make = (kind: string, count: number, lastMs: () => number, returns = false) =>
    Array.from({ length: count }, (_, index) => {
      const firstMs = random.integer(0, heartbeatEveryMs);
      return { resource: `service.${kind}.${index}`, firstMs, lastMs: firstMs + lastMs(), returns };
    });
  const early = Math.max(1_000, lengthMs - heartbeatWithinMs - heartbeatLatenessMs);
  return [
    ...make("steady", 20, () => Number.POSITIVE_INFINITY),
    ...make("silent", 20, () => random.integer(0, lengthMs)),
    ...make("returning", 10, () => random.integer(0, early), true),
  ];
}
