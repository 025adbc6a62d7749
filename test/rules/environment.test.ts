import { describe, expect, test } from "vitest";
import type { CallWebhookDefinition } from "../../src/core/model/action.ts";
import type { EventTriggerDefinition } from "../../src/core/model/trigger.ts";
import { loadText, mistakesIn } from "./support.ts";

const webhook = (fields: string): string =>
  `name: a\ntrigger: {}\nactions:\n  - type: call-webhook\n${fields.replaceAll(/^/gm, "    ")}\n`;

describe("outside actions, a reference to the environment", () => {
  const env = { PUMP: "pump.1", COUNT: "3", ON: "false", EMPTY: "" };

  test("is filled in, even within a text, and read as a number or boolean where one is expected", () => {
    const { automations, diagnostics } = loadText(
      `name: "${"${env.COUNT}"} \${env.PUMP}s"
enabled: \${env.ON}
description: "\${env.MISSING:-a default: yes} \${env.EMPTY:-or empty}\${env.EMPTY}"
tags: ["\${env.COUNT}", "$\${env.PUMP}"]
trigger:
  match: {prefect.resource.id: "\${env.PUMP}"}
  threshold: \${env.COUNT}
  within: \${env.COUNT}m
`,
      { env },
    );
    expect(diagnostics).toEqual([]);
    const [automation] = automations;
    expect(automation).toMatchObject({
      name: "3 pump.1s",
      enabled: false,
      description: "a default: yes or empty",
      tags: ["3", "${env.PUMP}"],
      secrets: {},
    });
    expect(automation!.trigger as EventTriggerDefinition).toMatchObject({
      match: { "prefect.resource.id": "pump.1" },
      threshold: 3,
      within: 180,
    });
  });

  test("without a value, malformed or in a key is a mistake at its place", () => {
    expect(mistakesIn('name: a\ntrigger: {match: {"${env.PUMP}": x}}\n')).toEqual([
      "2:19: a key cannot come from the environment; write it out",
    ]);
    expect(
      mistakesIn(
        `name: a\ndescription: \${env.MISSING}\ntags: ["\${env.2}", "\${env.toString}"]\ntrigger: {threshold: "\${env.NONE}"}\n`,
      ),
    ).toEqual([
      "2:14: the environment has no MISSING; set it, or give a default: ${env.MISSING:-default}",
      "3:8: ${env.2} is not a reference to the environment; write ${env.NAME} or ${env.NAME:-default}",
      "3:20: the environment has no toString; set it, or give a default: ${env.toString:-default}",
      "4:22: the environment has no NONE; set it, or give a default: ${env.NONE:-default}",
    ]);
  });

  test("is shown in a mistake in place of its value", () => {
    const env = { WORD: "hidden" };
    expect(
      mistakesIn(
        'name: a\nenabled: ${env.WORD}\ntrigger: {within: "${env.WORD}", posture: "${env.WORD}"}\n',
        env,
      ),
    ).toEqual([
      "2:10: enabled should be true or false; found ${env.WORD} (its value is not valid)",
      "3:19: ${env.WORD} is not a duration: write seconds, 90s, 30m, 2h, 1d or PT30M",
      "3:43: posture should be Reactive or Proactive; found ${env.WORD} (its value is not valid)",
    ]);
  });
});

describe("in an action", () => {
  test("references stay in the texts, without defaults, and the values are stored separately", () => {
    const { automations, diagnostics } = loadText(
      webhook(`url: http://\${env.HOST:-127.0.0.1}/\${env.TOKEN}
headers: {authorization: "Bearer \${env.TOKEN:-none}"}
payload: {deep: ["$\${env.TOKEN} {{ labels.pump }}"]}
timeout: \${env.SECONDS}
secret: \${env.SIGNING}`),
      { env: { TOKEN: "s3cret", SECONDS: "7", SIGNING: "whsec_c2VjcmV0" } },
    );
    expect(diagnostics).toEqual([]);
    const [automation] = automations;
    expect(automation!.actions[0]).toEqual({
      type: "call-webhook",
      url: "http://${env.HOST}/${env.TOKEN}",
      method: "POST",
      headers: { authorization: "Bearer ${env.TOKEN}" },
      payload: { deep: ["$${env.TOKEN} {{ labels.pump }}"] },
      timeout: 7,
      secret: "${env.SIGNING}",
    });
    expect(automation!.secrets).toEqual({ HOST: "127.0.0.1", TOKEN: "s3cret", SIGNING: "whsec_c2VjcmV0" });
  });

  test("a literal secret is stored with the values, and a reference takes its place", () => {
    const { automations } = loadText(
      `${webhook("url: http://x/${env.SECRET_OF_ACTIONS_0}\nsecret: watering can")}
actions_on_resolve:
  - {type: call-webhook, url: http://x/, secret: "prefix-\${env.PART}"}
`,
      { env: { PART: "part", SECRET_OF_ACTIONS_0: "taken" } },
    );
    const [{ actions, actions_on_resolve, secrets }] = automations as [(typeof automations)[0]];
    const secretsNamed = [...actions, ...actions_on_resolve].map(
      (action) => (action as CallWebhookDefinition).secret,
    );
    expect(secretsNamed).toEqual(["${env.SECRET_OF_ACTIONS_0_}", "${env.SECRET_OF_ACTIONS_ON_RESOLVE_0}"]);
    expect(secrets).toEqual({
      SECRET_OF_ACTIONS_0: "taken",
      SECRET_OF_ACTIONS_0_: "watering can",
      SECRET_OF_ACTIONS_ON_RESOLVE_0: "prefix-part",
    });
    expect(JSON.stringify({ ...automations[0], secrets: null })).not.toMatch(/watering can|prefix-part/);
  });

  test.each([
    [
      "url: ${env.URL}",
      "5:10: url should be an address that begins with http:// or https://; found ${env.URL} (its value is not valid)",
    ],
    [
      "url: http://x/\nsecret: ${env.EMPTY}",
      "6:13: secret should not be empty; found ${env.EMPTY}, which is empty; set it, or remove secret",
    ],
    ["url: http://x/\nsecret: 8675309", "6:13: secret should be text; found a number; put it in quotes"],
    [
      "url: http://x/\nsecret: whsec_?8675309",
      "6:13: secret begins with whsec_, but what follows is not base64; copy it again, or use a secret without whsec_",
    ],
    [
      "url: http://x/${env.A:-1}\npayload: ${env.A:-2}",
      "6:14: ${env.A} has a different default elsewhere in this automation; use the same one in both places",
    ],
    [
      "url: http://x/\ntimeout: ${env.URL}",
      "6:14: ${env.URL} is not a duration: write seconds, 90s, 30m, 2h, 1d or PT30M",
    ],
  ])("a mistake never shows a value: %s", (fields, mistake) => {
    const mistakes = mistakesIn(webhook(fields), { URL: "x8675309", EMPTY: "" });
    expect(mistakes).toEqual([mistake]);
    expect(mistakes.join()).not.toContain("8675309");
  });
});
