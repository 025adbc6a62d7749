/** The text and the words of automations, and what is found in rules, over HTTP. test/cli tests files that a server watches. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Tripline } from "../../../src/client/index.ts";
import type { RuleReport } from "../../../src/core/model/rule-report.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;
let tripline: Tripline;

beforeAll(async () => {
  api = await startApi();
  tripline = new Tripline({ url: `${api.url}/api` });
});

afterAll(() => api.stop());

beforeEach(() => api.connection.flushall());

const secret = "hush-0123456789";
const webhook = { type: "call-webhook", url: "https://grower:p4ss@example.org/", secret } as const;
const pumpQuiet = {
  name: "Pump went quiet",
  trigger: { posture: "Proactive", expect: ["pump.beat"], for_each: ["pump"], within: "90s" },
  actions: [webhook],
} as const;

const text = { yaml: "# Pumps leak.\nname: Vents\ntrigger: {expect: [vent.opened]}\n", line: 7 };
const ventRule = {
  definition: { name: "Vents", trigger: { expect: ["vent.opened"] } },
  file: "rules/vents.yaml",
};

async function apply(...automations: Parameters<Tripline["automations"]["apply"]>[0]["automations"]) {
  await tripline.automations.apply({ automations });
  const [vents] = await tripline.automations.list({ names: ["Vents"] });
  return vents?.id ?? "";
}

describe("the text of an automation", () => {
  test("is made from its definition, without secrets, if it comes from no file", async () => {
    const { id } = await tripline.automations.create(pumpQuiet);
    expect(await tripline.automations.rule(id)).toEqual({
      yaml: `name: Pump went quiet
trigger:
  posture: Proactive
  expect: [pump.beat]
  for_each: [pump]
  within: 1m30s
actions:
  - type: call-webhook
    url: https://…@example.org/
    secret: "********"
`,
      origin: "definition",
      file: null,
      line: null,
      words: {
        summary: "Fires when 1 minute 30 seconds pass without a pump.beat event, for each pump.",
        details: expect.arrayContaining([expect.stringContaining("does not count")]),
        actions: ["Calls https://…@example.org/, with a signature."],
        actions_on_resolve: [],
      },
    });
  });

  test("is that of the file from which it was applied, until its definition changes", async () => {
    const id = await apply({ ...ventRule, text });
    expect(await tripline.automations.rule(id)).toMatchObject({
      ...text,
      origin: "file",
      file: "rules/vents.yaml",
      words: { summary: "Fires whenever there is a vent.opened event." },
    });
    await tripline.automations.pause(id);
    expect(await tripline.automations.rule(id)).toMatchObject({ origin: "file" });
    await tripline.automations.update(id, {
      ...ventRule.definition,
      actions: [],
      description: "Edited.",
    });
    expect(await tripline.automations.rule(id)).toMatchObject({
      yaml: expect.stringContaining("description: Edited."),
      origin: "definition",
      file: "rules/vents.yaml",
      line: null,
    });
  });

  // Otherwise a comment above a rule would reset nothing, but change all rules below it, and say so in their events.
  test("is no part of the automation: another comment or line changes nothing but the text", async () => {
    const id = await apply({ ...ventRule, text });
    const before = await tripline.automations.get(id);
    const position = await api.log.lastPosition();
    const shifted = { yaml: `# More.\n${text.yaml}`, line: 8 };
    await apply({ ...ventRule, text: shifted });
    expect(await tripline.automations.rule(id)).toMatchObject({ ...shifted, origin: "file" });
    expect(await tripline.automations.get(id)).toEqual(before);
    expect(await api.log.lastPosition()).toBe(position);
  });

  test("is optional, and a dry run does not keep it", async () => {
    const id = await apply(ventRule);
    expect(await tripline.automations.rule(id)).toMatchObject({
      origin: "definition",
      file: "rules/vents.yaml",
    });
    await tripline.automations.apply({ automations: [{ ...ventRule, text }], dry_run: true });
    expect(await tripline.automations.rule(id)).toMatchObject({ origin: "definition" });
  });

  test("holds no secret, even if a client sends one in it", async () => {
    const yaml = `name: Vents\n# ${secret}, https://grower:p4ss@example.org/\nactions: [{secret: ${secret}}]\n`;
    const definition = { ...ventRule.definition, actions: [{ ...webhook, secret: "${env.KEY}" }] };
    const id = await apply({ ...ventRule, definition, secrets: { KEY: secret }, text: { yaml, line: 1 } });
    const rule = await tripline.automations.rule(id);
    expect(rule.origin).toBe("file");
    expect(JSON.stringify(rule)).not.toMatch(/hush|p4ss/);
    expect(await api.connection.hgetall("tl:{default}:rule-texts")).toEqual({
      [id]: expect.not.stringMatching(/hush|p4ss/),
    });
  });

  test("is deleted with the automation, and never kept for one that does not exist", async () => {
    const id = await apply({ ...ventRule, text });
    expect(await api.connection.hlen("tl:{default}:rule-texts")).toBe(1);
    await tripline.automations.delete(id);
    expect(await api.connection.hlen("tl:{default}:rule-texts")).toBe(0);
    const stored = { ...text, file: "rules/vents.yaml", definition: "none" };
    await api.log.rules.putTexts(new Map([[id, stored]]));
    expect(await api.connection.hlen("tl:{default}:rule-texts")).toBe(0);
  });

  test("is refused if it is too long", async () => {
    const yaml = "x".repeat(70_000);
    await expect(apply({ ...ventRule, text: { yaml, line: 1 } })).rejects.toThrow(/65536|65,536/);
  });

  test("is not found for an unknown automation", async () => {
    await expect(tripline.automations.rule("00000000-0000-4000-8000-000000000001")).rejects.toMatchObject({
      status: 404,
    });
  });
});

describe("what is found in rules", () => {
  const report: RuleReport = {
    checked: "2026-03-01T09:30:00Z",
    in_effect: false,
    pending: false,
    paths: ["rules"],
    files: [{ file: "rules/pumps.yaml", automations: 2 }],
    mistakes: [{ file: "rules/pumps.yaml", line: 2, column: 1, message: "unknown key" }],
    warnings: [],
    tests: null,
    left_out: { files: 0, mistakes: 0, warnings: 3 },
  };

  test("is nothing if there are no rules", async () => {
    expect(await tripline.automations.rules()).toEqual({
      checked: null,
      in_effect: true,
      pending: false,
      paths: [],
      files: [],
      mistakes: [],
      warnings: [],
      tests: null,
      left_out: { files: 0, mistakes: 0, warnings: 0 },
    });
  });

  test("is what the server that watches them has reported, and warnings about automations of the API", async () => {
    const warning = { file: "rules/pumps.yaml", line: 3, column: 1, code: "TL401", reason: "a", fix: "b" };
    const ofFiles = { ...report, warnings: [{ ...warning, automation: null }] };
    await api.log.rules.putReport(ofFiles);
    expect(await tripline.automations.rules()).toEqual(ofFiles);
    await tripline.automations.create({ name: "Nothing", trigger: {}, actions: [] });
    const { warnings, ...rest } = await tripline.automations.rules();
    expect(ofFiles).toMatchObject(rest);
    expect(warnings.map(({ code, automation }) => [code, automation?.name])).toEqual([
      ["TL401", undefined],
      ["TL503", "Nothing"],
      ["TL201", "Nothing"],
    ]);
  });

  test("names the place of a warning in the YAML that is made from the definition", async () => {
    const { id } = await tripline.automations.create({
      name: "Pause nobody",
      trigger: { expect: ["pump.failed"] },
      actions: [{ type: "pause-automation", automation: "Nobody" }],
    });
    const { warnings } = await tripline.automations.rules();
    expect(warnings).toEqual([
      expect.objectContaining({
        code: "TL603",
        file: null,
        line: 6,
        automation: { id, name: "Pause nobody" },
      }),
    ]);
    const { yaml } = await tripline.automations.rule(id);
    expect(yaml.split("\n")[5]).toContain("Nobody");
  });

  test("changes with the automations, and with comments that silence a warning", async () => {
    const definition = {
      ...ventRule.definition,
      actions: [{ type: "pause-automation", automation: "Nobody" }],
    };
    const lines = (comment: string) =>
      `name: Vents\ntrigger: {expect: [vent.opened]}\nactions:\n  - type: pause-automation\n${comment}    automation: Nobody\n`;
    const warnings = async () => (await tripline.automations.rules()).warnings;
    await apply({ ...ventRule, definition, text: { yaml: lines(""), line: 11 } });
    expect(await warnings()).toMatchObject([
      { code: "TL603", file: "rules/vents.yaml", line: 15, column: 17 },
    ]);
    const silenced = lines("    # tripline-ignore TL603: comes later\n");
    await apply({ ...ventRule, definition, text: { yaml: silenced, line: 11 } });
    expect(await warnings()).toEqual([]);
    await apply({ ...ventRule, definition, text: { yaml: lines(""), line: 12 } });
    expect(await warnings()).toMatchObject([{ line: 16 }]);
    await tripline.automations.create({
      name: "Nobody",
      trigger: { expect: ["pump.failed"] },
      actions: [{ type: "do-nothing" }],
    });
    expect(await warnings()).toEqual([]);
  });

  test("is found once for many who ask", async () => {
    await tripline.automations.create({ ...pumpQuiet, actions: [] });
    const all = await Promise.all(Array.from({ length: 5 }, () => tripline.automations.rules()));
    expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(all[0]?.warnings).toMatchObject([{ code: "TL503" }]);
  });

  // The text of an item may refer to an anchor elsewhere in its file, and cannot be read alone.
  test("falls back to the definition where a text cannot be read", async () => {
    const definition = {
      ...ventRule.definition,
      actions: [{ type: "pause-automation", automation: "Nobody" }],
    };
    await apply({ ...ventRule, definition, text: { yaml: "name: Vents\ntrigger: *vents\n", line: 3 } });
    expect((await tripline.automations.rules()).warnings).toMatchObject([{ code: "TL603", file: null }]);
  });
});
