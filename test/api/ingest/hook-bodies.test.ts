/** The body of a signed request is read only once everything else about its signature is right. */

import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

const template = "template: { event: called, resource: { prefect.resource.id: pump.1 } }";
const { hooks } = loadText(
  `
hooks:
  - { name: svix, signature: { type: standard-webhooks, secret: hush }, ${template} }
  - { name: github, signature: { type: github, secret: hush }, ${template} }
  - { name: shared, signature: { type: shared-secret, header: X-Pump-Token, secret: hush }, ${template} }
`,
  { env: {} },
);

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
  await api.log.hooks.replaceAll(hooks);
});

afterAll(() => api.stop());

test("many large bodies with a signature that looks right are refused, and a small one is read", async () => {
  const signature = { "X-Hub-Signature-256": `sha256=${"a".repeat(64)}` };
  const half = Buffer.alloc(12_000_000, " ");
  const statuses: number[] = [];
  const begun = Array.from({ length: 40 }, () => {
    const sent = request(`${api.url}/api/hooks/github`, {
      method: "POST",
      headers: { ...signature, "Content-Type": "application/json", "Content-Length": "16000000" },
    });
    sent.on("response", ({ statusCode = 0 }) => statuses.push(statusCode));
    sent.on("error", () => {});
    sent.write(half);
    return sent;
  });
  await expect.poll(() => statuses.length, { timeout: 20_000 }).toBeGreaterThan(5);
  expect(new Set(statuses)).toEqual(new Set([503]));
  const small = await fetch(`${api.url}/api/hooks/github`, {
    method: "POST",
    headers: signature,
    body: "{}",
  });
  expect(small.status).toBe(401);
  for (const sent of begun) sent.destroy();
});

// Otherwise anyone could make the server hold many large bodies.
test.each([
  [
    "an old signature",
    "svix",
    { "webhook-id": "1", "webhook-timestamp": "17", "webhook-signature": "v1,AAAA" },
  ],
  ["no signature", "github", {}],
  ["a malformed signature", "github", { "X-Hub-Signature-256": "sha256=ff" }],
  ["a wrong shared secret", "shared", { "X-Pump-Token": "wrong" }],
])("a request with %s is refused before its body is read", async (_what, hook, headers) => {
  const status = await new Promise((resolve, reject) => {
    const sent = request(`${api.url}/api/hooks/${hook}`, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json", "Content-Length": "16000000" },
    });
    sent.on("response", (response) => {
      resolve(response.statusCode);
      sent.destroy();
    });
    sent.on("error", reject);
    sent.write("{"); // and nothing more
  });
  expect(status).toBe(401);
});
