/** The rules that a server watches: their text, and what it finds in them after each load, in a real process. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { RuleChecks } from "../../src/cli/rule-checks.ts";
import { type RuleSource, type Rules, Tripline } from "../../src/client/index.ts";
import type { RuleReport } from "../../src/core/model/rule-report.ts";
import { type LoadedRules, loadRules } from "../../src/rules/load.ts";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
const folder = join(sandbox.folder, "rules");
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
  mkdirSync(folder);
});

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
});

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

const secret = "hush-0123456789";

const pump = `# Pumps leak.
name: pump failed
trigger:
  expect: [pump.failed] # whatever the reason
actions:
  - type: call-webhook
    url: https://grower:p4ss@example.org/
    secret: ${secret}
  - type: pause-automation
    automation: nobody
`;

const cases = `cases:
  - name: a failure is reported
    steps: [{ at: 0s, event: pump.failed, resource: pump.north }]
    expect: [{ at: 0s }]
  - name: a failure is ignored
    steps: [{ at: 0s, event: pump.failed, resource: pump.north }]
    expect: []
`;

describe("a server that watches rules", () => {
  let server: Server;
  let tripline: Tripline;

  const checked = async (isDone: (rules: Rules) => boolean): Promise<Rules> => {
    let found: Rules | null = null;
    await expect
      .poll(
        async () => {
          found = await tripline.automations.rules();
          return !found.pending && isDone(found);
        },
        { timeout: 20_000, interval: 50 },
      )
      .toBe(true);
    return found as unknown as Rules;
  };
  const ruleOf = async (name: string): Promise<RuleSource> => {
    const [found] = await tripline.automations.list({ names: [name] });
    return tripline.automations.rule(found?.id ?? "");
  };

  beforeAll(async () => {
    write("pump.yaml", pump);
    write("pump.test.yaml", cases);
    server = await sandbox.serve(redis.url, ["--rules", folder, "--history-url", "off"]);
    tripline = new Tripline({ url: server.api });
  });

  test("reports warnings and the cases beside the rules, without secrets", async () => {
    const rules = await checked(({ checked }) => checked !== null);
    expect(rules).toEqual({
      checked: expect.stringMatching(/^\d{4}-.*Z$/),
      in_effect: true,
      pending: false,
      paths: [folder],
      files: [{ file: join(folder, "pump.yaml"), automations: 1 }],
      mistakes: [],
      warnings: [
        {
          file: join(folder, "pump.yaml"),
          line: 10,
          column: 17,
          code: "TL603",
          reason: 'no automation in these rules is named "nobody"',
          fix: expect.stringContaining("name an automation"),
          automation: { id: expect.stringMatching(/^[0-9a-f-]{36}$/), name: "pump failed" },
        },
      ],
      tests: {
        ran: expect.stringMatching(/Z$/),
        duration_ms: expect.any(Number),
        files: 1,
        passed: 1,
        failed: 1,
        not_run: 0,
        mistakes: [],
        cases: [
          {
            file: join(folder, "pump.test.yaml"),
            line: 2,
            name: "a failure is reported",
            passed: true,
            report: "",
          },
          {
            file: join(folder, "pump.test.yaml"),
            line: 5,
            name: "a failure is ignored",
            passed: false,
            report: expect.stringMatching(
              /^a failure is ignored\n.*time {2}expected {2}got.*was not expected/s,
            ),
          },
        ],
      },
      left_out: { files: 0, mistakes: 0, warnings: 0 },
    });
    expect(JSON.stringify(rules)).not.toMatch(/hush|p4ss/);
    const lines = logLines(server.process);
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "The cases beside the rules do not all pass", passed: 1, failed: 1 }),
    );
  });

  test("answers the text as it is written, without secrets", async () => {
    expect(await ruleOf("pump failed")).toMatchObject({
      origin: "file",
      file: join(folder, "pump.yaml"),
      line: 1,
      yaml: pump.replace(secret, '"********"').replace("grower:p4ss", "…"),
      words: {
        summary: "Fires whenever there is a pump.failed event.",
        actions: ["Calls https://…@example.org/, with a signature.", 'Pauses the automation "nobody".'],
      },
    });
  });

  test("shows the words on the command line, too", async () => {
    const env = { TRIPLINE_API_URL: server.api };
    const shown = await sandbox.output(["automations", "show", "pump failed"], env);
    expect(shown.stdout).toMatch(
      /^# Fires whenever there is a pump\.failed event\.\n# Calls https:.*\n# Pauses .*\nid: /,
    );
    const table = await sandbox.output(["automations", "show", "pump failed", "-o", "table"], env);
    expect(table.stdout).toMatch(/^means +Fires whenever there is a pump\.failed event\. Calls/m);
  });

  test("knows the new text of a rule that is only moved, which is no change of the rule", async () => {
    const [before] = await tripline.automations.list({ names: ["pump failed"] });
    write("pump.yaml", `name: vent opened\ntrigger: {expect: [vent.opened]}\n---\n${pump}`);
    await checked(({ files }) => files[0]?.automations === 2);
    expect(await ruleOf("pump failed")).toMatchObject({ origin: "file", line: 4 });
    expect(await tripline.automations.list({ names: ["pump failed"] })).toEqual([before]);
  });

  test("says that the rules applied before remain in effect if the files have mistakes", async () => {
    write("pump.yaml", pump.replace("expect", "expcet"));
    const rules = await checked(({ in_effect }) => !in_effect);
    expect(rules.mistakes).toEqual([
      {
        file: join(folder, "pump.yaml"),
        line: 4,
        column: 3,
        message: expect.stringContaining("unknown key `expcet`"),
      },
    ]);
    expect(await ruleOf("vent opened")).toMatchObject({ origin: "file", line: 1 });
    expect(await ruleOf("pump failed")).toMatchObject({ origin: "file", line: 4 });
  });

  test("forgets the text of a rule that is gone, and the cases that are gone", async () => {
    rmSync(join(folder, "pump.test.yaml"));
    write("pump.yaml", pump);
    const { tests } = await checked(({ in_effect, files }) => in_effect && files[0]?.automations === 1);
    expect(tests).toBeNull();
    const connection = connect(redis.url);
    onTestFinished(() => connection.disconnect());
    expect(await connection.hlen("tl:{default}:rule-texts")).toBe(1);
  });

  test("sends the text with what tripline apply applies, also if nothing else has changed", async () => {
    const other = sandbox.write("vents.yaml", "# Vents.\nname: vent shut\ntrigger: {expect: [vent.shut]}\n");
    const env = { TRIPLINE_API_URL: server.api };
    expect((await sandbox.output(["apply", other], env)).stdout).toContain("1 to create");
    expect(await ruleOf("vent shut")).toMatchObject({ origin: "file", file: other, line: 1 });
    sandbox.write("vents.yaml", "\n# Vents!\nname: vent shut\ntrigger: {expect: [vent.shut]}\n");
    expect((await sandbox.output(["apply", other], env)).stdout).toContain("1 unchanged");
    const { yaml, line } = await ruleOf("vent shut");
    expect({ yaml: yaml.split("\n")[0], line }).toEqual({ yaml: "# Vents!", line: 2 });
  });
});

describe("the checks after a load", () => {
  let reports: RuleReport[];
  let warnings: string[];
  const logger = { warn: (_fields: object, message: string) => warnings.push(message) } as never;

  beforeEach(() => {
    reports = [];
    warnings = [];
  });

  function checksWith(options: { limitMs?: number; quietMs?: number } = {}) {
    const connection = connect(redis.url);
    const log = new Log(connection, "checks");
    const checks = new RuleChecks({
      log: {
        rules: Object.assign(Object.create(log.rules), {
          putTexts: (texts: never) => log.rules.putTexts(texts),
          putReport: async (report: RuleReport) => void reports.push(report),
        }),
      },
      workspace: "checks",
      paths: [folder],
      lateness: 0,
      logger,
      quietMs: 0,
      ...options,
    });
    onTestFinished(async () => {
      await checks.stop();
      log.close();
      connection.disconnect();
    });
    return checks;
  }

  const load = (text: string): LoadedRules => {
    write("pump.yaml", text);
    return loadRules([folder], { workspace: "checks", env: {}, now: 0 });
  };

  test("begin only when the server is ready, and then with the latest load", async () => {
    const checks = checksWith();
    checks.loaded(load("name: a\ntrigger: {expect: [a]}\n"), true);
    checks.loaded(load("name: b\ntrigger: {expect: [b]}\n---\nname: c\ntrigger: {expect: [c]}\n"), true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reports).toEqual([]);
    checks.start();
    await expect.poll(() => reports.length, { timeout: 10_000 }).toBe(2);
    expect(reports.map(({ pending, files }) => [pending, files[0]?.automations])).toEqual([
      [true, 2],
      [false, 2],
    ]);
    expect(reports[1]?.warnings.map(({ code }) => code)).toEqual(["TL503", "TL503"]);
  });

  test("of an older load end when there is a newer one", async () => {
    const checks = checksWith({ quietMs: 50 });
    checks.start();
    checks.loaded(load("name: a\ntrigger: {expect: [a]}\n"), true);
    await expect.poll(() => reports.length).toBe(1);
    checks.loaded(load("name: b\ntrigger: {expect: [b]}\n"), false);
    await expect.poll(() => reports.at(-1)?.pending === false, { timeout: 10_000 }).toBe(true);
    expect(reports.map(({ pending, in_effect }) => [pending, in_effect])).toEqual([
      [true, true],
      [true, false],
      [false, false],
    ]);
  });

  // A case may be endless, for all the server knows: it must not be busy with it forever.
  test("are ended after a while, and report what they have found so far", async () => {
    const checks = checksWith({ limitMs: 1 });
    checks.loaded(load("name: a\ntrigger: {expect: [a]}\n"), true);
    checks.start();
    await expect.poll(() => reports.length, { timeout: 10_000 }).toBe(2);
    expect(reports[1]).toMatchObject({ pending: false, warnings: [], tests: null });
    expect(warnings).toEqual(["Checking the rules takes too long; ended it"]);
  });

  test("report mistakes in case files, and run the other cases", async () => {
    write("pump.test.yaml", `${cases}  - name: a mistake\n    stpes: []\n    expect: []\n`);
    onTestFinished(() => rmSync(join(folder, "pump.test.yaml")));
    const checks = checksWith();
    checks.loaded(load(pump), true);
    checks.start();
    await expect.poll(() => reports.length, { timeout: 10_000 }).toBe(2);
    expect(reports[1]?.tests).toMatchObject({ passed: 1, failed: 1, mistakes: [{ line: 9 }] });
  });

  test("keep reports small, however much is wrong", async () => {
    const names = Array.from(
      { length: 3_000 },
      (_, index) => `name: rule ${index}\ntrigger: {}\nactions: []\n`,
    );
    const many = Array.from({ length: 300 }, (_, index) => `name: rule ${index}\ntriger: {}\n`);
    const checks = checksWith();
    checks.start();
    checks.loaded(load(names.join("---\n")), true);
    await expect.poll(() => reports.length, { timeout: 20_000 }).toBe(2);
    expect(reports[1]?.warnings).toHaveLength(1_000);
    expect(reports[1]?.left_out.warnings).toBeGreaterThan(1_000);
    checks.loaded(load(many.join("---\n")), false);
    await expect.poll(() => reports.length, { timeout: 20_000 }).toBe(4);
    expect(reports[3]?.mistakes).toHaveLength(200);
    expect(reports[3]?.left_out.mistakes).toBeGreaterThanOrEqual(100);
  });
});
