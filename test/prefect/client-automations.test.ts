/** Automations in Prefect's own client and command line, with only PREFECT_API_URL changed. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Listener, root } from "../cli/support.ts";
import { PrefectUser, prefectMissing, timeout, titled, versionOf } from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

const ruleFiles = [join(root, "rules"), join(import.meta.dirname, "greenhouse.yaml")];

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")}`, "prefect"), { timeout }, () => {
  let server: ContractServer;
  let user: PrefectUser;
  let listener: Listener;
  /** The destination of webhooks, which to Prefect is a block. */
  let destinationId: string;

  beforeAll(async () => {
    server = await ContractServer.start(["--rules", ruleFiles.join(",")]);
    user = new PrefectUser(server);
    listener = await server.sandbox.listen();
    const { body } = await server.post("/destinations", { name: "here", type: "webhook", url: listener.url });
    destinationId = (body as Json)["id"] as string;
  });

  afterAll(() => server.stop());

  const pumpAutomation = (name: string): Json => ({
    name,
    trigger: { posture: "Reactive", expect: ["pump.stopped"], threshold: 1, within: 0 },
    actions: [{ type: "call-webhook", block_document_id: destinationId, payload: "{{ event.id }}" }],
  });

  const named = async (name: string): Promise<Json[]> => {
    const { body } = await server.post("/automations/filter", { automations: { name: { any_: [name] } } });
    return body as Json[];
  };
  const idOf = async (name: string) => String((await named(name))[0]?.["id"]);

  const write = (name: string, text: string) => server.sandbox.write(name, text);

  /** An automation as users of Prefect write it. */
  const yamlOf = (name: string) => `name: ${name}
description: From a file
enabled: true
trigger:
  type: compound
  require: all
  within: 60
  triggers:
    - type: event
      posture: Reactive
      expect: [vent.opened]
      match: {prefect.resource.id: vent.*}
      for_each: [prefect.resource.id]
      threshold: 2
      within: 30
    - type: event
      posture: Proactive
      expect: [vent.shut]
      threshold: 1
      within: 90
actions:
  - type: do-nothing
  - {type: pause-automation, source: inferred}
  - {type: send-notification, block_document_id: ${destinationId}, subject: "{{ automation.name }}", body: hello}
`;

  test("creates the automations of a YAML or JSON file, one or several", async () => {
    const one = write("one.yaml", yamlOf("cli-yaml"));
    const several = write(
      "several.yml",
      `automations:\n${["cli-b", "cli-c"]
        .map((name) => yamlOf(name).replaceAll(/^/gm, "    ").replace(/^ {4}/, "  - ").trimEnd())
        .join("\n")}\n`,
    );
    const json = write("one.json", JSON.stringify(pumpAutomation("cli-json")));
    const invalid = {
      ...pumpAutomation("cli-invalid"),
      actions: [{ type: "call-webhook", block_document_id: destinationId, payload: "{{" }],
    };
    const mixed = write("mixed.json", JSON.stringify([invalid, pumpAutomation("cli-d")]));
    const printed = await Promise.all(
      [one, several, json].map((file) => user.prefect("automation", "create", "--from-file", file)),
    );
    expect(printed[0]).toContain(`Created automation 'cli-yaml' with id ${await idOf("cli-yaml")}`);
    expect(printed[1]).toContain("Created 2 automation(s)");
    expect(await named("cli-yaml")).toMatchObject([
      {
        description: "From a file",
        trigger: { type: "compound", triggers: [{ threshold: 2 }, { within: 90 }] },
      },
    ]);
    for (const name of ["cli-b", "cli-c", "cli-json"]) expect(await named(name)).toHaveLength(1);
    const { code, stdout } = await user.tryPrefect("automation", "create", "--from-file", mixed);
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/payload[\s\S]*cli-d/) });
    expect(await named("cli-invalid")).toEqual([]);
  });

  test("lists and inspects automations, including those of rule files", async () => {
    const { body } = await server.post("/automations/filter");
    const all = body as Json[];
    expect(all.length).toBeGreaterThan(9);
    const [ls, byName, byId, asJson, asYaml, unknown] = await Promise.all([
      user.prefect("automation", "ls"),
      user.prefect("automation", "inspect", "pump-reported"),
      user.prefect("automation", "inspect", "--id", await idOf("vents-and-pumps")),
      user.prefect("automation", "inspect", "pump-checked", "--json"),
      user.prefect("automation", "inspect", "cli-yaml", "--yaml"),
      user.tryPrefect("automation", "inspect", "nobody"),
    ]);
    for (const { name, id } of all) {
      expect(ls).toContain(String(name));
      expect(ls).toContain(String(id));
    }
    expect(byName).toMatch(/SendNotification[\s\S]*CallWebhook/);
    expect(byName).not.toContain("hush");
    expect(byId).toMatch(/CompoundTrigger[\s\S]*SequenceTrigger[\s\S]*PauseAutomation/);
    expect(JSON.parse(asJson)).toMatchObject([{ name: "pump-checked", trigger: { within: 7_200 } }]);
    expect(asYaml).toContain("description: From a file");
    expect(unknown).toMatchObject({ code: 1, stdout: expect.stringContaining("not found") });
  });

  test("pauses and resumes by name and by id, even an automation of a rule file", async () => {
    const enabled = async () =>
      [...(await named("cli-json")), ...(await named("pump-reported"))].map((a) => a["enabled"]);
    const fromFile = await idOf("pump-reported");
    const printed = await Promise.all([
      user.prefect("automation", "pause", "cli-json"),
      user.prefect("automation", "pause", "--id", fromFile),
    ]);
    expect(printed[0]).toContain("Paused automation");
    expect(await enabled()).toEqual([false, false]);
    await Promise.all([
      user.prefect("automation", "resume", "--id", await idOf("cli-json")),
      user.prefect("automation", "resume", "pump-reported"),
    ]);
    expect(await enabled()).toEqual([true, true]);
  });

  test("updates what the file contains, keeps the rest, and says where to change the automation of a rule file", async () => {
    const id = await idOf("cli-yaml");
    const file = write(
      "update.yaml",
      yamlOf("cli-yaml")
        .replace("within: 60", "within: 45")
        .replace(/enabled.*\n/, ""),
    );
    await server.call("PATCH", `/automations/${id}`, { json: { enabled: false } });
    const fromFile = await idOf("pump-reported");
    const [, refused, deletion] = await Promise.all([
      user.prefect("automation", "update", "--id", id, "--from-file", file),
      user.tryPrefect("automation", "update", "--id", fromFile, "--from-file", file),
      user.tryPrefect("automation", "delete", "--id", fromFile),
    ]);
    expect(await named("cli-yaml")).toMatchObject([{ id, enabled: false, trigger: { within: 45 } }]);
    for (const { code, stdout, stderr } of [refused, deletion]) {
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/409[\s\S]*is defined in .*greenhouse\.yaml[\s\S]*change it there/);
    }
    expect(await named("pump-reported")).toHaveLength(1);
  });

  test("deletes by name and by id, but nothing if several have the name", async () => {
    await server.post("/automations/", pumpAutomation("twice"));
    await server.post("/automations/", pumpAutomation("twice"));
    const [, , twice] = await Promise.all([
      user.prefect("automation", "delete", "cli-b"),
      user.prefect("automation", "delete", "--id", await idOf("cli-c")),
      user.tryPrefect("automation", "delete", "twice"),
    ]);
    expect(await named("cli-b")).toEqual([]);
    expect(await named("cli-c")).toEqual([]);
    expect(twice).toMatchObject({ code: 1, stdout: expect.stringContaining("--id") });
    expect(await named("twice")).toHaveLength(2);
  });

  test("creates, changes and deletes automations in Python, which fire for events emitted in Python", async () => {
    const seen = JSON.parse(await user.program("automations.py", "pump.halted", destinationId));
    expect(seen).toEqual({
      created: true,
      same: true,
      trigger: {
        type: "event",
        match: { "prefect.resource.id": "pump.*" },
        match_related: [{ "prefect.resource.role": "line" }],
        after: [],
        expect: ["pump.halted"],
        for_each: ["prefect.resource.id"],
        posture: "Reactive",
        threshold: 1,
        within: 0,
      },
      changed: ["changed in Python", ["python"], true],
      disabled: [true, false],
      enabled: [true, true],
      nested: ["all", 60, ["EventTrigger", "SequenceTrigger"], 90],
      unchanged: null,
      deleted: [true, false, false],
    });
    await user.program("emit.py", "pump.halted", "3");
    const deliveries = await listener.until(({ length }) => length >= 3);
    expect(
      deliveries
        .map(({ body }) => body)
        .sort((a, b) => (String(a["stopped"]) < String(b["stopped"]) ? -1 : 1)),
    ).toEqual([0, 1, 2].map((number) => ({ stopped: `pump.${number}`, automation: "python pump.halted" })));
  });

  test("deletes all automations, and creates them again from the file that the program in docs/prefect.md wrote", async () => {
    const other = await ContractServer.start();
    try {
      const otherUser = new PrefectUser(other);
      for (let count = 0; count < 11; count += 1) {
        const trigger = { type: "sequence", within: 90, triggers: [{ expect: ["never"], within: 5 }] };
        const automation = {
          name: `a${count}`,
          tags: ["a"],
          enabled: false,
          trigger,
          actions: [{ type: "do-nothing" }],
        };
        await other.post("/automations/", automation);
      }
      const storedAutomations = async () =>
        ((await other.post("/automations/filter")).body as Json[]).map(
          ({ id, trigger, created, updated, ...rest }) => ({
            ...rest,
            trigger: JSON.stringify(trigger).replaceAll(/"id":"[^"]*",/g, ""),
          }),
        );
      const before = await storedAutomations();
      const document = readFileSync(join(root, "docs", "prefect.md"), "utf8");
      const [, program = ""] = /```python\n([\s\S]*?)```/.exec(document) ?? [];
      const exported = other.sandbox.write(
        "all.json",
        await otherUser.runFile(other.sandbox.write("export.py", program)),
      );
      expect(await otherUser.prefect("automation", "delete", "--all")).toContain("Deleted 11 automations");
      expect(await storedAutomations()).toEqual([]);
      await otherUser.prefect("automation", "create", "--from-file", exported);
      expect(await storedAutomations()).toEqual(before);
    } finally {
      await other.stop();
    }
  });

  test("learns what to do instead of a metric trigger", async () => {
    const printed = await user.program("metric_trigger.py");
    expect(printed).toContain("422");
    expect(printed).toContain("Metric triggers do not exist here");
  });

  test("causes no errors in the log of the server", () => {
    const errors = server.server.process.stdout
      .split("\n")
      .filter((line) => /"level":"(?:error|fatal)"/.test(line));
    expect(errors).toEqual([]);
  });
});
