import { describe, expect, test } from "vitest";
import { destinationIdOf } from "../../src/core/model/destination.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { loadText } from "./support.ts";

const mistakesIn = (text: string) =>
  loadText(text, { env: { SLACK: "https://hooks.slack.example/T0" } }).diagnostics.map(formatDiagnostic);

describe("destinations in rule files", () => {
  test("may be in a list next to automations, or in their own document", () => {
    const { destinations, automations, diagnostics } = loadText(
      [
        "destinations:",
        "  - {name: ops, type: slack, url: '${env.SLACK}'}",
        "automations:",
        "  - {name: pumps, trigger: {}, actions: [{type: send-notification, destination: ops, body: '{{ event.id }}'}]}",
        "---",
        "{name: post, type: email, to: [a@example.org], from: b@example.org, host: localhost, port: 25}",
      ].join("\n"),
      { workspace: "greenhouse", env: { SLACK: "https://hooks.slack.example/T0" } },
    );
    expect(diagnostics).toEqual([]);
    expect(automations).toHaveLength(1);
    expect(destinations).toMatchObject([
      {
        id: destinationIdOf("greenhouse", "ops"),
        definition: { type: "slack", url: "https://hooks.slack.example/T0" },
        source: { kind: "file" },
      },
      { definition: { type: "email", port: 25, security: "starttls" } },
    ]);
  });

  test.each([
    ["destinations: [{name: a, type: slak, url: 'https://a'}]", "did you mean `slack`?"],
    ["destinations: [{name: a, type: slack, ulr: 'https://a'}]", "did you mean `url`?"],
    ["destinations: [{name: a, type: slack}]", "url is missing"],
    ["destinations: [{name: a, type: slack, url: '${env.MISSING}'}]", "the environment has no MISSING"],
    [
      "destinations: [{name: a, type: slack, url: 'https://a'}, {name: a, type: discord, url: 'https://b'}]",
      'name "a" is taken',
    ],
    [
      "destinations: [{name: a, type: slack, url: 'https://a', limits: {rate: 30 per minute}}]",
      "rate should be a count per time, such as 100/s, 5000/h or 10/30s",
    ],
    [
      "destinations: [{name: a, type: slack, url: 'https://a', limits: {rate: 20000/h}}]",
      "at most 10000 requests",
    ],
    [
      "destinations: [{name: a, type: slack, url: 'https://a', limits: {rate: 1/2d}}]",
      "a period of at most 1d",
    ],
    [
      "destinations: [{name: a, type: slack, url: 'https://a', limits: {concurrency: 0}}]",
      "concurrency should be",
    ],
    [
      "destinations: [{name: a, type: slack, url: 'https://a', limits: {concurency: 1}}]",
      "did you mean `concurrency`?",
    ],
    ["destination: [{name: a, type: slack, url: 'https://a'}]", "did you mean `destinations`?"],
  ])("with a mistake are refused: %s: %s", (text, message) => {
    expect(mistakesIn(text)).toEqual([expect.stringContaining(message)]);
  });

  test("can be named by an action with a reference to the environment", () => {
    const rule =
      "{name: a, trigger: {}, actions: [{type: send-notification, destination: '${env.TEAM}', body: a}]}";
    const { automations } = loadText(rule, { env: { TEAM: "ops" } });
    expect(automations[0]).toMatchObject({ actions: [{ destination: "ops" }], secrets: {} });
  });

  test("and actions may have limits, with references to the environment", () => {
    const { destinations, automations, diagnostics } = loadText(
      [
        "destinations:",
        "  - {name: ops, type: email, to: [a@example.org], from: b@example.org, host: localhost, limits: {rate: '${env.RATE}'}}",
        "automations:",
        "  - {name: a, trigger: {}, actions: [{type: call-webhook, url: 'https://a', limits: {concurrency: 2, rate: '${env.RATE}'}}]}",
      ].join("\n"),
      { env: { RATE: "30/1m" } },
    );
    expect(diagnostics).toEqual([]);
    expect(destinations[0]?.definition.limits).toEqual({ rate: "30/1m" });
    expect(automations[0]?.actions).toMatchObject([{ limits: { concurrency: 2, rate: "30/1m" } }]);
  });

  test("do not show a secret in a mistake", () => {
    const [mistake] = mistakesIn("destinations: [{name: a, type: slack, url: hush}]");
    expect(mistake).toContain("url should be an address");
    expect(mistake).not.toContain("hush");
  });

  test.each([
    ["{type: call-webhook}", "url is missing"],
    ["{type: call-webhook, url: 'https://a', destination: ops}", "both say where to send"],
    ["{type: call-webhook, destination: ops, secret: hush}", "has its own secret"],
    ["{type: call-webhook, destination: ops, limits: {rate: 1/s}}", "has its own limits"],
    ["{type: call-webhook, url: 'https://a', limits: {rate: 1/x}}", "rate should be a count per time"],
    ["{type: send-notification, body: a}", "destination is missing"],
    ["{type: send-notification, destination: ops, body: '{{ event.'}", "cannot be read"],
  ])("must fit the actions that use them: %s", (action, message) => {
    expect(mistakesIn(`{name: a, trigger: {}, actions: [${action}]}`)).toEqual([
      expect.stringContaining(message),
    ]);
  });
});
