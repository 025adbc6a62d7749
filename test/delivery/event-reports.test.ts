import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { EventReports } from "../../src/delivery/event-reports.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { NewEvent } from "../../src/store/log.ts";
import { pumpEvent } from "./support.ts";

const report = (id: string = randomUUID()): NewEvent => ({ event: pumpEvent({ id }).wire });

/** A log whose steps take until they are let go. */
function slowLog(refused: string | null = null) {
  const steps: string[][] = [];
  const waiting: (() => void)[] = [];
  return {
    steps,
    letGo: () => waiting.shift()?.(),
    appendEvents: async (events: readonly NewEvent[]) => {
      const ids = events.map(({ event }) => event.id);
      steps.push(ids);
      await new Promise<void>((resolve) => waiting.push(resolve));
      if (refused !== null && ids.includes(refused)) throw new Error("ERR this one is refused");
      return [];
    },
  };
}

test("events that come while a step is under way are appended together, in order", async () => {
  const log = slowLog();
  const reports = new EventReports(log, new AbortController().signal);
  const done = ["a", "b", "c"].map((id) => reports.append(report(id)));
  expect(log.steps).toEqual([["a"]]);
  log.letGo();
  await done[0];
  await expect.poll(() => log.steps).toEqual([["a"], ["b", "c"]]);
  log.letGo();
  await Promise.all(done);
});

test("one event that is refused keeps no other from the log", async () => {
  const log = slowLog("bad");
  const reports = new EventReports(log, new AbortController().signal);
  const [first, bad, good] = ["first", "bad", "good"].map((id) => reports.append(report(id)));
  const settled = Promise.allSettled([first, bad, good]);
  const letting = setInterval(log.letGo, 5);
  const outcomes = await settled;
  clearInterval(letting);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("an outage is waited for, until the worker is stopped", async () => {
  const stop = new AbortController();
  let tries = 0;
  const log = {
    appendEvents: async () => {
      tries += 1;
      if (tries !== 2) throw new RedisUnreachable(new Error("not connected"));
      return [];
    },
  };
  const reports = new EventReports(log, stop.signal);
  await reports.append(report());
  expect(tries).toBe(2);
  stop.abort();
  await expect(reports.append(report())).rejects.toThrow(RedisUnreachable);
});
