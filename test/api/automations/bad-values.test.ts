/**
 * Values that can never be sent are rejected wherever they enter: in rule files, in automations and destinations sent
 * over the API, and in rules applied over it. Otherwise the first alarm would reveal them, and be lost.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(async () => {
  await api?.stop();
});

type Fields = Readonly<Record<string, unknown>>;

/** The field of a webhook, a value that cannot be sent, and the message about it. */
const badFields: readonly (readonly [field: string, value: unknown, message: string])[] = [
  ["url", "http://[bad", "url should be a valid address"],
  ["url", "http://host:99999/", "url should be a valid address"],
  ["url", "http://host:0/", "url should be a valid address"],
  ["url", "https://exa mple.org/x", "url should be a valid address"],
  ["url", "http://100%@example.org/", "write % as %25"],
  ["url", "ftp://example.org/", "begins with http:// or https://"],
  ["url", "localhost:8080", "begins with http:// or https://"],
  ["secret", "whsec_a", "what follows is not base64"],
  ["secret", "whsec_", "what follows is not base64"],
  ["secret", "whsec_hush!", "what follows is not base64"],
  ["headers", { "no good": "x" }, "cannot be the name of a header"],
  ["headers", { Expect: "100-continue" }, "set by the connection itself"],
  ["headers", { "X-Note": "line\nX-Evil: yes" }, "should be one line"],
  ["headers", { "X-Note": "✓" }, "should be Latin-1 text"],
  ["timeout", 0, "longer than 0s"],
  ["timeout", "25d", "at most 24d"],
];

const webhook = { url: "https://example.org/x" };

const otherDestinations: readonly (readonly [Fields, string])[] = [
  ...["slack", "ms-teams", "discord"].map(
    (type) => [{ type, url: "http://host:99999/" }, "url should be a valid address"] as const,
  ),
  [{ type: "pagerduty", routing_key: "k", url: "https://exa mple.org/" }, "url should be a valid address"],
  [{ ...email(), to: ["ops@exam ple.org"] }, "should be an e-mail address"],
  [{ ...email(), from: "Ops <ops@example.org" }, "should be an e-mail address"],
  [{ ...email(), host: "smtp://mail.example.org" }, "host should be a host name"],
  // Destinations are not rendered: a template would be sent literally.
  ...[
    { type: "webhook", url: "https://example.org/{{ event.id }}" },
    { type: "webhook", url: "{{ event.payload.url }}" },
    { type: "webhook", ...webhook, headers: { "X-Event": "{{ event.event }}" } },
    { type: "webhook", ...webhook, headers: { "X-Event": "{% if event %}hush{% endif %}" } },
    { type: "slack", url: "https://example.org/{{ event.id }}" },
    { type: "pagerduty", routing_key: "{{ labels.key }}" },
    { ...email(), to: ["{{ event.payload.owner }}"] },
    { ...email(), host: "{{ event.payload.host }}" },
  ].map((fields) => [fields, "a destination takes no templates"] as const),
];

function email(): Fields {
  return { type: "email", to: ["a@example.org"], from: "b@example.org", host: "mail.example.org" };
}

const otherActions: readonly (readonly [Fields, string])[] = [
  [{ type: "emit-event", event: "x".repeat(1_025) }, "at most 1024 characters"],
  [{ type: "emit-event", event: "x", payload: ["a"] }, "payload should be a mapping"],
  [{ type: "emit-event", event: "x", related: manyResources() }, "at most 100 resources"],
  [{ type: "send-notification", destination: "ops", body: "{{ event." }, "the template cannot be read"],
];

function manyResources(): Fields[] {
  return Array.from({ length: 101 }, (_, index) => ({
    "prefect.resource.id": `pump.${index}`,
    "prefect.resource.role": "pump",
  }));
}

const badDestinations: readonly (readonly [Fields, string])[] = [
  ...badFields.map(
    ([field, value, message]) => [{ type: "webhook", ...webhook, [field]: value }, message] as const,
  ),
  ...otherDestinations,
];
const badActions: readonly (readonly [Fields, string])[] = [
  ...badFields.map(
    ([field, value, message]) => [{ type: "call-webhook", ...webhook, [field]: value }, message] as const,
  ),
  ...otherActions,
];

async function call(method: string, path: string, body: unknown) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${api.url}/api${path}`, { method, headers, body: JSON.stringify(body) });
  return { status: response.status, text: JSON.parse(`[${(await response.text()) || "null"}]`)[0] };
}

async function expectRefused(method: string, path: string, body: unknown, message: string): Promise<void> {
  const { status, text } = await call(method, path, body);
  expect({ path, status, text: JSON.stringify(text) }).toEqual({
    path,
    status: 422,
    text: expect.stringContaining(message),
  });
  expect(JSON.stringify(text)).not.toContain("hush");
}

/** The messages about a rule file. JSON is valid YAML. */
function mistakesIn(document: Fields, env: Record<string, string> = {}): string {
  return loadText(JSON.stringify(document), { env })
    .diagnostics.map(({ message }) => message)
    .join("\n");
}

const trigger = { expect: ["pump.stopped"] };

describe.each(badActions)("an action %j", (action, message) => {
  test("is rejected in a rule file", () => {
    const mistakes = mistakesIn({ name: "a", trigger, actions: [action] });
    expect(mistakes).toContain(message);
    expect(mistakes).not.toContain("hush");
  });

  test("is rejected by POST and PUT", async () => {
    const automation = { name: "a", trigger, actions: [action] };
    await expectRefused("POST", "/automations", automation, message);
    const created = await call("POST", "/automations", { ...automation, actions: [] });
    await expectRefused("PUT", `/automations/${created.text.id}`, automation, message);
  });

  test("is rejected when rules are applied", async () => {
    const { secret, ...rest } = action;
    const [sent, secrets] =
      secret === undefined ? [action, {}] : [{ ...rest, secret: "${env.S}" }, { S: secret }];
    const rule = { definition: { name: "applied", trigger, actions: [sent] }, file: "a.yaml", secrets };
    await expectRefused("POST", "/automations/apply", { automations: [rule] }, message);
  });
});

test.each(badFields.filter(([field]) => field === "url" || field === "secret"))(
  "%s %j is rejected when it comes from the environment",
  async (field, value, message) => {
    const action = { type: "call-webhook", ...webhook, [field]: "${env.VALUE}" };
    const mistakes = mistakesIn({ name: "a", trigger, actions: [action] }, { VALUE: String(value) });
    expect(mistakes).toContain(message);
    expect(mistakes).not.toMatch(/hush|99999|exa mple/);
    const rule = {
      definition: { name: "a", trigger, actions: [action] },
      file: "a.yaml",
      secrets: { VALUE: value },
    };
    await expectRefused("POST", "/automations/apply", { automations: [rule] }, message);
    const destination = { name: "d", type: "webhook", ...webhook, [field]: "${env.VALUE}" };
    expect(mistakesIn({ destinations: [destination] }, { VALUE: String(value) })).toContain(message);
  },
);

describe.each(badDestinations)("a destination %j", (fields, message) => {
  const destination = { name: "d", ...fields };

  test("is rejected in a rule file", () => {
    const mistakes = mistakesIn({ destinations: [destination] });
    expect(mistakes).toContain(message);
    expect(mistakes).not.toContain("hush");
  });

  test("is rejected by POST, by PUT, and when rules are applied", async () => {
    await expectRefused("POST", "/destinations", destination, message);
    await call("POST", "/destinations", { name: "d", type: "webhook", ...webhook });
    await expectRefused("PUT", "/destinations/d", destination, message);
    await expectRefused(
      "POST",
      "/automations/apply",
      { automations: [], destinations: [destination] },
      message,
    );
  });
});

const references: readonly Fields[] = [
  { type: "webhook", url: "https://example.org/${env.TOKEN}" },
  { type: "webhook", ...webhook, headers: { Authorization: "Bearer ${env.TOKEN}" } },
  { type: "webhook", ...webhook, headers: { Authorization: "${env.TOKEN:-none}" } },
  { type: "webhook", ...webhook, secret: "${env.TOKEN" },
  { type: "discord", url: "https://example.org/${env.TOKEN}" },
  { type: "pagerduty", routing_key: "${env.TOKEN}" },
  { ...email(), username: "ops", password: "${env.TOKEN}" },
];

// References are filled in only when rule files are loaded. Over the API, one would be sent literally.
test.each(references)("a destination %j with a reference is rejected over the API", async (fields) => {
  const destination = { name: "referring", ...fields };
  const message = "only in rule files";
  await expectRefused("POST", "/destinations", destination, message);
  await call("POST", "/destinations", { name: "referring", type: "webhook", ...webhook });
  await expectRefused("PUT", "/destinations/referring", destination, message);
});

const harmless: readonly Fields[] = [
  { type: "webhook", ...webhook, description: "Rendered from {{ nothing }}, ${env.NOTHING}" },
  { type: "webhook", ...webhook, headers: { "X-Odd": "}} {{", "X-Cost": "$env.A {a}" } },
  { type: "webhook", ...webhook, secret: "{{secret}}", headers: { "X-Escaped": "$${env.A}" } },
];

test.each(harmless)("a destination %j is accepted", async (fields) => {
  const name = `harmless-${harmless.indexOf(fields)}`;
  expect(mistakesIn({ destinations: [{ ...fields, name, description: "" }] })).toBe("");
  expect((await call("POST", "/destinations", { ...fields, name })).status).toBe(201);
});

test("a value from the environment may look like a reference, or like half a template", () => {
  const destination = { name: "d", type: "webhook", url: "${env.URL}", headers: { "X-Key": "${env.KEY}" } };
  const env = { URL: "https://example.org/x", KEY: "${env.A} {{" };
  expect(mistakesIn({ destinations: [destination] }, env)).toBe("");
});

test("a reference in an emitted event is rejected, because everyone can read events", () => {
  const action = { type: "emit-event", event: "x", payload: { token: "${env.TOKEN}" } };
  expect(mistakesIn({ name: "a", trigger, actions: [action] }, { TOKEN: "hush" })).toContain(
    "events are readable by everyone",
  );
});

test.each(["${env.9}", "${env.A"])(
  "%j is rejected as an invalid reference when rules are applied",
  async (text) => {
    const action = { type: "call-webhook", ...webhook, payload: text };
    const rule = { definition: { name: "a", trigger, actions: [action] }, file: "a.yaml", secrets: {} };
    await expectRefused("POST", "/automations/apply", { automations: [rule] }, "is not a reference");
  },
);

test("mistakes that the schema finds and mistakes in texts are listed together", async () => {
  const badWebhook = {
    type: "call-webhook",
    url: "ftp://a",
    secret: "whsec_a",
    headers: { "X-A": "line\nbreak" },
    payload: "{{ nothing | such }}",
    timeout: 0,
    unknown: "{{ ignored",
  };
  const badEvent = { type: "emit-event", event: "{% if %}", related: 7 };
  const actions = [badWebhook, badEvent, "no mapping", { type: "unknown" }];
  const { status, text } = await call("POST", "/automations", { name: "", trigger, actions });
  expect(status).toBe(422);
  const mistakes = text.exception_detail as { readonly loc: readonly (string | number)[] }[];
  expect(mistakes.map(({ loc }) => loc.join(".")).sort()).toEqual([
    "body.actions.0.headers.X-A",
    "body.actions.0.payload",
    "body.actions.0.secret",
    "body.actions.0.timeout",
    "body.actions.0.url",
    "body.actions.1.event",
    "body.actions.1.related",
    "body.actions.2",
    "body.actions.3.type",
    "body.name",
  ]);
  expect(JSON.stringify(text)).not.toContain("whsec_a");
});
