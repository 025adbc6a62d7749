/** The oracle of `npm run chaos` finds each kind of mistake, and nothing in a run without any. */

import { describe, expect, test } from "vitest";
import { Ledger } from "../../scripts/chaos/ledger.ts";
import { isComplete, isGood, judgeRun, type RunToJudge } from "../../scripts/chaos/oracle.ts";
import type { HeartbeatPlan, Plan } from "../../scripts/chaos/plans.ts";
import { type AcceptedDelivery, readDelivery } from "../../scripts/chaos/receivers.ts";
import type { RecordedFiring } from "../../scripts/chaos/recorded.ts";
import { millisecond } from "../../src/core/model/time.ts";

const noon = Date.UTC(2026, 0, 5, 12);

/** Two events about one pump, a sequence for one order, and a service that goes silent. */
function goodRun(): RunToJudge {
  const ledger = new Ledger();
  const send = (id: string, event: string, resource: string, secondsLater = 0) => {
    ledger.add({ id, event, resource, occurred: Date.now() + secondsLater * 1_000 });
    ledger.acknowledge(id);
  };
  send("p1", "chaos.presence.a", "pump");
  send("p2", "chaos.presence.a", "pump");
  send("s1", "chaos.step.one", "order");
  send("s2", "chaos.step.two", "order");
  send("h1", "chaos.heartbeat", "service");
  send("h2", "chaos.heartbeat", "service", 5);
  const service: HeartbeatPlan = { resource: "service", firstMs: 0, lastMs: 5_000, returns: false };
  const plan: Plan = {
    events: [],
    expected: new Map([
      ["sequence order", "fires once"],
      ["sequence other", "never fires"],
    ]),
    heartbeats: [service],
  };
  const firings: RecordedFiring[] = [
    { id: "f1", rule: "presence-a", resource: "pump", state: "Triggered", eventId: "p1" },
    { id: "f2", rule: "presence-a", resource: "pump", state: "Triggered", eventId: "p2" },
    { id: "f3", rule: "sequence", resource: "order", state: "Triggered", eventId: "s2" },
    { id: "f4", rule: "heartbeat", resource: "service", state: "Triggered", eventId: "h2" },
  ];
  return {
    plan,
    ledger,
    accepted: firings.map(deliveryOf),
    recorded: { eventIds: ["p1", "p2", "s1", "s2", "h1", "h2"], firings },
    readAt: Date.now() + 1_000,
  };
}

function deliveryOf({ id, rule, resource, state, eventId }: RecordedFiring, index: number): AcceptedDelivery {
  const order = (noon + index) * millisecond;
  return {
    receiver: "a",
    webhookId: `w-${id}`,
    at: noon,
    rule,
    resource,
    state,
    firingId: id,
    eventId,
    order,
  };
}

/** A run, changed. */
function judgeChanged(change: (run: RunToJudge) => Partial<RunToJudge>) {
  const run = goodRun();
  return judgeRun({ ...run, ...change(run) });
}

const { firings: goodFirings } = goodRun().recorded;
const [first, second, third, fourth] = goodFirings as [
  RecordedFiring,
  RecordedFiring,
  RecordedFiring,
  RecordedFiring,
];

describe("the oracle", () => {
  test("finds nothing wrong with a run in which everything happened once", () => {
    const verdict = judgeRun(goodRun());
    expect(verdict).toMatchObject({
      expectedCount: 4,
      seenCount: 4,
      acknowledgedCount: 6,
      uncertainCount: 0,
    });
    expect(isGood(verdict) && isComplete(verdict)).toBe(true);
  });

  test("finds an acknowledged event that was lost", () => {
    const { lost } = judgeChanged(({ recorded }) => ({
      recorded: { ...recorded, eventIds: recorded.eventIds.filter((id) => id !== "s1") },
    }));
    expect(lost).toHaveLength(1);
    expect(lost[0]).toContain("s1");
  });

  test("does not miss an event that was acknowledged while the history was read", () => {
    const run = goodRun();
    const eventIds = run.recorded.eventIds.filter((id) => id !== "h2");
    const verdict = judgeRun({ ...run, recorded: { ...run.recorded, eventIds }, readAt: 0 });
    expect(verdict.lost).toEqual([]);
  });

  test("leaves an event alone that no one acknowledged and that did not arrive", () => {
    const run = goodRun();
    run.ledger.add({ id: "p3", event: "chaos.presence.a", resource: "pump", occurred: noon });
    expect(isGood(judgeRun(run))).toBe(true);
  });

  test("wants a firing for an event that no one acknowledged if it did arrive", () => {
    const run = goodRun();
    run.ledger.add({ id: "p3", event: "chaos.presence.a", resource: "pump", occurred: noon });
    const { missed } = judgeRun({
      ...run,
      recorded: { ...run.recorded, eventIds: [...run.recorded.eventIds, "p3"] },
    });
    expect(missed).toHaveLength(1);
  });

  test.each([first, third, fourth])("finds that $rule did not fire", (missing) => {
    const verdict = judgeChanged(({ recorded, accepted }) => ({
      recorded: { ...recorded, firings: recorded.firings.filter(({ id }) => id !== missing.id) },
      accepted: accepted.filter(({ firingId }) => firingId !== missing.id),
    }));
    expect(verdict.missed).toHaveLength(1);
    expect(isComplete(verdict)).toBe(false);
  });

  test.each([first, third, fourth])("finds that $rule fired twice", (repeated) => {
    const again = { ...repeated, id: "again" };
    const { doubled } = judgeChanged(({ recorded, accepted }) => ({
      recorded: { ...recorded, firings: [...recorded.firings, again] },
      accepted: [...accepted, deliveryOf(again, 9)],
    }));
    expect(doubled).toHaveLength(1);
  });

  test("finds a firing that nothing justifies", () => {
    const made = { ...third, id: "made up", resource: "other" };
    const { false: wrong } = judgeChanged(({ recorded, accepted }) => ({
      recorded: { ...recorded, firings: [...recorded.firings, made] },
      accepted: [...accepted, deliveryOf(made, 9)],
    }));
    expect(wrong).toHaveLength(1);
  });

  test("finds a webhook that no firing is behind, and a firing whose webhook never arrived", () => {
    const verdict = judgeChanged(({ accepted }) => ({
      accepted: accepted.map((delivery) =>
        delivery.firingId === third.id ? { ...delivery, firingId: "unknown" } : delivery,
      ),
    }));
    expect(verdict.false).toHaveLength(1);
    expect(verdict.missed).toHaveLength(1);
  });

  test("counts a repeated webhook-id, and finds a firing under two", () => {
    const repeated = judgeChanged(({ accepted }) => ({ accepted: [...accepted, accepted[0]!] }));
    expect(repeated).toMatchObject({ repeatedCount: 1 });
    expect(isGood(repeated)).toBe(true);
    const { doubled } = judgeChanged(({ accepted }) => ({
      accepted: [...accepted, { ...accepted[0]!, webhookId: "another" }],
    }));
    expect(doubled).toHaveLength(1);
  });

  test("orders a whole second before its fractions", () => {
    const orders = ["09:30:00Z", "09:30:00.014000Z", "09:30:01Z"].map((time) => {
      const firing = {
        ...{ id: "f1", trigger_states: ["Triggered"], triggering_labels: {} },
        triggered: `2026-03-01T${time}`,
      };
      const body = JSON.stringify({ automation: { name: "presence-a" }, event: null, firing });
      return readDelivery("a", { kind: "accepted", webhookId: "w1", body, at: noon }).order;
    });
    expect(orders).toEqual(orders.toSorted((a, b) => a - b));
    expect(new Set(orders).size).toBe(3);
  });

  test("finds deliveries about one thing in the wrong order", () => {
    const { disordered } = judgeChanged(({ accepted }) => ({
      accepted: [accepted[1]!, accepted[0]!, ...accepted.slice(2)],
    }));
    expect(disordered).toHaveLength(1);
    expect(disordered[0]).toContain(`w-${first.id}`);
    expect(second.resource).toBe(first.resource);
  });

  test("does not judge a service whose heartbeats took longer than the lateness", () => {
    const run = goodRun();
    run.ledger.add({
      id: "h3",
      event: "chaos.heartbeat",
      resource: "service",
      occurred: Date.now() - 120_000,
    });
    run.ledger.acknowledge("h3");
    expect(judgeRun(run).uncertainCount).toBe(2);
  });
});
