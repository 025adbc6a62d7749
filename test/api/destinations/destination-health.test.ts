/** How destinations and URLs fare: from a real queue, with real outages, and from the history. */

import { describe, expect, test, vi } from "vitest";
import { countDay, readTargets, type TargetHealth } from "../../../src/api/destinations/target-health.ts";
import { untilRecorded } from "../../../src/api/events/until-recorded.ts";
import { RecentAnswers } from "../../../src/api/http/recent-answers.ts";
import type { Automation } from "../../../src/core/model/automation.ts";
import { hour, millisecond } from "../../../src/core/model/time.ts";
import { deliveryEvent } from "../../../src/delivery/delivery-state.ts";
import { automationOf, firedBy, pumpEvent, startReceiver, webhook } from "../../delivery/support.ts";
import { deliveriesInApi } from "../deliveries/delivery-support.ts";

const { api, queue, client, work, putDestination, reached } = deliveriesInApi();

/** What an answer of the API is made of, without what it remembers. */
async function read() {
  const { log, history } = api();
  if (history !== null) await untilRecorded(log, history, 10_000);
  const now = Date.now() * millisecond;
  const { destinations, urls, isComplete } = await readTargets(log, queue(), await countDay(history, now));
  const byName = Object.fromEntries(
    destinations.map(([{ definition }, health]) => [definition.name, health]),
  );
  return { destinations: byName, urls: Object.fromEntries(urls), isComplete };
}

const notify = { type: "send-notification", destination: "ops", body: "down", retry: { for: "0s" } };

/** Stores an automation and lets it fire, each time about something else. */
async function fire(automation: Automation, count = 1): Promise<string[]> {
  await api().log.putAutomations([automation]);
  const about = Array.from({ length: count }, (_, pump) => ({ pump: `pump.${pump}` }));
  const invocations = about.flatMap((labels) => firedBy(automation, { labels }));
  await queue().addInvocations(invocations);
  return invocations.map(({ id }) => id);
}

const untouched: TargetHealth = {
  disabled: false,
  resting_until: null,
  waiting: 0,
  retrying: 0,
  dead: 0,
  delivered_last_day: 0,
  failed_last_day: 0,
  last_delivered: null,
  last_failed: null,
  used_by: [],
  used_by_count: 0,
};

test("a target shows what waits, what was delivered and what failed, and who uses it", async () => {
  let status = 200;
  const receiver = await startReceiver((response) => void response.writeHead(status).end("busy"));
  const id = await putDestination({ type: "slack", url: receiver.url });
  await putDestination({ name: "unused", type: "slack", url: receiver.url });
  const { destination: _, ...unnamed } = notify;
  const pumps = automationOf(notify, { name: "pump watch" });
  const vents = automationOf({ ...unnamed, block_document_id: id }, { name: "vent watch" });
  work();
  for (const delivered of await fire(pumps, 2)) await reached(delivered, "delivered");
  status = 503;
  const [dead] = await fire(vents);
  await reached(dead!, "dead");
  const waiting = automationOf(webhook("https://user:hush@example.org/{{ event.id }}"), { name: "waiting" });
  await api().log.putAutomations([waiting]);
  const { destinations, urls, isComplete } = await read();
  expect(isComplete).toBe(true);
  expect(destinations["unused"]).toEqual(untouched);
  const ops = destinations["ops"]!;
  expect(ops).toEqual({
    ...untouched,
    dead: 1,
    delivered_last_day: 2,
    failed_last_day: 1,
    last_delivered: expect.stringMatching(/^\d{4}-.*Z$/),
    last_failed: { at: expect.stringMatching(/^\d{4}-.*Z$/), reason: "responded 503: busy" },
    used_by: expect.arrayContaining([
      { id: pumps.id, name: "pump watch" },
      { id: vents.id, name: "vent watch" },
    ]),
    used_by_count: 2,
  });
  expect(urls).toEqual({
    "https://…@example.org/{{ event.id }}": {
      ...untouched,
      used_by: [{ id: waiting.id, name: "waiting" }],
      used_by_count: 1,
    },
  });
});

test("an automation with two actions to one target uses it once", async () => {
  await putDestination({ type: "slack", url: "https://example.org/" });
  const automation = automationOf(notify);
  const twice = { ...automation, actions_on_resolve: automation.actions };
  await api().log.putAutomations([twice]);
  expect((await read()).destinations["ops"]).toMatchObject({ used_by_count: 1, used_by: [{ id: twice.id }] });
});

test("a target that is down rests, until a probe may find out whether it works", async () => {
  const receiver = await startReceiver((response) => void response.writeHead(503).end());
  await putDestination({ type: "webhook", url: receiver.url });
  const endpoints = { failuresMax: 1, restMs: 600, restMsMax: 600 };
  work({ retryMs: 60_000, retryMsMax: 60_000, endpoints });
  await fire(automationOf({ ...notify, retry: { for: "1h" } }), 3);
  const { origin } = new URL(receiver.url);
  const rests = async () => (await read()).destinations["ops"]!;
  await expect.poll(rests, { timeout: 10_000 }).toMatchObject({
    resting_until: expect.stringMatching(/^\d{4}-/),
    retrying: 3,
    dead: 0,
    last_failed: { reason: "responded 503" },
  });
  const [{ until, waitingCount } = { until: null, waitingCount: 0 }] = await queue().rests([
    origin,
    "https://other.example",
  ]);
  expect(waitingCount).toBeGreaterThan(0);
  if (until !== null) expect(until - Date.now()).toBeLessThanOrEqual(600);
});

describe("what responded 410 is disabled:", () => {
  test.each([
    ["a destination", { ...notify, retry: undefined }, "destinations", "ops"],
    ["a URL", { type: "call-webhook", url: "URL" }, "urls", "URL"],
    [
      "a URL with a template",
      { type: "call-webhook", url: "URL/{{ labels.pump }}" },
      "urls",
      "URL/{{ labels.pump }}",
    ],
  ] as const)("%s", async (_, action, list, name) => {
    const receiver = await startReceiver((response) => void response.writeHead(410).end());
    await putDestination({ type: "slack", url: receiver.url });
    const written = JSON.parse(JSON.stringify(action).replace("URL", receiver.url)) as object;
    work();
    const [dead] = await fire(automationOf(written));
    await reached(dead!, "dead");
    const target = (await read())[list][name.replace("URL", receiver.url)];
    expect(target).toMatchObject({ disabled: true, dead: 1, last_failed: { reason: "responded 410" } });
  });
});

// Cancelled ones have not failed, and a canary is nobody's.
test("what a person cancelled is not a dead letter", async () => {
  const [id] = await fire(automationOf(webhook("https://example.org/a")));
  await client().deliveries.cancel(id!);
  work();
  await reached(id!, "cancelled");
  expect((await read()).urls["https://example.org/a"]).toMatchObject({ dead: 0, waiting: 0 });
});

test("only the last day counts, and all of it", async () => {
  const automation = automationOf(webhook("https://example.org/a"));
  const [invocation] = firedBy(automation);
  await api().log.putAutomations([automation]);
  const now = Date.now() * millisecond;
  const events = [26 * hour, 23 * hour, 2 * hour].map((ago, redeliveries) =>
    deliveryEvent({ invocation: invocation!, redeliveries }, "executed", now - ago, { status_code: 200 }),
  );
  await api().log.appendEvents(events.map((event) => ({ event, lineage: [], trace: null })));
  const { urls } = await read();
  expect(urls["https://example.org/a"]).toMatchObject({
    delivered_last_day: 2,
    last_delivered: new Date(now / millisecond - 2 * 3_600_000).toISOString().replace("Z", "000Z"),
    last_failed: null,
  });
});

// Whoever opens the page during an outage of everything may not be what ends it.
test("of a long queue, only a part is read, and the answer says so", async () => {
  const automation = automationOf(webhook("https://example.org/a"));
  await fire(automation, 1_001);
  const target = async () => {
    const { urls, isComplete } = await readTargets(api().log, queue(), null);
    return { ...urls.get("https://example.org/a"), isComplete };
  };
  expect(await target()).toMatchObject({ waiting: 1_000, delivered_last_day: null, isComplete: false });
  await api().connection.flushall();
  await fire(automation, 1_000);
  expect(await target()).toMatchObject({ waiting: 1_000, isComplete: true });
});

test("large deliveries are not read, and the answer says so", async () => {
  const automation = automationOf(webhook("https://example.org/a"));
  await fire(automation);
  const event = pumpEvent({ payload: { text: "x".repeat(70_000) } });
  await queue().addInvocations(firedBy(automation, { event }));
  const { urls, isComplete } = await read();
  expect(isComplete).toBe(false);
  expect(urls["https://example.org/a"]).toMatchObject({ waiting: 1 });
});

test("the worst of many URLs come first, and secrets are in none of them", async () => {
  const secret = "very-secret-token";
  const fine = automationOf(webhook("https://example.org/${env.TOKEN}"), { secrets: { TOKEN: secret } });
  const urls = Array.from({ length: 150 }, (_, index) =>
    webhook(`https://example.org/${String(index).padStart(3, "0")}`),
  );
  const many = [urls.slice(0, 75), urls.slice(75)].map((actions) => ({ ...automationOf(urls[0]), actions }));
  await putDestination({ type: "slack", url: `https://chat.example.org/${secret}` });
  await api().log.putAutomations([fine, ...many]);
  await fire(automationOf(webhook("https://example.org/149"), { name: "last" }));
  const health = await client().destinations.health();
  expect(health).toMatchObject({ target_count: 151, complete: true });
  expect(health.targets).toHaveLength(100);
  expect(health.targets[0]).toMatchObject({ url: "https://example.org/149", waiting: 1, used_by_count: 2 });
  expect(health.destinations).toMatchObject([{ name: "ops", type: "slack", waiting: 0 }]);
  expect(JSON.stringify(health)).not.toContain(secret);
  // Those who ask at the same time, or soon after, get the same answer.
  expect((await client().destinations.health()).at).toBe(health.at);
});

describe("an answer that is remembered", () => {
  test("is made again after its time, or after ten times as long as it took to make", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const answers = new RecentAnswers<number>(1_000);
      let made = 0;
      let costMs = 0;
      const get = () =>
        answers.get("default", async () => {
          vi.advanceTimersByTime(costMs);
          made += 1;
          return made;
        });
      expect(await Promise.all([get(), get()])).toEqual([1, 1]);
      vi.advanceTimersByTime(999);
      expect(await get()).toBe(1);
      vi.advanceTimersByTime(1);
      costMs = 500;
      expect(await get()).toBe(2);
      vi.advanceTimersByTime(4_999);
      expect(await get()).toBe(2);
      vi.advanceTimersByTime(1);
      expect(await get()).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  test("is not remembered if it could not be made", async () => {
    const answers = new RecentAnswers<string>(60_000);
    await expect(answers.get("a", () => Promise.reject(new Error("Redis is away")))).rejects.toThrow("away");
    expect(await answers.get("a", async () => "here")).toBe("here");
    expect(await answers.get("b", async () => "other")).toBe("other");
  });
});
