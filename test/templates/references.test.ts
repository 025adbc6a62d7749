import { describe, expect, test } from "vitest";
import { redactionOf } from "../../src/templates/references.ts";
import { Renderer } from "../../src/templates/renderer.ts";
import { invocationOf, pumpEvent } from "../delivery/support.ts";

const secrets = { TOKEN: "s3cr3t-{{ 7 * 7 }}", EMPTY: "" };

function render(template: string, payload: Record<string, unknown> = {}): string {
  return new Renderer(invocationOf({ type: "do-nothing" }, { secrets, event: pumpEvent({ payload }) })).text(
    template,
  );
}

// invocationOf keeps only the secrets that the action names, and do-nothing names none.
function renderWithSecrets(template: string, payload: Record<string, unknown> = {}): string {
  const invocation = invocationOf({ type: "do-nothing" }, { event: pumpEvent({ payload }) });
  return new Renderer({ ...invocation, secrets }).text(template);
}

describe("a reference to the environment", () => {
  test("is filled in after rendering, so that a value is never read as a template", () => {
    expect(renderWithSecrets("Bearer ${env.TOKEN}")).toBe("Bearer s3cr3t-{{ 7 * 7 }}");
    expect(renderWithSecrets("{{ 'x' }} ${env.TOKEN}")).toBe("x s3cr3t-{{ 7 * 7 }}");
    expect(renderWithSecrets("{{ '${env.TOKEN}' | upper }}")).toBe("s3cr3t-{{ 7 * 7 }}");
  });

  // Otherwise anyone who can post an event could have a secret sent to wherever event data goes.
  test("in an event's data is not filled in", () => {
    const payload = { note: "${env.TOKEN}" };
    expect(renderWithSecrets("{{ event.payload.note }} ${env.TOKEN}", payload)).toBe(
      "${env.TOKEN} s3cr3t-{{ 7 * 7 }}",
    );
  });

  test("that is escaped stands for itself", () => {
    expect(renderWithSecrets("$${env.TOKEN}")).toBe("${env.TOKEN}");
    expect(renderWithSecrets("{{ 1 }}$${env.TOKEN}")).toBe("1${env.TOKEN}");
  });

  test("takes its default if it has no value, and is an error without a default", () => {
    expect(renderWithSecrets("${env.EMPTY:-blue}${env.NONE:-}")).toBe("blue");
    expect(() => render("${env.NONE}")).toThrow("${env.NONE} has no value");
    expect(() => renderWithSecrets("${env.constructor}")).toThrow("has no value");
  });
});

test("a secret is redacted in every form in which it may have been sent", () => {
  const secret = 'p"ä ss&word';
  const redact = redactionOf({ PASSWORD: secret });
  const sent = [
    secret,
    encodeURIComponent(secret),
    encodeURI(secret),
    JSON.stringify(secret),
    Buffer.from(secret).toString("base64"),
  ];
  for (const text of sent)
    expect(redact(`answered 400: ${text}!`)).toMatch(/^answered 400: "?\$\{env\.PASSWORD\}=?"?!$/);
});

test.each([
  ["Bearer tok_5ecretsecret", "invalid token tok_5ecretsecret"],
  [`Basic ${btoa("me:5ecret-password")}`, "no user me:5ecret-password, 5ecret-password"],
  ['Token token="tok_5ecretsecret"', '{"token":"tok_5ecretsecret"}'],
  [
    "https://a.example/hooks/5ecretsecretsecret?key=5ecret",
    '{"args":{"key":"5ecret"},"url":"\\/hooks\\/5ecretsecretsecret?key=5ecret"}',
  ],
  ["https://me:5ecret%21@a.example/", "wrong password 5ecret! in https://me:5ecret%21@a.example"],
  ["https://a.example/T%2F5ecretsecret", "unknown T/5ecretsecret"],
])("a receiver may quote a part of %s, and it is redacted", (secret, quoted) => {
  expect(redactionOf({}, { [secret]: "…" })(quoted)).not.toContain("5ecret");
});

test("a secret that begins with another one is redacted as a whole", () => {
  const redact = redactionOf({ SHORT: "open", LONG: "open-sesame" });
  expect(redact("open-sesame open")).toBe("${env.LONG} ${env.SHORT}");
});
