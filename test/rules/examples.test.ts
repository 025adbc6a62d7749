/** The automations of rules/ as a newcomer runs them: without settings, on the events that their comments describe. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { rulesSchemaText } from "../../scripts/write-schema.ts";
import { actionEvent, firingEvent, invocationsOf } from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import type { CallWebhookDefinition } from "../../src/core/model/action.ts";
import { EventSchema, eventOf, type WireEvent } from "../../src/core/model/event.ts";
import { formatTime, hour, type Micros, minute, parseTime, second } from "../../src/core/model/time.ts";
import { loadRules } from "../../src/rules/load.ts";
import { Renderer } from "../../src/templates/renderer.ts";
import { loadOptions } from "./support.ts";

const root = join(import.meta.dirname, "../..");
const { automations, diagnostics } = loadRules(["rules"], { ...loadOptions, cwd: root });
const start = parseTime("2026-03-02T00:00:00Z")!;

interface SentWebhook {
  readonly automation: string;
  readonly state: string;
  readonly offset: Micros;
  readonly url: string;
  readonly payload: unknown;
}

/** A server with its log and its actions, in virtual time. Every webhook is answered with 404. */
class World {
  readonly #core = new Core();
  readonly #sent: SentWebhook[] = [];
  #entryCount = 0;

  constructor() {
    for (const automation of automations) {
      this.#core.apply({ kind: "automation-put", ...this.#place(0), automation });
    }
  }

  happens(
    offset: Micros,
    name: string,
    resource: string,
    { run, payload = {} }: { run?: string; payload?: object } = {},
  ): void {
    const id = `00000000-0000-4000-8000-${String(this.#entryCount).padStart(12, "0")}`;
    const labels = { "prefect.resource.id": resource, ...(run === undefined ? {} : { run }) };
    const occurred = formatTime(start + offset);
    const fields = { occurred, event: name, resource: labels, related: [], payload, id, follows: null };
    this.#apply(offset, EventSchema.parse(fields));
  }

  /** The webhooks that one automation sent, or all of them. */
  sent(automation?: string): SentWebhook[] {
    return this.#sent.filter((webhook) => automation === undefined || webhook.automation === automation);
  }

  wait(until: Micros): void {
    this.#core.advance(start + until);
    this.#run(until);
  }

  #apply(offset: Micros, wire: WireEvent, lineage: readonly string[] = []): void {
    const place = this.#place(offset);
    this.#core.apply({ kind: "event", ...place, event: eventOf(wire, place.received, lineage) });
    this.#run(offset);
  }

  #run(offset: Micros): void {
    for (const firing of this.#core.drain().firings) {
      const { lineage } = firing;
      this.#apply(offset, firingEvent(firing), lineage);
      for (const invocation of invocationsOf(firing)) {
        const action = invocation.action as CallWebhookDefinition;
        const renderer = new Renderer(invocation);
        const [automation, url] = [firing.automation.name, renderer.text(action.url ?? "")];
        const payload = renderer.tree(action.payload, "payload", ({ reason }) => expect.fail(reason));
        this.#sent.push({ automation, state: firing.state, offset: firing.triggered - start, url, payload });
        this.#apply(offset, actionEvent(invocation, "triggered", firing.triggered), lineage);
        const result = { reason: "answered 404" };
        this.#apply(offset, actionEvent(invocation, "failed", firing.triggered, result), lineage);
      }
    }
  }

  #place(offset: Micros): { position: string; received: Micros } {
    return { position: `${++this.#entryCount}-0`, received: start + offset };
  }
}

const listenUrl = "http://127.0.0.1:4300/";

describe("the automations of rules/", () => {
  test("are valid without any settings, and each file points editors to the schema", () => {
    expect(diagnostics).toEqual([]);
    expect(automations.length).toBeGreaterThanOrEqual(6);
    for (const file of readdirSync(join(root, "rules")).filter((name) => name.endsWith(".yaml"))) {
      const [firstLine] = readFileSync(join(root, "rules", file), "utf8").split("\n");
      if (!file.endsWith(".test.yaml"))
        expect(firstLine).toBe("# yaml-language-server: $schema=tripline.schema.json");
    }
  });

  test("include job-failed, which reports a failed job at once, with its reason", () => {
    const world = new World();
    world.happens(minute, "job.failed", "job.invoices", { payload: { reason: "disk full" } });
    world.happens(2 * minute, "job.failed", "job.invoices");
    expect(
      world.sent("job-failed").map(({ automation, offset, url }) => ({ automation, offset, url })),
    ).toEqual([
      { automation: "job-failed", offset: minute, url: listenUrl },
      { automation: "job-failed", offset: 2 * minute, url: listenUrl },
    ]);
    expect(world.sent("job-failed")[0]?.payload).toEqual({
      message: "job.invoices failed: disk full",
      job: "job.invoices",
      occurred: "2026-03-02T00:01:00Z",
      event: expect.stringMatching(/^0{8}-/),
    });
    expect(world.sent("job-failed")[1]?.payload).toMatchObject({
      message: "job.invoices failed: no reason given",
    });
  });

  test("include daily-job-unfinished, which reports a backup that is missing at six, and its late completion", () => {
    const world = new World();
    world.happens(3 * hour, "job.completed", "job.nightly-backup");
    world.wait(24 * hour);
    expect(world.sent("daily-job-unfinished")).toEqual([]);
    world.wait(31 * hour);
    world.happens(32 * hour, "job.completed", "job.nightly-backup");
    expect(world.sent("daily-job-unfinished")).toMatchObject([
      {
        automation: "daily-job-unfinished",
        offset: 30 * hour + 5 * second,
        payload: {
          message:
            "job.nightly-backup was not completed between 2026-03-03T02:00:00Z and 2026-03-03T06:00:00Z",
        },
      },
      {
        state: "Resolved",
        offset: 32 * hour,
        payload: { message: "job.nightly-backup was completed at 2026-03-03T08:00:00Z, after all" },
      },
    ]);
  });

  test("include service-silent, which reports each service whose heartbeats stop, once, and its return", () => {
    const world = new World();
    for (let offset = 0; offset <= minute; offset += 10 * second) {
      world.happens(offset, "service.heartbeat", "service.shop");
      if (offset <= 20 * second) world.happens(offset, "service.heartbeat", "service.mail");
    }
    world.happens(61 * second, "service.heartbeat", "service.shop");
    world.wait(80 * second);
    world.happens(80 * second, "service.heartbeat", "service.shop");
    world.happens(100 * second, "service.heartbeat", "service.mail");
    expect(world.sent("service-silent")).toMatchObject([
      {
        automation: "service-silent",
        state: "Triggered",
        offset: 55 * second, // its last heartbeat + 30 s, and the lateness
        payload: {
          message: "service.mail is silent",
          last_heartbeat: "2026-03-02T00:00:20Z",
          noticed: "2026-03-02T00:00:55Z",
        },
      },
      { state: "Resolved", offset: 100 * second, payload: { message: "service.mail is back" } },
    ]);
  });

  test("include error-burst, which reports five errors of one service within a minute, once", () => {
    const world = new World();
    for (let count = 0; count < 8; count++) {
      world.happens(count * 5 * second, "service.error", "service.shop", {
        payload: { message: `error ${count}` },
      });
      world.happens(count * 5 * second, "service.error", `service.other-${count}`);
    }
    expect(world.sent("error-burst")).toMatchObject([
      {
        automation: "error-burst",
        offset: 20 * second,
        payload: { message: "service.shop reported 5 errors within a minute", last_error: "error 4" },
      },
    ]);
  });

  test("include run-stuck, which reports a run that has not ended within an hour, and its end", () => {
    const world = new World();
    world.happens(0, "job.started", "job.invoices", { run: "1" });
    world.happens(minute, "job.started", "job.invoices", { run: "2" });
    world.happens(30 * minute, "job.completed", "job.invoices", { run: "1" });
    world.happens(40 * minute, "job.started", "job.reports");
    world.happens(50 * minute, "job.completed", "job.reports");
    world.wait(1.9 * hour);
    world.happens(1.95 * hour, "job.completed", "job.invoices", { run: "2" });
    expect(world.sent("run-stuck")).toMatchObject([
      {
        automation: "run-stuck",
        offset: hour + minute + 5 * second,
        payload: {
          message: "job.invoices, run 2, has not ended within an hour",
          started: "2026-03-02T00:01:00Z",
        },
      },
      { state: "Resolved", payload: { message: "job.invoices, run 2, has ended: job.completed" } },
    ]);
  });

  test("include webhook-failed, which reports another automation's failed webhook, but not its own", () => {
    const world = new World();
    world.happens(0, "job.failed", "job.invoices");
    world.wait(hour);
    expect(world.sent().map(({ automation }) => automation)).toEqual(["job-failed", "webhook-failed"]);
    expect(world.sent()[1]).toMatchObject({
      url: `${listenUrl}fallback`,
      payload: { message: "A webhook of job-failed could not be delivered: answered 404" },
    });
  });
});

describe("the JSON Schema of the rules", () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile(
    JSON.parse(rulesSchemaText()),
  );

  test("is up to date (npm run schema)", () => {
    expect(readFileSync(join(root, "rules/tripline.schema.json"), "utf8")).toBe(rulesSchemaText());
  });

  test("accepts every automation of rules/", () => {
    for (const file of readdirSync(join(root, "rules")).filter((name) => /(?<!\.test)\.yaml$/.test(name))) {
      for (const document of parseAllDocuments(readFileSync(join(root, "rules", file), "utf8"))) {
        validate(document.toJS());
        expect(validate.errors ?? []).toEqual([]);
      }
    }
  });

  test.each<[says: "accepts" | "refuses", what: string, rule: unknown]>([
    ["accepts", "a list", { automations: [{ name: "a", trigger: {} }] }],
    [
      "accepts",
      "references in place of other values than text",
      { name: "a", enabled: "${env.ON}", trigger: { threshold: "${env.N:-3}", posture: "${env.P}" } },
    ],
    [
      "accepts",
      "composite triggers",
      {
        name: "a",
        trigger: {
          type: "compound",
          within: null,
          require: 1,
          triggers: [{ expect: ["x"] }, { type: "sequence", within: "5m", triggers: [{}] }],
        },
      },
    ],
    [
      "accepts",
      "both ways to name an automation",
      {
        name: "a",
        trigger: {},
        actions: [
          { type: "pause-automation", automation: "b" },
          { type: "resume-automation", automation_id: "ABCDEFAB-0000-4000-8000-000000000000" },
        ],
      },
    ],
    ["refuses", "an unknown key", { name: "a", trigger: {}, colour: "red" }],
    ["refuses", "an unknown key of an event trigger without type", { name: "a", trigger: { threshhold: 1 } }],
    [
      "refuses",
      "an unknown key of a nested trigger",
      { name: "a", trigger: { type: "sequence", within: 5, triggers: [{ posture: "Reactive", x: 1 }] } },
    ],
    [
      "refuses",
      "a key of another trigger's type",
      { name: "a", trigger: { type: "sequence", within: 5, triggers: [{}], require: 1 } },
    ],
    ["refuses", "an action without type", { name: "a", trigger: {}, actions: [{ url: "http://x/" }] }],
    [
      "refuses",
      "an action without what it needs",
      { name: "a", trigger: {}, actions: [{ type: "call-webhook" }] },
    ],
    [
      "refuses",
      "an unknown type",
      { name: "a", trigger: {}, actions: [{ type: "call-webhok", url: "http://x/" }] },
    ],
    ["refuses", "a word in place of a number", { name: "a", trigger: { threshold: "many" } }],
    ["refuses", "a mistake inside a list", { automations: [{ name: "a" }] }],
    [
      "accepts",
      "a list of destinations",
      { destinations: [{ name: "a", type: "slack", url: "https://x/" }] },
    ],
    ["accepts", "a destination", { name: "a", type: "discord", url: "${env.URL}" }],
    ["refuses", "a destination of another type", { destinations: [{ name: "a", type: "pigeon" }] }],
    ["refuses", "a destination without an address", { name: "a", type: "slack" }],
    ["accepts", "a hook whose template is a text", { hooks: [{ name: "a", template: "{}" }] }],
    [
      "accepts",
      "a hook whose template is a mapping",
      {
        hooks: [
          {
            name: "a",
            signature: { type: "slack", secret: "${env.SECRET}", tolerance: "1m" },
            template: [{ event: "b", resource: { "prefect.resource.id": "c" }, payload: "{{ body }}" }],
          },
        ],
      },
    ],
    ["refuses", "a hook without a template", { hooks: [{ name: "a" }] }],
    [
      "refuses",
      "a hook with a signature of another type",
      { hooks: [{ name: "a", template: "{}", signature: { type: "pigeon", secret: "b" } }] },
    ],
    ["refuses", "a hook whose event has no name", { hooks: [{ name: "a", template: { resource: {} } }] }],
    ["accepts", "the former name of hooks", { webhooks: [{ name: "a", template: "{}" }] }],
    ["refuses", "a key next to a list", { automations: [], name: "a" }],
  ])("%s %s", (says, _what, rule) => {
    expect(validate(rule) ? "accepts" : "refuses").toBe(says);
  });

  test("describes every key that a person writes", () => {
    const undescribed: string[] = [];
    const schemaOfRules = JSON.parse(rulesSchemaText());
    const definitions: Record<string, { description?: string }> = schemaOfRules.$defs;
    const look = (part: unknown, path: string): void => {
      if (typeof part !== "object" || part === null) return;
      const { properties } = part as {
        properties?: Record<string, { description?: string; const?: unknown }>;
      };
      const isCondition = path.includes(".if");
      for (const [key, schema] of Object.entries(properties ?? {})) {
        const named = "$ref" in schema ? String(schema["$ref"]).replace("#/$defs/", "") : "";
        const isDescribedThere = named === "Triggers" || definitions[named]?.description !== undefined;
        if (schema.description === undefined && !isDescribedThere && key !== "type" && !isCondition)
          undescribed.push(`${path} ${key}`);
      }
      for (const [key, child] of Object.entries(part)) look(child, `${path}.${key}`);
    };
    look(schemaOfRules, "");
    expect(undescribed).toEqual([]);
  });
});
