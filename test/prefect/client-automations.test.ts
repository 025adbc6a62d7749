/** Prefect's own client and command line, with one setting changed: automations. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Listener, root } from "../cli/support.ts";
import { PrefectUser, prefectMissing, titled, versionOf } from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

const ruleFiles = [join(root, "rules"), join(import.meta.dirname, "greenhouse.yaml")];

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")} and automations`, "prefect"), () => {
  let server: ContractServer;
  let user: PrefectUser;
  let listener: Listener;
  /** What a block is to Prefect: where webhooks go. */
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

  /** As a person would write it for Prefect. */
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

  test("a file of automations, YAML or JSON, of one or several, is created", async () => {
    const one = write("one.yaml", yamlOf("cli-yaml"));
    const several = write(
      "several.yml",
      `automations:\n${["cli-b", "cli-c"]
        .map((name) => yamlOf(name).replaceAll(/^/gm, "    ").replace(/^ {4}/, "  - ").trimEnd())
        .join("\n")}\n`,
    );
    const json = write("one.json", JSON.stringify(pumpAutomation("cli-json")));
    const wrong = {
      ...pumpAutomation("cli-wrong"),
      actions: [{ type: "call-webhook", block_document_id: destinationId, payload: "{{" }],
    };
    const mixed = write("mixed.json", JSON.stringify([wrong, pumpAutomation("cli-d")]));
    const said = await Promise.all(
      [one, several, json].map((file) => user.done("automation", "create", "--from-file", file)),
    );
    expect(said[0]).toContain(`Created automation 'cli-yaml' with id ${await idOf("cli-yaml")}`);
    expect(said[1]).toContain("Created 2 automation(s)");
    expect(await named("cli-yaml")).toMatchObject([
      {
        description: "From a file",
        trigger: { type: "compound", triggers: [{ threshold: 2 }, { within: 90 }] },
      },
    ]);
    for (const name of ["cli-b", "cli-c", "cli-json"]) expect(await named(name)).toHaveLength(1);
    const { code, stdout } = await user.prefect("automation", "create", "--from-file", mixed);
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/payload[\s\S]*cli-d/) });
    expect(await named("cli-wrong")).toEqual([]);
  });

  test("all that there are, from files and from elsewhere, can be listed and inspected", async () => {
    const { body } = await server.post("/automations/filter");
    const all = body as Json[];
    expect(all.length).toBeGreaterThan(9);
    const [ls, byName, byId, asJson, asYaml, unknown] = await Promise.all([
      user.done("automation", "ls"),
      user.done("automation", "inspect", "pump-told-on"),
      user.done("automation", "inspect", "--id", await idOf("vents-and-pumps")),
      user.done("automation", "inspect", "pump-checked", "--json"),
      user.done("automation", "inspect", "cli-yaml", "--yaml"),
      user.prefect("automation", "inspect", "nobody"),
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

  test("pause and resume, by name and by id, also of an automation from a file", async () => {
    const enabled = async () =>
      [...(await named("cli-json")), ...(await named("pump-told-on"))].map((a) => a["enabled"]);
    const fromFile = await idOf("pump-told-on");
    const said = await Promise.all([
      user.done("automation", "pause", "cli-json"),
      user.done("automation", "pause", "--id", fromFile),
    ]);
    expect(said[0]).toContain("Paused automation");
    expect(await enabled()).toEqual([false, false]);
    await Promise.all([
      user.done("automation", "resume", "--id", await idOf("cli-json")),
      user.done("automation", "resume", "pump-told-on"),
    ]);
    expect(await enabled()).toEqual([true, true]);
  });

  test("update replaces what the file says and keeps the rest; a rule file's automation says where to change it", async () => {
    const id = await idOf("cli-yaml");
    const file = write(
      "update.yaml",
      yamlOf("cli-yaml")
        .replace("within: 60", "within: 45")
        .replace(/enabled.*\n/, ""),
    );
    await server.call("PATCH", `/automations/${id}`, { json: { enabled: false } });
    const fromFile = await idOf("pump-told-on");
    const [, refused, deletion] = await Promise.all([
      user.done("automation", "update", "--id", id, "--from-file", file),
      user.prefect("automation", "update", "--id", fromFile, "--from-file", file),
      user.prefect("automation", "delete", "--id", fromFile),
    ]);
    expect(await named("cli-yaml")).toMatchObject([{ id, enabled: false, trigger: { within: 45 } }]);
    for (const { code, stdout, stderr } of [refused, deletion]) {
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/409[\s\S]*is defined in .*greenhouse\.yaml[\s\S]*change it there/);
    }
    expect(await named("pump-told-on")).toHaveLength(1);
  });

  test("delete, by name and by id; of several by the same name none", async () => {
    await server.post("/automations/", pumpAutomation("twice"));
    await server.post("/automations/", pumpAutomation("twice"));
    const [, , twice] = await Promise.all([
      user.done("automation", "delete", "cli-b"),
      user.done("automation", "delete", "--id", await idOf("cli-c")),
      user.prefect("automation", "delete", "twice"),
    ]);
    expect(await named("cli-b")).toEqual([]);
    expect(await named("cli-c")).toEqual([]);
    expect(twice).toMatchObject({ code: 1, stdout: expect.stringContaining("--id") });
    expect(await named("twice")).toHaveLength(2);
  });

  test("an automation written in Python lives as it should, and fires on events emitted in Python", async () => {
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
    ).toEqual([0, 1, 2].map((number) => ({ stopped: `pump.${number}`, of: "python pump.halted" })));
  });

  test("the program of docs/prefect.md writes a file that create takes, and delete --all leaves none", async () => {
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
      const shown = async () =>
        ((await other.post("/automations/filter")).body as Json[]).map(
          ({ id, trigger, created, updated, ...rest }) => ({
            ...rest,
            trigger: JSON.stringify(trigger).replaceAll(/"id":"[^"]*",/g, ""),
          }),
        );
      const before = await shown();
      const document = readFileSync(join(root, "docs", "prefect.md"), "utf8");
      const [, program = ""] = /```python\n([\s\S]*?)```/.exec(document) ?? [];
      const exported = other.sandbox.write(
        "all.json",
        await otherUser.runFile(other.sandbox.write("export.py", program)),
      );
      expect(await otherUser.done("automation", "delete", "--all")).toContain("Deleted 11 automations");
      expect(await shown()).toEqual([]);
      await otherUser.done("automation", "create", "--from-file", exported);
      expect(await shown()).toEqual(before);
    } finally {
      await other.stop();
    }
  });

  test("nothing of this made the server complain", () => {
    const complaints = server.server.process.stdout
      .split("\n")
      .filter((line) => /"level":"(?:error|fatal)"/.test(line));
    expect(complaints).toEqual([]);
  });
});
