/** How a shard is claimed, kept, lost and released, in virtual time. */

import { beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import type { Commit, CommitOutcome, CommitResult, ReadResult } from "../../src/engine/ports.ts";
import { runShard } from "../../src/engine/shard.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const leaseMs = 9_000; // renewed every 3 s

let clock: VirtualClock;
let world: MemoryWorld;
let store: ChangedStore;
let queueMs: number;
let invocations: Invocation[];
let logged: { level: string; fields: object; message: string }[];
/** What the metrics were told: whether this process owns the shard. */
let owned: boolean[];
let ownerKnownCount: number;

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  world.putAutomations([greenhouseAutomation("presence")]);
  store = new ChangedStore(world, 0, "owner");
  queueMs = 0;
  invocations = [];
  logged = [];
  owned = [];
  ownerKnownCount = 0;
});

/** @returns stops the shard; resolves once it has ended */
function start(): () => Promise<void> {
  const queue = {
    async addInvocations(added: readonly Invocation[]) {
      await clock.sleep(queueMs);
      invocations.push(...added);
    },
  };
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const logger = { info: note("info"), warn: note("warn"), error: note("error") };
  const metrics = { owned: (_shard: number, isOwner: boolean) => void owned.push(isOwner) };
  const settings = { shard: 0, shardCount: 1, leaseMs, latenessDefault: 0 };
  const stop = new AbortController();
  const ended = runShard({ store, queue, clock, logger, metrics }, settings, stop.signal, () => {
    ownerKnownCount += 1;
  });
  return () => {
    stop.abort();
    return ended;
  };
}

/** Each method does what the test puts in its place. */
class ChangedStore extends MemoryShardStore {
  readonly claimedAt: number[] = [];
  changeRead = (read: () => Promise<ReadResult>) => read();
  changeCommit = (commit: () => Promise<CommitResult>) => commit();
  changeRenew = (renew: () => Promise<boolean>) => renew();
  changeRelease = (release: () => Promise<void>) => release();

  override claim(leaseMs: number) {
    this.claimedAt.push(clock.now());
    return super.claim(leaseMs);
  }
  override read(after: string, options: { count: number; blockMs: number }) {
    return this.changeRead(() => super.read(after, options));
  }
  override commit(commit: Commit) {
    return this.changeCommit(() => super.commit(commit));
  }
  override renew(epoch: number, leaseMs: number) {
    return this.changeRenew(() => super.renew(epoch, leaseMs));
  }
  override release(epoch: number) {
    return this.changeRelease(() => super.release(epoch));
  }
}

const unreachable = new RedisUnreachable("simulated");

/** What was logged, without what each start logs. */
function notable() {
  return logged.filter(({ message }) => message !== "Took over the shard");
}

describe("a shard that another process owns", () => {
  const other = () => new MemoryShardStore(world, 0, "other");

  test("is taken over as soon as the other's lease has expired", async () => {
    await other().claim(800);
    const stop = start();
    await clock.pass(799);
    expect(owned).toEqual([]);
    await clock.pass(1);
    expect(owned).toEqual([true]);
    await stop();
  });

  test("is taken over within a third of a lease once the other releases it, however long that lease was", async () => {
    const claim = await other().claim(600_000);
    const stop = start();
    await clock.pass(100_000);
    expect(store.claimedAt.slice(0, 4)).toEqual([0, 3_000, 6_000, 9_000]);
    expect(owned).toEqual([]);
    await other().release("epoch" in claim ? claim.epoch : 0);
    await clock.pass(3_000);
    expect(owned).toEqual([true]);
    await stop();
  });

  test("is logged once, and known to have an owner", async () => {
    await other().claim(600_000);
    const stop = start();
    await clock.pass(1);
    expect(ownerKnownCount).toBeGreaterThan(0);
    await clock.pass(100_000);
    expect(logged).toEqual([
      {
        level: "info",
        fields: { shard: 0 },
        message: "Another process owns the shard; waiting to take over",
      },
    ]);
    await stop();
  });

  test("is never owned if this process is stopped meanwhile", async () => {
    await other().claim(600_000);
    const stop = start();
    await clock.pass(1_000);
    await stop();
    expect(owned).toEqual([]);
    expect(world.shard(0).owner).toBe("other");
  });
});

describe("an owner", () => {
  // The loop may be waiting for entries for up to 5 seconds. Until it ends, nobody evaluates events.
  test("that cannot renew its lease ends its loop at once, and claims the shard again", async () => {
    store.changeRenew = async (renew) => (clock.now() === 3_000 ? false : renew());
    const stop = start();
    await clock.pass(3_000);
    expect(store.claimedAt).toEqual([0, 3_000]);
    expect(owned).toEqual([true, false, true]);
    expect(notable()).toEqual([
      {
        level: "warn",
        fields: { shard: 0, reason: "another process claimed the lease" },
        message: "Lost the shard; claiming it again",
      },
    ]);
    await stop();
  });

  // The next commit shows whether the shard has another owner; until then it is better to keep working.
  test("that cannot reach Redis to renew its lease logs it and continues", async () => {
    store.changeRenew = async (renew) => {
      if (clock.now() < 9_000) throw unreachable;
      return renew();
    };
    const stop = start();
    await clock.pass(10_000);
    const failure = {
      level: "warn",
      fields: { shard: 0, err: unreachable },
      message: "Could not renew the shard's lease; retrying",
    };
    expect(notable()).toEqual([failure, failure]);
    world.appendEvents([{ event: pumpFailed }]);
    await clock.pass(1);
    expect(invocations).toHaveLength(1);
    expect(store.claimedAt).toEqual([0]);
    await stop();
  });

  test("whose reads fail has an outage, and has not lost the shard", async () => {
    let failureCount = 0;
    store.changeRead = async (read) => {
      if (failureCount++ < 3) throw unreachable;
      return read();
    };
    world.appendEvents([{ event: pumpFailed }]);
    const stop = start();
    await clock.pass(10_000);
    expect(notable()).toMatchObject([
      { level: "warn", fields: { shard: 0, err: unreachable }, message: "Redis unavailable; retrying" },
    ]);
    expect(store.claimedAt).toEqual([0, 250, 750, 1_750]);
    expect(invocations).toHaveLength(1);
    await stop();
  });
});

describe("an owner that is stopped", () => {
  test("releases the shard after everything is dispatched, and not before", async () => {
    queueMs = 100;
    world.appendEvents([{ event: pumpFailed }]);
    const stop = start();
    await clock.pass(50);
    const ended = stop();
    await clock.pass(49);
    expect(world.shard(0).owner).toBe("owner");
    await clock.pass(1);
    await ended;
    expect(invocations).toHaveLength(1);
    expect(world.shard(0).outbox).toEqual([]);
    expect(world.shard(0).owner).toBeNull();
    expect(owned).toEqual([true, false]);
  });

  // A renewal that arrives after the release would hold the shard for another lease.
  test("waits for a renewal in progress before it releases the shard", async () => {
    store.changeRenew = async (renew) => {
      await clock.sleep(100);
      return renew();
    };
    const stop = start();
    await clock.pass(3_050);
    const ended = stop();
    await clock.pass(100);
    await ended;
    expect(world.shard(0).owner).toBeNull();
  });

  test("logs that it could not release the shard, and ends", async () => {
    store.changeRelease = () => Promise.reject(unreachable);
    const stop = start();
    await clock.pass(1);
    await stop();
    expect(notable()).toEqual([
      {
        level: "warn",
        fields: { shard: 0, err: unreachable },
        message: "Could not release the shard's lease; it expires by itself",
      },
    ]);
  });

  test("does not log that it lost the shard, even if its last commit is refused", async () => {
    let outcome: CommitOutcome | null = null;
    store.changeCommit = async () => {
      await clock.sleep(100);
      outcome = "fenced";
      return { outcome, positions: [] };
    };
    const stop = start();
    await clock.pass(50);
    const ended = stop();
    await clock.pass(100);
    await ended;
    expect(outcome).toBe("fenced");
    expect(notable()).toEqual([]);
  });
});

const pumpFailed = {
  id: "00000000-0000-4000-8000-000000000001",
  occurred: "2026-03-01T00:00:00Z",
  event: "pump.failed",
  resource: { "prefect.resource.id": "pump.1" },
  related: [],
  payload: {},
  follows: null,
};
