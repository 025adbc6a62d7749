/** The commands that use the API, run against a real server. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import type { AutomationView, ReceivedEvent } from "../../src/client/index.ts";
import { answer, misbehavingServer } from "../client/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { commandsAt } from "./commands-at.ts";
import { Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await sandbox.serve(redis.url, ["--retry", "1ms"]);
});

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
});

const { tripline, json, emit } = commandsAt(sandbox, () => server);

describe("tripline apply", () => {
  const folder = join(sandbox.folder, "rules");
  const secret = "hook-path-0123456789";
  const apply = (...words: string[]) =>
    sandbox.output(["apply", folder, ...words], { TRIPLINE_API_URL: server.api, HOOK_PATH: secret });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const quiet = (changes = "", url = "https://example.org/${env.HOOK_PATH}") => `
name: Pump went quiet
${changes}
trigger:
  posture: Proactive
  after: [pump.started]
  expect: [pump.beat]
  within: 1h
actions:
  - type: call-webhook
    url: ${url}
`;
  const vent = "name: Vent opened\ntrigger: {expect: [vent.opened]}\nactions: []\n";

  beforeAll(() => {
    mkdirSync(folder);
    write("pump.yaml", quiet());
    write("vent.yaml", vent);
  });

  test("prints its plan and changes nothing in a dry run", async () => {
    const planned = await apply("--dry-run");
    expect(planned).toMatchObject({ code: 3, stderr: "" });
    expect(planned.stdout).toContain(`+ create Pump went quiet (${join(folder, "pump.yaml")})`);
    expect(planned.stdout).toContain("2 to create, 0 to change, 0 to delete, 0 unchanged.");
    expect(await json("automations", "ls")).toEqual([]);
  });

  test("creates automations, and changes nothing when it is run again", async () => {
    expect(await apply()).toMatchObject({ code: 0, stderr: "" });
    const applied = await json<AutomationView[]>("automations", "ls");
    expect(applied.map(({ name }) => name)).toEqual(["Pump went quiet", "Vent opened"]);
    const again = await apply();
    expect(again.stdout).toBe("0 to create, 0 to change, 0 to delete, 2 unchanged.\n");
    expect(await apply("--dry-run")).toMatchObject({ code: 0 });
    expect(await json("automations", "ls")).toEqual(applied);
  });

  test("reports for each open window whether it is kept or reset", async () => {
    await emit("pump.started", "pump.1");
    await expect.poll(async () => (await tripline("windows", "Pump went quiet")).stdout).toContain("0 of 1");

    write("pump.yaml", quiet("tags: [greenhouse]"));
    const kept = await apply();
    expect(kept.stdout).toMatch(
      /~ change Pump went quiet .*: tags\n {4}tags\[0\]: \(none\) -> "greenhouse"\n {4}window with 0 of 1 since .*: kept\n/,
    );
    expect((await tripline("windows", "Pump went quiet")).stdout).toContain("0 of 1");

    write("pump.yaml", quiet("tags: [greenhouse]").replace("1h", "2h"));
    expect((await apply("--dry-run")).stdout).toMatch(
      /: trigger\n {4}trigger\.within: .*\n {4}window with 0 of 1 since .*: reset\n/,
    );
    expect((await apply()).stdout).toMatch(/: reset\n/);
    await expect
      .poll(async () => (await tripline("windows")).stdout)
      .toBe("No window is open in 2 automations.\n");
  });

  test("keeps a paused automation paused until its file changes `enabled`", async () => {
    await tripline("automations", "pause", "Vent opened");
    expect((await apply()).stdout).toBe("0 to create, 0 to change, 0 to delete, 2 unchanged.\n");
    write("vent.yaml", `enabled: false\n${vent}`);
    await apply();
    write("vent.yaml", vent);
    expect((await apply()).stdout).toContain("~ change Vent opened");
    expect(await json("automations", "show", "Vent opened")).toMatchObject({ enabled: true });
  });

  test("never shows a secret, although the server knows it", async () => {
    write("pump.yaml", quiet("tags: [greenhouse]", "https://example.org/${env.HOOK_PATH}?x"));
    const outputs = [
      await apply("--output", "json"),
      await tripline("automations", "show", "Pump went quiet"),
      await sandbox.output(["apply", folder], {
        TRIPLINE_API_URL: server.api,
        HOOK_PATH: `${secret}-changed`,
      }),
      await sandbox.output(["apply", folder], { TRIPLINE_API_URL: server.api }),
    ];
    expect(outputs[2]?.stdout).toMatch(/: secrets\n/);
    expect(outputs[3]).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the environment has no HOOK_PATH"),
    });
    const events = await tripline("events", "ls", "--name", "prefect-cloud.automation.*", "-o", "json");
    const everything = JSON.stringify([outputs, events, server.process.stdout, server.process.stderr]);
    expect(everything).toContain("${env.HOOK_PATH}");
    expect(everything).not.toContain(secret);
  });

  test("deletes automations that were removed from the files only with --prune", async () => {
    rmSync(join(folder, "vent.yaml"));
    expect((await apply()).stdout).not.toContain("Vent");
    expect((await apply("--prune")).stdout).toContain("- delete Vent opened");
    const remaining = await json<AutomationView[]>("automations", "ls");
    expect(remaining.map(({ name }) => name)).toEqual(["Pump went quiet"]);
  });

  // Two automations with the same name would both fire.
  test("refuses a name that another automation has, and applies nothing", async () => {
    const created = await fetch(`${server.api}/automations/`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: "Made by hand", trigger: { expect: ["a"] }, actions: [] }),
    });
    const { id } = (await created.json()) as AutomationView;
    write("hand.yaml", "name: Made by hand\ntrigger: {expect: [a]}\nactions: []\n");
    write("vent.yaml", vent);
    expect(await apply()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`is also the name of automation ${id}`),
    });
    expect((await json<AutomationView[]>("automations", "ls")).map(({ name }) => name)).not.toContain(
      "Vent opened",
    );
    rmSync(join(folder, "hand.yaml"));
    await tripline("automations", "rm", id);
  });

  test("creates destinations too, and reports the hooks that it skips", async () => {
    write(
      "ops.yaml",
      "destinations:\n  - {type: slack, name: ops, url: 'https://example.org/${env.HOOK_PATH}'}\n" +
        "hooks:\n  - {name: gate, template: {event: gate.opened, resource: {prefect.resource.id: gate.1}}}\n",
    );
    const applied = await apply();
    expect(applied).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("Skipped 1 hook (gate)"),
    });
    expect(applied.stdout).toContain("+ create destination ops");
    expect((await apply()).stdout).toContain("0 to create, 0 to change");
    expect(
      applied.stdout + JSON.stringify(await (await fetch(`${server.api}/destinations`)).json()),
    ).not.toContain(secret);
  });

  test("reports every mistake with its place before it sends anything", async () => {
    write("wrong.yaml", "name: Wrong\ntrigger: {expcet: [a]}\nactions: []\n");
    const { code, stderr } = await apply();
    expect(code).toBe(1);
    expect(stderr).toContain("wrong.yaml:2:11: unknown key `expcet`");
    rmSync(join(folder, "wrong.yaml"));
  });
});

describe("tripline automations", () => {
  test("lists, shows, pauses, resumes and removes automations", async () => {
    const rules = sandbox.write(
      "fan.yaml",
      "name: Fan stopped\ntrigger: {expect: [fan.stopped]}\nactions: []\n",
    );
    await tripline("apply", rules);
    const { stdout } = await tripline("automations", "ls");
    expect(stdout).toMatch(/^NAME {2,}STATE {2,}TRIGGER/);
    expect(stdout).toMatch(
      /^Fan stopped {2,}enabled {2,}Reactive fan\.stopped {2,}- {2,}API, applied from /m,
    );
    const { id } = parse((await tripline("automations", "show", "Fan stopped")).stdout) as AutomationView;
    expect((await tripline("automations", "pause", "Fan stopped")).stderr).toBe(
      `Paused Fan stopped (${id})\n`,
    );
    expect(await json("automations", "show", id)).toMatchObject({ enabled: false });
    await tripline("automations", "resume", id);
    expect(await json("automations", "show", id)).toMatchObject({ enabled: true });
    // A misspelled name leaves the other automations alone.
    expect(await tripline("automations", "rm", id, "Fan stoped")).toMatchObject({
      code: 1,
      stderr: 'No automation is called "Fan stoped". Did you mean "Fan stopped"?\n',
    });
    expect(await tripline("automations", "rm", id)).toMatchObject({ code: 0 });
    expect((await tripline("automations", "show", id)).code).toBe(1);
  });
});

describe("tripline events", () => {
  test("lists, filters and counts events", async () => {
    const first = await emit("door.opened", "door.1");
    const second = await emit("door.closed", "door.1");
    await emit("door.opened", "door.2");
    const found = await json<ReceivedEvent[]>(
      "events",
      "ls",
      "-e",
      "door.*",
      "-r",
      "door.1",
      "--oldest-first",
    );
    expect(found.map(({ id }) => id)).toEqual([first, second]);
    expect(await json("events", "ls", "-e", "door.*", "-n", "2")).toHaveLength(2);
    expect(await json("events", "ls", "-e", "door.opened", "-e", "door.closed", "-t", "door.2")).toHaveLength(
      1,
    );
    expect(await json("events", "ls", "-e", "door.*", "--until", "1h")).toEqual([]);
    expect((await tripline("events", "count", "-e", "door.*")).stdout).toMatch(/^ +2 {2,}door\.opened /m);
    expect(await tripline("events", "ls", "-e", "door.*", "-e", "door.opened")).toMatchObject({ code: 2 });
  });

  // Neither half a year of empty days nor an error about too many hours would help.
  test.each(["day", "time"])("counts events by %s without a start time", async (by) => {
    await emit(`bell.${by}`, "bell.1");
    const { code, stdout } = await tripline("events", "count", "-e", `bell.${by}`, "--by", by);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^START +COUNT\n\S+ +1\n(?:\S+ +0\n)?$/),
    });
    const withoutMatch = await tripline("events", "count", "-e", "no.such", "--by", by);
    expect(withoutMatch).toMatchObject({ code: 0, stdout: "No event matches.\n" });
  });

  test("prints events as they arrive, and no event can forge a line", async () => {
    const tail = sandbox.tripline(["events", "tail", "--backfill", "-e", "gate.*", "-n", "2"], {
      TRIPLINE_API_URL: server.api,
    });
    const first = await emit("gate.a\u001b[2J\nforged", "gate.1");
    await tail.until(() => tail.stdout.includes(first));
    const second = await emit("gate.b", "gate.1");
    expect((await tail.ended).code).toBe(0);
    const lines = tail.stdout.trim().split("\n");
    expect(lines.map((line) => line.split("  ").at(-1))).toEqual([first, second]);
    expect(lines[0]).toContain("gate.a\\u001b[2J\\u000aforged");
    expect((await tripline("events", "ls", "-e", "gate.*")).stdout).toContain(
      "gate.a\\u001b[2J\\u000aforged",
    );
  });
});

describe("tripline explain", () => {
  test("asks a running server about one automation or all of them", async () => {
    const rules = sandbox.write(
      "lamp.yaml",
      "name: Lamps\ntrigger: {expect: [lamp.*], threshold: 2, within: 1h}\nactions: []\n---\n" +
        "name: Doors\ntrigger: {expect: [door.*], match: {door: north}}\nactions: []\n",
    );
    await tripline("apply", rules);
    const id = await emit("lamp.off", "lamp.1");
    await expect
      .poll(async () => (await tripline("explain", "--event", id, "--automation", "Lamps")).stdout)
      .toMatch(
        /^Lamps: The event was covered, but did not fire the automation: counted \(1 of 2\)\.\n[\s\S]*still missing: 1, until /m,
      );
    const all = await tripline("explain", "--event", id);
    expect(all.stdout).toMatch(
      /^event lamp\.off [\s\S]*^Lamps: [\s\S]*other automations? do(?:es)? not cover the event/m,
    );
    const missing = "00000000-0000-4000-8000-00000000abcd";
    expect(await tripline("explain", "--event", missing, "-a", "Lamps")).toMatchObject({ code: 1 });
    expect(await tripline("explain", "--event", missing, "--rules", rules)).toMatchObject({ code: 2 });
  });
});

describe("tripline explain ID", () => {
  let webhookId = "";
  let eventId = "";

  beforeAll(async () => {
    let failuresLeft = 2;
    const endpoint = await misbehavingServer((response, request) => {
      webhookId = request.headers["webhook-id"] as string;
      failuresLeft -= 1;
      answer(failuresLeft >= 0 ? 500 : 200, {})(response);
    });
    const rules = sandbox.write(
      "siren.yaml",
      `name: Siren\ntrigger: {expect: [siren.on]}\nactions: [{type: call-webhook, url: '${endpoint.url}'}]\n`,
    );
    await tripline("apply", rules);
    eventId = await emit("siren.on", "siren.1");
    await vi.waitFor(
      async () => {
        const { stdout } = await tripline("explain", eventId);
        expect(stdout).toMatch(/Siren +call-webhook delivered: status 200, 3 attempts/);
      },
      { timeout: 20_000, interval: 200 },
    );
    await endpoint.stop();
  });

  const idsOfEvents = async (name: string): Promise<string[]> => {
    const events = await json<ReceivedEvent[]>("events", "ls", "-e", name, "--last", "1h");
    return events.filter(({ resource }) => resource["prefect.resource.name"] === "Siren").map(({ id }) => id);
  };

  test("explains what an event did and led to, given its id or the start of it", async () => {
    for (const id of [eventId, eventId.toUpperCase(), eventId.slice(0, 13)]) {
      const { code, stdout } = await tripline("explain", id);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^event siren\.on /);
      expect(stdout).toContain("Siren: The automation fired with this event.");
      expect(stdout).toMatch(/Siren +fired/);
      expect(stdout).toContain(webhookId);
    }
  });

  test("explains a delivery, given its webhook-id or an event about it", async () => {
    const executed = await idsOfEvents("prefect-cloud.automation.action.executed");
    const triggered = await idsOfEvents("prefect-cloud.automation.action.triggered");
    expect([executed.length, triggered.length]).toEqual([1, 1]);
    for (const id of [webhookId, webhookId.slice(0, 13), ...executed, ...triggered]) {
      const { code, stdout } = await tripline("explain", id);
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`^delivery ${webhookId} of Siren\\n\\nSiren fired at `));
      expect(stdout).toContain(`event siren.on ${eventId}`);
      expect(stdout).toMatch(/: delivered, at \S+, status 200, 3 attempts/);
    }
  });

  test("explains a firing, given the event about it", async () => {
    const ids = await idsOfEvents("prefect-cloud.automation.triggered");
    expect(ids).toHaveLength(1);
    for (const id of ids) {
      const { stdout } = await tripline("explain", id);
      expect(stdout).toMatch(/^firing of Siren\n\nSiren fired at /);
      expect(stdout).toContain(`event siren.on ${eventId}`);
    }
  });

  test("shows an automation's windows and latest firings, given its name or id", async () => {
    const [automation] = (await json<AutomationView[]>("automations", "ls")).filter(
      ({ name }) => name === "Siren",
    );
    for (const id of ["Siren", automation?.id ?? ""]) {
      const { stdout } = await tripline("explain", id);
      expect(stdout).toMatch(/^Siren: enabled, Reactive siren\.on\n\nNo window is open[\s\S]*Siren +fired/);
    }
  });

  test("says that the server has no such workspace", async () => {
    const { code, stderr } = await tripline("events", "ls", "--workspace", "greenhose");
    expect([code, stderr]).toEqual([1, expect.stringContaining('no workspace "greenhose"')]);
  });

  test("says what to do about an unknown id", async () => {
    expect(await tripline("explain", "nothing here")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("tripline events ls"),
    });
    expect(await tripline("explain", "00000000-0000")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Nothing is known about "00000000-0000"'),
    });
    expect(await tripline("explain", "1e3")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Give at least the first 4 characters of an id"),
    });
    expect(await tripline("explain")).toMatchObject({ code: 2 });
  });
});

describe("every command", () => {
  test("sends the API key from the environment, and says what to do if the server rejects it", async () => {
    const keys: (string | undefined)[] = [];
    const guarded = await misbehavingServer((response, request) => {
      keys.push(request.headers.authorization);
      answer(401, { exception_message: "Unauthorized" })(response);
    });
    const env = { TRIPLINE_API_URL: guarded.url, TRIPLINE_API_KEY: "k1", PREFECT_API_KEY: "k2" };
    const { code, stderr } = await sandbox.output(["automations", "ls"], env);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("tripline keys create") });
    await sandbox.output(["automations", "ls"], { ...env, TRIPLINE_API_KEY: "" });
    expect(keys).toEqual(["Bearer k1", "Bearer k2"]);
    await guarded.stop();
  });

  test("exits with 2 when it is misused and with 1 when the server is unreachable", async () => {
    expect(await tripline("events", "ls", "--since", "yesterday")).toMatchObject({ code: 2 });
    expect(await tripline("automations", "list")).toMatchObject({ code: 2 });
    expect(await tripline("automations", "ls", "-o", "xml")).toMatchObject({ code: 2 });
    const unreachable = await sandbox.output(["automations", "ls", "--url", "http://127.0.0.1:9/api"]);
    expect(unreachable).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot be reached") });
  });

  test("suggests /api when the server's URL lacks it", async () => {
    const root = server.api.replace(/\/api$/, "");
    const { code, stderr } = await sandbox.output(["automations", "ls", "--url", root]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`--url ${root}/api`) });
  });
});
