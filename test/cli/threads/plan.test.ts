import { describe, expect, test } from "vitest";
import { type Role, roles } from "../../../src/cli/settings.ts";
import { planThreads, threadsByCores } from "../../../src/cli/threads/plan.ts";

const everything: Parameters<typeof planThreads>[0] = {
  roles,
  apiThreads: 1,
  engineThreads: 1,
};

const namesOf = (settings: Partial<typeof everything>, { listens = true, shardCount = 1 } = {}) => {
  const { main, others } = planThreads({ ...everything, ...settings }, shardCount, listens);
  return { main, others: others.map(({ name }) => name) };
};

describe("the threads of a server", () => {
  test("are one for each role, and requests are answered by the main one", () => {
    expect(namesOf({})).toEqual({ main: ["api"], others: ["recorder", "actions", "engine"] });
  });

  test("are several where the settings ask for them", () => {
    expect(namesOf({ apiThreads: 3, engineThreads: 2 }, { shardCount: 4 })).toEqual({
      main: ["api"],
      others: ["recorder", "actions", "engine-1", "engine-2", "api-2", "api-3"],
    });
  });

  // An engine without a shard costs memory and does nothing.
  test("are not more engines than shards in all workspaces", () => {
    expect(namesOf({ engineThreads: 8 }, { shardCount: 2 }).others).toEqual([
      "recorder",
      "actions",
      "engine-1",
      "engine-2",
    ]);
  });

  test("leave the main one to the probes where another role listens", () => {
    expect(namesOf({ roles: ["engine"] })).toEqual({ main: [], others: ["engine"] });
  });

  test("are the main one alone for a single role that does not listen", () => {
    expect(namesOf({ roles: ["engine"] }, { listens: false })).toEqual({ main: ["engine"], others: [] });
    expect(namesOf({ roles: ["recorder"] }, { listens: false })).toEqual({ main: ["recorder"], others: [] });
    expect(namesOf({ roles: ["engine", "actions"] }, { listens: false })).toEqual({
      main: [],
      others: ["actions", "engine"],
    });
  });

  test.each([
    [1, { api: 1, engine: 1 }],
    [2, { api: 1, engine: 1 }],
    [4, { api: 1, engine: 1 }],
    [8, { api: 3, engine: 2 }],
    [64, { api: 31, engine: 16 }],
  ])("on %i cores are, by default, %j", (cores, counts) => {
    expect(threadsByCores(cores)).toEqual(counts);
  });
});

test("every role of a process has a thread", () => {
  const some: Role[] = ["api", "recorder"];
  for (const chosen of [roles, some]) {
    const { main, others } = planThreads({ ...everything, roles: chosen }, 1, true);
    expect([...main, ...others.flatMap((thread) => thread.roles)].sort()).toEqual([...chosen].sort());
  }
});
