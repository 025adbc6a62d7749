/** Limits on requests, counted in a real Redis by several clients. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRate } from "../../src/core/model/rate.ts";
import type { RequestLimits } from "../../src/core/model/request-limits.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { limitKeys } from "../../src/store/keys.ts";
import { RequestLimitStore } from "../../src/store/request-limits.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
const clients: RedisConnection[] = [];

beforeAll(async () => {
  server = await startRedis();
  clients.push(connect(server.url), connect(server.url));
  await Promise.all(clients.map((client) => client.ping()));
});

afterAll(async () => {
  for (const client of clients) client.disconnect();
  await server.stop();
});

const workspace = "greenhouse";
const stores = (slotMs?: number) => clients.map((client) => new RequestLimitStore(client, workspace, slotMs));
const request = (id: string, limits: RequestLimits, delivery: string = randomUUID()) => ({
  id,
  limits,
  delivery,
  holder: randomUUID(),
});

describe("a rate", () => {
  // The receiver has a limit of its own, and counts from any moment.
  test.each(["1/s", "4/s", "7/2s"])(
    "of %s is never exceeded, and each delivery gets its turn",
    async (rate) => {
      const id = randomUUID();
      const { count, seconds } = parseRate(rate)!;
      const period = seconds * 1_000_000;
      const total = Math.min(3 * count, 14);
      const sent: { number: number; at: number; asked: number }[] = [];
      const deliver = async (number: number, store: RequestLimitStore) => {
        for (let asked = 1; ; asked++) {
          const one = request(id, { rate }, `delivery ${number}`);
          const reached = await store.enter(one);
          if (reached === null) {
            const at = Number(await clients[0]?.zscore(limitKeys(workspace, id).times, one.holder));
            sent.push({ number, at, asked });
            return;
          }
          expect(reached.limit).toBe("rate");
          await sleep(reached.waitMs);
        }
      };
      const deliveries: Promise<void>[] = [];
      for (let number = 0; number < total; number++) {
        deliveries.push(deliver(number, stores()[number % 2]!));
        await sleep(5); // so that it is clear which came first
      }
      await Promise.all(deliveries);

      sent.sort((a, b) => a.at - b.at);
      for (const [index, { number, at }] of sent.entries()) {
        expect(Math.abs(number - index)).toBeLessThanOrEqual(count); // a timer may be late
        const later = sent[index + count];
        if (later !== undefined) expect(later.at - at).toBeGreaterThanOrEqual(period);
      }
      // Once to be given a turn, once when it comes; a turn that a slow machine misses costs one more.
      const asked = sent.reduce((sum, delivery) => sum + delivery.asked, 0);
      expect(asked).toBeLessThanOrEqual(3 * total);
    },
  );

  test("can be used up at once, and then says when the next request may be sent", async () => {
    const [first, second] = stores();
    const ask = (store = first) => store!.enter(request("burst", { rate: "3/h" }));
    expect([await ask(), await ask(second), await ask()]).toEqual([null, null, null]);
    const waits = [await ask(second), await ask(), await ask(), await ask()].map(
      (reached) => reached!.waitMs,
    );
    for (const waitMs of waits.slice(0, 3)) {
      expect(waitMs).toBeGreaterThan(3_590_000);
      expect(waitMs).toBeLessThanOrEqual(3_600_000);
    }
    expect(waits[3]).toBeGreaterThan(7_190_000); // behind those that wait already
    expect(await first!.enter(request("another", { rate: "3/h" }))).toBeNull();
  });

  test("that is raised lets those go that wait", async () => {
    const [store] = stores();
    const deliveries = ["a", "b", "c"];
    const ask = (delivery: string, rate: string) => store!.enter(request("raised", { rate }, delivery));
    await ask("first", "1/d");
    for (const delivery of deliveries) expect(await ask(delivery, "1/d")).not.toBeNull();
    expect(await ask("later", "4/d")).not.toBeNull(); // the places are taken by those that wait
    for (const delivery of deliveries) expect(await ask(delivery, "4/d")).toBeNull();
    expect(await ask("last", "4/d")).not.toBeNull();
  });

  test("leaves nothing in Redis once its period has passed", async () => {
    const [store] = stores();
    await store!.enter(request("expires", { rate: "5/10s" }));
    const ttl = await clients[0]!.pttl(limitKeys(workspace, "expires").times);
    expect(ttl).toBeGreaterThan(9_000);
    expect(ttl).toBeLessThanOrEqual(11_000);
  });
});

describe("a concurrency limit", () => {
  test("holds for all clients, and a slot that is given back can be taken again", async () => {
    const [first, second] = stores();
    const limits = { concurrency: 2 };
    const [a, b, c] = [1, 2, 3].map(() => request("slots", limits));
    expect([await first!.enter(a!), await second!.enter(b!)]).toEqual([null, null]);
    expect(await first!.enter(c!)).toMatchObject({ limit: "concurrency" });
    await second!.leave(b!);
    expect(await first!.enter(c!)).toBeNull();
    expect(await second!.enter(b!)).toMatchObject({ limit: "concurrency" });
  });

  test("wakes those that wait in their order, each once, and asks them back less and less often", async () => {
    const [first, second] = stores();
    const limits = { concurrency: 1 };
    const holder = request("line", limits, "holder");
    await first!.enter(holder);
    const ask = async (delivery: string) => (await second!.enter(request("line", limits, delivery)))?.waitMs;
    for (const delivery of ["a", "b", "c"]) expect(await ask(delivery)).toBe(500);
    await sleep(600);
    expect(await ask("a")).toBeGreaterThanOrEqual(600); // and keeps its place
    expect(await first!.leave(holder)).toBe("a");
    expect(await ask("b")).toBeUndefined(); // it took the slot before it was woken up
    expect(await first!.leave(holder)).toBe("c");
    expect(await first!.leave(holder)).toBeNull();
  });

  // Its process died, or cannot reach Redis to give it back.
  test("frees a slot by itself, unless its holder keeps it", async () => {
    const [store] = stores(500);
    const limits = { concurrency: 2 };
    const [kept, lost, next] = [1, 2, 3].map(() => request("lost", limits));
    await store!.enter(kept!);
    await store!.enter(lost!);
    const keeper = setInterval(() => void store!.keep(kept!), 50);
    await expect.poll(() => store!.enter(next!)).toBeNull();
    expect(await store!.enter(request("lost", limits))).toMatchObject({ limit: "concurrency" });
    clearInterval(keeper);
  });

  test("takes nothing of the rate while it is reached, and the other way around", async () => {
    const [store] = stores();
    const limits = { concurrency: 1, rate: "2/h" };
    const [a, b, c] = [1, 2, 3].map(() => request("both", limits));
    await store!.enter(a!);
    for (let times = 0; times < 5; times++)
      expect(await store!.enter(b!)).toMatchObject({ limit: "concurrency" });
    await store!.leave(a!);
    expect(await store!.enter(b!)).toBeNull();
    await store!.leave(b!);
    expect(await store!.enter(c!)).toMatchObject({ limit: "rate" });
    expect(await store!.enter(request("both", { concurrency: 1 }))).toBeNull();
  });
});
