/** Rules applied over HTTP: what is rejected, and that a rejection repeats no secret. test/cli tests what applying does. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AppliedRules } from "../../../src/api/automations/automation-answers.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(async () => {
  await api?.stop();
});

const secret = "path-0123456789";

const rule = (definition: Record<string, unknown> = {}, rest: Record<string, unknown> = {}) => ({
  definition: { name: "Pumps", trigger: { expect: ["pump.stopped"] }, ...definition },
  file: "rules/pumps.yaml",
  ...rest,
});

const webhook = (fields: Record<string, unknown> = {}) => ({
  actions: [{ type: "call-webhook", url: "https://example.org/${env.PATH_PART}", ...fields }],
});

async function apply(automations: unknown, options: Record<string, unknown> = {}) {
  const response = await fetch(`${api.url}/api/automations/apply`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ automations, ...options }),
  });
  return { status: response.status, text: await response.text() };
}

const secrets = { secrets: { PATH_PART: secret } };

describe("an application is rejected as a whole", () => {
  test.each([
    ["an unknown key of a trigger", [rule({ trigger: { expcet: [] } }, secrets)], "trigger.expcet"],
    ["an unknown key beside a definition", [rule({}, { ...secrets, source: "x" })], "source"],
    ["a reference without a value", [rule(webhook())], "secrets has no value for PATH_PART"],
    [
      "a secret in the definition",
      [rule(webhook({ secret }), secrets)],
      "A secret must not be in the definition",
    ],
    ["a template that does not parse", [rule(webhook({ payload: "{{ event." }), secrets)], "payload"],
    [
      "an address that is invalid once it is filled in",
      [rule(webhook({ url: "${env.PATH_PART}" }), secrets)],
      "url should be an address",
    ],
    ["a duplicate name", [rule({}, secrets), rule()], 'The name \\"Pumps\\" is used twice'],
    [
      "a secret that is not a string",
      [rule({}, { secrets: { PATH_PART: { secret } } })],
      "secrets.PATH_PART",
    ],
  ])("for %s", async (_what, automations, message) => {
    const { status, text } = await apply([rule({ name: "Vents" }, secrets), ...automations]);
    expect(status).toBe(422);
    const { exception_detail: mistakes } = JSON.parse(text) as { exception_detail: { loc: string[] }[] };
    const places = mistakes.map(({ loc }) => loc.join("."));
    expect(`${text} ${places.join(" ")}`).toContain(message);
    expect(text).not.toContain(secret);
    expect(await api.log.automations()).toEqual([]);
  });
});

describe("an application may have at most", () => {
  async function refusalOf(automations: unknown, options: Record<string, unknown> = {}) {
    const { status, text } = await apply(automations, options);
    expect(status).toBe(422);
    const { exception_detail } = JSON.parse(text) as { exception_detail: { type: string; loc: string[] }[] };
    return exception_detail.map(({ type, loc }) => `${type} ${loc.join(".")}`);
  }

  test("10,000 automations, and 2,000 destinations", async () => {
    const ops = { name: "ops", type: "slack", url: "https://slack.example" };
    const tooMany = { destinations: Array(2_001).fill(ops) };
    expect(await refusalOf(Array(10_001).fill(rule()))).toEqual(["too_long body.automations"]);
    expect(await refusalOf(Array(10_000).fill(rule()))).not.toContain("too_long body.automations");
    expect(await refusalOf([], tooMany)).toEqual(["too_long body.destinations"]);
    // One fewer is refused only because of the names.
    expect(await refusalOf([], { destinations: Array(2_000).fill(ops) })).not.toContain(
      "too_long body.destinations",
    );
  });

  test("50 levels in each automation", async () => {
    const nested = (levels: number): unknown =>
      JSON.parse(`${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}`);
    expect(await refusalOf([rule({ trigger: nested(50) })])).not.toContain("too_deep body");
    expect(await refusalOf([rule({ trigger: nested(51) })])).toEqual(["too_deep body"]);
  });

  test("1,000 characters in the name of a file", async () => {
    const place = "too_long body.automations.0.file";
    expect(await refusalOf([rule({ trigger: 7 }, { file: "x".repeat(1_000) })])).not.toContain(place);
    expect(await refusalOf([rule({ trigger: 7 }, { file: "x".repeat(1_001) })])).toContain(place);
  });
});

test("two destinations with one name are rejected, like two automations", async () => {
  const ops = { name: "ops", type: "slack", url: `https://slack.example/${secret}` };
  const { status, text } = await apply([], { destinations: [ops, { ...ops, type: "discord" }] });
  expect({ status, text }).toEqual({
    status: 422,
    text: expect.stringContaining('The name \\"ops\\" is used twice'),
  });
  expect(text).not.toContain(secret);
  expect(await api.log.destinations.list()).toEqual([]);
});

test("an applied automation is stored with its secrets, and neither the answer nor an event repeats them", async () => {
  const { status, text } = await apply([rule(webhook(), secrets)]);
  expect(status).toBe(200);
  expect(text).not.toContain(secret);
  const [change] = (JSON.parse(text) as AppliedRules).changes;
  expect(change).toMatchObject({ what: "automation", change: "create", name: "Pumps" });
  expect(await api.log.automation(change?.id ?? "")).toMatchObject({
    source: { kind: "api", applied: { file: "rules/pumps.yaml", enabled: true } },
    secrets: { PATH_PART: secret },
  });
  const events = await api.events();
  expect(events.at(-1)?.event.name).toBe("prefect-cloud.automation.created");
  expect(JSON.stringify(events.map(({ event }) => event.wire))).not.toContain(secret);
});

test("an automation from the server's own rule files is neither replaced nor pruned", async () => {
  const [stored] = await api.log.automations();
  const source = { kind: "file", file: "rules/own.yaml", enabled: true } as const;
  await api.log.putAutomations([{ ...stored!, source }]);
  const { status, text } = await apply([rule(webhook(), secrets)], { prune: true });
  expect({ status, text }).toEqual({ status: 409, text: expect.stringContaining("rules/own.yaml") });
  expect(await apply([], { prune: true })).toMatchObject({
    status: 200,
    text: '{"dry_run":false,"changes":[]}',
  });
  expect(await api.log.automations()).toHaveLength(1);
});
