/** Automations written as YAML: read again, they are the same. */

import { describe, expect, test } from "vitest";
import { actionLists } from "../../src/core/model/automation.ts";
import { definitionIdOf } from "../../src/core/model/rule-text.ts";
import { ruleYamlOf } from "../../src/rules/write-rule.ts";
import { anyTrigger } from "../support/anything.ts";
import fc from "../support/fast-check.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { loadText } from "./support.ts";

describe("an automation as YAML", () => {
  test("leaves defaults out and writes durations as people do", () => {
    const automation = greenhouseAutomation("Pump went quiet", {
      tags: ["greenhouse"],
      trigger: {
        posture: "Proactive",
        expect: ["pump.beat"],
        match: { "prefect.resource.id": "pump.*" },
        for_each: ["prefect.resource.id"],
        within: 90,
        lateness: "5m",
        refire: "once",
      },
      actions: [
        {
          type: "call-webhook",
          url: "https://grower:hush@example.org/",
          secret: "hush-hush",
          retry: { for: "1h" },
        },
        { type: "send-notification", destination: "on-call", body: "{{ automation.name }}" },
      ],
    });
    expect(ruleYamlOf(automation)).toBe(`name: Pump went quiet
tags: [greenhouse]
trigger:
  posture: Proactive
  expect: [pump.beat]
  match:
    prefect.resource.id: pump.*
  for_each: [prefect.resource.id]
  within: 1m30s
  lateness: 5m
  refire: once
actions:
  - type: call-webhook
    url: https://…@example.org/
    secret: "********"
    retry:
      for: 1h
  - type: send-notification
    destination: on-call
    body: "{{ automation.name }}"
`);
  });

  const actions = [
    { type: "do-nothing" },
    {
      type: "call-webhook",
      url: "https://example.org/",
      method: "PUT",
      timeout: 0.25,
      headers: { "X-House": "1" },
    },
    {
      type: "call-webhook",
      destination: "ops",
      method: "POST",
      timeout: 15,
      payload: { "<<": { a: [1, "*x", null] } },
    },
    {
      type: "call-webhook",
      url: "https://example.org/",
      payload: {},
      retry: { for: 0, attempts: 3, give_up_on: [404, "4xx"] },
    },
    { type: "emit-event", event: "pump.quiet", payload: { list: [], text: "- a\n# b\n" } },
    { type: "pause-automation", automation: "Vents" },
    { type: "resume-automation", source: "inferred" },
  ];

  // Were a field left out or written wrongly, people would copy another rule than the one that runs.
  test("is read as the same definition, whatever the trigger is", () => {
    fc.assert(
      fc.property(
        anyTrigger,
        fc.subarray(actions),
        fc.boolean(),
        fc.constantFrom("", "${env.HOUSE} pumps: 'a' #1", "yes"),
        (trigger, some, enabled, description) => {
          const fields = { trigger, enabled, description, actions: some, actions_on_resolve: some.slice(1) };
          const automation = greenhouseAutomation("Pumps: *all* of them", fields);
          const { automations, diagnostics } = loadText(ruleYamlOf(automation));
          expect(diagnostics).toEqual([]);
          const [read] = automations;
          if (read === undefined) throw new Error("nothing was read");
          for (const list of actionLists) expect(read[list]).toEqual(automation[list]);
          expect(definitionIdOf(read)).toBe(definitionIdOf(automation));
          expect(read.enabled).toBe(enabled);
        },
      ),
    );
  });
});

test("a definition is told apart by everything but `enabled`", () => {
  const id = (fields: object) => definitionIdOf(greenhouseAutomation("Pumps", fields));
  expect(id({ enabled: false })).toBe(id({}));
  const others = [{ description: "x" }, { tags: ["x"] }, { trigger: {} }, { actions: [] }];
  expect(new Set([{}, ...others].map(id)).size).toBe(5);
});

test("an automation that only a program writes is written quickly, as JSON", () => {
  const payload = Object.fromEntries(
    Array.from({ length: 4_000 }, (_, index) => [`key ${index}`, "x".repeat(200)]),
  );
  const actions = [
    { type: "call-webhook", url: "https://grower:hush@example.org/", payload, secret: "hush-hush" },
  ];
  const yaml = ruleYamlOf(greenhouseAutomation("Pumps", { actions }));
  expect(yaml).not.toContain("hush");
  expect(JSON.parse(yaml)).toMatchObject({ name: "Pumps", actions: [{ payload, secret: "********" }] });
});
