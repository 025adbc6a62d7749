/** One event, what it follows, and what followed from it; through the client, on a server without an engine. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EventChain, NotFound, Tripline } from "../../../src/client/index.ts";
import {
  actionEvent,
  emittedEventIdOf,
  firingEvent,
  invocationsOf,
} from "../../../src/core/machine/consequence.ts";
import type { Firing } from "../../../src/core/machine/firing.ts";
import { eventOf, type WireEvent } from "../../../src/core/model/event.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { automationOf, triggerFiring, webhook } from "../../delivery/support.ts";
import { startApi, type TestApi } from "../support.ts";

function pumpEvent(fields: Partial<WireEvent> = {}): WireEvent {
  return {
    occurred: "2026-03-01T09:30:00Z",
    event: "pump.stopped",
    resource: { "prefect.resource.id": "pump.1" },
    related: [],
    payload: {},
    id: randomUUID(),
    follows: null,
    ...fields,
  };
}

const idsIn = (events: readonly { readonly id: string }[]) => events.map(({ id }) => id);
const descendantsIn = ({ descendants }: EventChain) =>
  descendants.map(({ event, parent, depth }) => [event.id, parent, depth]);

describe("with a history", () => {
  let api: TestApi;
  let tripline: Tripline;
  beforeAll(async () => {
    api = await startApi({ history: true });
    tripline = new Tripline({ url: `${api.url}/api` });
  });
  afterAll(() => api?.stop());

  const append = (...events: readonly WireEvent[]) =>
    api.log.appendEvents(events.map((event) => ({ event, lineage: [], trace: null })));

  test("an event is read by its id in any spelling, as soon as it is acknowledged", async () => {
    const event = pumpEvent({ payload: { pressure: 0.4 } });
    expect((await api.post(JSON.stringify([event]))).status).toBe(204);
    for (const id of [event.id, event.id.toUpperCase(), event.id.replaceAll("-", "")]) {
      expect(await tripline.events.get(id)).toMatchObject({ id: event.id, payload: { pressure: 0.4 } });
    }
  });

  test("an unknown id is refused, and so is what is no whole id", async () => {
    for (const read of [tripline.events.get(randomUUID()), tripline.events.chain(randomUUID())]) {
      await expect(read).rejects.toThrow(NotFound);
      await expect(read).rejects.toThrow(/^Event not found: nothing with the id .* was received/);
    }
    const read = tripline.events.get("in or out");
    await expect(read).rejects.toThrow(/"in or out" is not the whole id of an event\. GET \/lookup/);
    // The paths of the sockets have the same form.
    expect((await fetch(`${api.url}/api/events/out`)).status).toBe(426);
    expect((await fetch(`${api.url}/api/events/filter/next?page-token=x`)).status).toBe(403);
  });

  test("the chain of an event holds its ancestors, oldest first, and its descendants, nearest first", async () => {
    const root = pumpEvent();
    const parent = pumpEvent({ follows: root.id });
    const event = pumpEvent({ follows: parent.id });
    const children = [pumpEvent({ follows: event.id }), pumpEvent({ follows: event.id })];
    const grandchildren = children.map(({ id }) => pumpEvent({ follows: id }));
    const sibling = pumpEvent({ follows: parent.id });
    await append(root, parent, event, ...children, sibling, ...grandchildren);
    const chain = await tripline.events.chain(event.id);
    expect(chain.event.id).toBe(event.id);
    expect(idsIn(chain.ancestors)).toEqual([root.id, parent.id]);
    expect(descendantsIn(chain)).toEqual([
      [children[0]?.id, event.id, 1],
      [children[1]?.id, event.id, 1],
      [grandchildren[0]?.id, children[0]?.id, 2],
      [grandchildren[1]?.id, children[1]?.id, 2],
    ]);
    expect(chain.truncated).toBe(false);
  });

  test("the descendants of an event are also the firings that it caused, their deliveries, and what these emitted", async () => {
    const event = pumpEvent();
    const automation = automationOf(webhook("http://127.0.0.1:1/"), { name: "Pump watch" });
    const firing: Firing = { ...triggerFiring(eventOf(event, 0)), automation, lineage: [] };
    const [delivery] = invocationsOf(firing);
    const now = Date.now() * millisecond;
    const report = firingEvent(firing);
    const steps = (["triggered", "executed"] as const).map((kind) => actionEvent(delivery!, kind, now));
    const emitted = pumpEvent({ id: emittedEventIdOf(delivery!.id), follows: report.id });
    await append(event, report, ...steps, emitted);
    const chain = await tripline.events.chain(event.id);
    expect(descendantsIn(chain)).toEqual([
      [report.id, event.id, 1],
      [steps[0]?.id, report.id, 2],
      [emitted.id, report.id, 2],
      [steps[1]?.id, steps[0]?.id, 3],
    ]);
    const upward = await tripline.events.chain(steps[1]?.id ?? "");
    expect(idsIn(upward.ancestors)).toEqual([event.id, report.id, steps[0]?.id]);
    expect(upward.descendants).toEqual([]);
  });

  test("long chains are cut at 20 ancestors and 6 steps down", async () => {
    const line: WireEvent[] = [];
    for (let index = 0; index < 28; index += 1) line.push(pumpEvent({ follows: line.at(-1)?.id ?? null }));
    await append(...line);
    const chainAt = (index: number) => tripline.events.chain(line[index]?.id ?? "");
    const whole = await chainAt(20);
    expect(idsIn(whole.ancestors)).toEqual(idsIn(line.slice(0, 20)));
    expect(whole.descendants.map(({ depth }) => depth)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(whole.truncated).toBe(true); // line[27] is a seventh step away
    const upward = await chainAt(21);
    expect(idsIn(upward.ancestors)).toEqual(idsIn(line.slice(1, 21)));
    expect(idsIn(upward.descendants.map(({ event }) => event))).toEqual(idsIn(line.slice(22)));
    expect(upward.truncated).toBe(true);
    expect((await chainAt(19)).truncated).toBe(true);
  });

  test("of many descendants 200 are listed, and no more megabytes than a page needs", async () => {
    const event = pumpEvent();
    const followers = Array.from({ length: 201 }, () => pumpEvent({ follows: event.id }));
    await append(event, ...followers.slice(0, 200));
    const all = await tripline.events.chain(event.id);
    expect([all.descendants.length, all.truncated]).toEqual([200, false]);
    await append(...followers.slice(200));
    const some = await tripline.events.chain(event.id);
    expect(idsIn(some.descendants.map((each) => each.event))).toEqual(idsIn(followers.slice(0, 200)));
    expect(some.truncated).toBe(true);

    const large = pumpEvent();
    const text = "x".repeat(1_400_000);
    await append(large);
    for (let count = 0; count < 12; count += 1)
      await append(pumpEvent({ follows: large.id, payload: { text } }));
    const cut = await tripline.events.chain(large.id);
    expect([cut.descendants.length, cut.truncated]).toEqual([11, true]);
  });

  // Anyone may write ids, so a chain may bite its tail.
  test("a circle of events ends", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const self = randomUUID();
    await append(
      pumpEvent({ id: first, follows: second }),
      pumpEvent({ id: second, follows: first }),
      pumpEvent({ id: self, follows: self }),
    );
    const chain = await tripline.events.chain(first);
    expect(idsIn(chain.ancestors)).toEqual([second]);
    expect(descendantsIn(chain)).toEqual([[second, first, 1]]);
    expect(chain.truncated).toBe(false);
    expect(await tripline.events.chain(self)).toMatchObject({ ancestors: [], descendants: [] });
  });
});

describe("without a history", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api?.stop());

  test("an event is read from the log; chains need a history", async () => {
    const tripline = new Tripline({ url: `${api.url}/api` });
    const event = pumpEvent();
    await api.post(JSON.stringify([event, pumpEvent()]));
    expect(await tripline.events.get(event.id)).toMatchObject({ id: event.id, event: "pump.stopped" });
    await expect(tripline.events.get(randomUUID())).rejects.toThrow(NotFound);
    await expect(tripline.events.chain(event.id)).rejects.toThrow("This server keeps no history");
  });
});
