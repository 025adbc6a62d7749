import { beforeEach, describe, expect, test } from "vitest";
import { type Failure, keepRunning, keepTrying } from "../../src/retry/keep-trying.ts";
import { Outage } from "../../src/retry/outage.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let stop: AbortController;
let failures: Failure[];

beforeEach(() => {
  clock = new VirtualClock();
  stop = new AbortController();
  failures = [];
});

const options = () => ({
  signal: stop.signal,
  clock,
  firstMs: 100,
  maxMs: 1_000,
  onFailure: (failure: Failure) => void failures.push(failure),
});

/** Fails `times` times, then succeeds. */
function failing(times: number, error: Error) {
  let count = 0;
  return async () => {
    count += 1;
    if (count <= times) throw error;
    return count;
  };
}

describe("keepTrying", () => {
  test("repeats a step during an outage, with waits that grow up to a maximum", async () => {
    const result = keepTrying(failing(6, new Outage("gone")), options());
    await clock.pass(10_000);
    expect(await result).toBe(7);
    expect(failures.map(({ waitMs }) => waitMs)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(failures.map(({ count, kind }) => `${count} ${kind}`).at(-1)).toBe("6 outage");
  });

  // Servers that lost Redis at the same time should not all come back at the same moment.
  test("shortens each wait at random, by at most half", async () => {
    clock.random = () => 0;
    const result = keepTrying(failing(2, new Outage("gone")), options());
    await clock.pass(1_000);
    await result;
    expect(failures.map(({ waitMs }) => waitMs)).toEqual([50, 100]);
  });

  test("throws a fault at once", async () => {
    const fault = new TypeError("wrong");
    await expect(keepTrying(failing(1, fault), options())).rejects.toBe(fault);
    expect(failures).toEqual([]);
  });

  test("makes exactly one try if it is already stopped", async () => {
    stop.abort();
    expect(await keepTrying(failing(0, new Outage("gone")), options())).toBe(1);
    await expect(keepTrying(failing(1, new Outage("gone")), options())).rejects.toThrow("gone");
  });

  test("gives up after a time", async () => {
    const result = keepTrying(failing(1_000, new Outage("gone")), { ...options(), giveUpAfterMs: 2_000 });
    const ended = expect(result).rejects.toThrow("gone");
    await clock.pass(10_000);
    await ended;
    expect(failures).toHaveLength(5);
  });
});

describe("keepRunning", () => {
  test("also restarts after a fault, with longer waits", async () => {
    const running = keepRunning(failing(10, new Error("wrong")) as () => Promise<never>, options());
    await clock.pass(600_000);
    await running;
    expect(failures.map(({ kind }) => kind)).toEqual(Array(10).fill("fault"));
    expect(failures.at(-1)?.waitMs).toBe(30_000);
  });

  test("starts a new series if the work ran for a while before it failed", async () => {
    let tries = 0;
    const work = async () => {
      tries += 1;
      if (tries === 4) await clock.sleep(2_001);
      if (tries < 6) throw new Outage("gone");
    };
    const running = keepRunning(work, options());
    await clock.pass(60_000);
    await running;
    expect(failures.map(({ count }) => count)).toEqual([1, 2, 3, 1, 2]);
  });

  test("ends without an error when it is stopped, even during a wait", async () => {
    const running = keepRunning(failing(1_000, new Outage("gone")) as () => Promise<never>, options());
    await clock.pass(150);
    stop.abort();
    await running;
    expect(failures).toHaveLength(2);
  });
});
