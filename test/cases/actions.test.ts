/** What cases see of actions: notifications, events that are emitted, and placeholders for what the environment holds. */

import { describe, expect, test } from "vitest";
import { runCaseText } from "./support.ts";

const files = (rules: string) => ({ files: { "roof.yaml": rules } });
const steps = "    rules: roof.yaml\n    steps: [{ at: 0s, event: roof.open, resource: roof.1, id: open }]\n";

describe("secrets that a case does not set", () => {
  test("are placeholders that fit where they are used, so no real value is needed", () => {
    const rules = `name: roof
trigger: { expect: [roof.open] }
actions:
  - { type: call-webhook, url: "\${env.ROOF_URL}", secret: "\${env.ROOF_SECRET}", headers: { Authorization: "Bearer \${env.ROOF_TOKEN}" } }
  - { type: call-webhook, url: "https://\${env.ROOF_HOST}/x/\${env.ROOF_PATH:-default}" }
`;
    const expected = `    expect:
      - at: 0s
        requests:
          - { url: https://roof-url.invalid/, signed: true, headers: { authorization: Bearer placeholder-roof-token } }
          - { url: https://placeholder-roof-host/x/default }
`;
    const { exitCode, out, err } = runCaseText(steps + expected, files(rules));
    expect(out + err).toContain("all passed");
    expect(exitCode).toBe(0);
  });

  test("fit whatever their key takes, in any form of a value", () => {
    const rules = `destinations:
  - { name: mail, type: email, to: ["ops@\${env.DOMAIN}", "\${env.A}", "\${env.B}"], from: "\${env.FROM}", host: "mail.\${env.DOMAIN}", port: "\${env.PORT}", security: "\${env.SECURITY}" }
  - name: more
    type: email
    to:
      - ops@example.org
      - \${env.C}
      - \${env.D}
    from: ops@example.org
    host:
      \${env.HOST}
  - { name: pager, type: pagerduty, routing_key: "\${env.KEY}", severity: "\${env.SEVERITY}", url: "\${env.PAGER}/v2" }
  - { name: hook, type: webhook, url: "http://\${env.PLACE}/x", method: "\${env.METHOD}", timeout: "\${env.WAIT}", secret: "whsec_\${env.SIGN}" }
automations:
  - name: roof
    trigger: { expect: [roof.open] }
    actions:
      - type: call-webhook
        url: >-
          \${env.FOLDED}
        timeout: \${env.WAIT_2}
        secret: "whsec_\${env.SIGN_2}"
        retry: { attempts: "\${env.ATTEMPTS}", for: "\${env.LONG}" }
        limits: { rate: "\${env.RATE}", concurrency: "\${env.AT_ONCE}" }
      - url:
          \${env.BELOW}
        type: call-webhook
      - { type: call-webhook, url: "\${env.SCHEME:-}\${env.REST}" }
`;
    const expected = `    expect:
      - at: 0s
        requests:
          - { url: https://folded.invalid/, signed: true }
          - { url: https://below.invalid/ }
          - { url: https://rest.invalid/ }
`;
    const { exitCode, out, err } = runCaseText(steps + expected, files(rules));
    expect(out + err).toContain("all passed");
    expect(exitCode).toBe(0);
  });

  test("are a mistake where no text fits, with its place", () => {
    const rules = `name: roof
trigger: { expect: [roof.open], threshold: "\${env.ROOF_COUNT}" }
actions: []
`;
    const { exitCode, err } = runCaseText(`${steps}    expect: []\n`, files(rules));
    expect(exitCode).toBe(2);
    expect(err).toMatch(/^roof\.yaml:2:44: threshold should be a number/m);
  });
});

describe("a notification", () => {
  const rules = `name: roof
trigger: { expect: [roof.open] }
actions:
  - { type: send-notification, destination: chat, subject: "Roof {{ event.id }}", body: "{{ event.resource.id }} is open" }
`;

  test("can be expected, in parts", () => {
    const expected = `    expect:
      - { at: 0s, notification: { destination: chat, subject: Roof open, body: roof.1 is open } }
`;
    expect(runCaseText(steps + expected, files(rules)).exitCode).toBe(0);
    const part = `    expect: [{ at: 0s, notifications: [{ body_includes: is open }] }]\n`;
    expect(runCaseText(steps + part, files(rules)).exitCode).toBe(0);
  });

  test("that differs fails the case, and shows both", () => {
    const expected = `    expect: [{ at: 0s, notification: { body: roof.1 is closed } }]\n`;
    const { exitCode, out } = runCaseText(steps + expected, files(rules));
    expect(exitCode).toBe(1);
    expect(out).toContain("notification.body");
    expect(out).toContain("roof.1 is open");
    const none = runCaseText(`${steps}    expect: [{ at: 0s, notifications: [] }]\n`, files(rules));
    expect(none.exitCode).toBe(1);
    expect(none.out).toContain("1 notification");
  });

  test("whose template fails in the case is a mistake of the rule", () => {
    const broken = rules.replace("{{ event.resource.id }}", "{{ event.payload.count | round }}");
    const many = steps.replace("id: open", "id: open, payload: { count: many }");
    const { exitCode, out } = runCaseText(`${many}    expect: [{ at: 0s }]\n`, files(broken));
    expect(exitCode).toBe(1);
    expect(out).toContain("round needs a number");
  });
});

describe("an event that an action emits", () => {
  const chain = `automations:
  - name: roof
    trigger: { expect: [roof.open] }
    actions: [{ type: emit-event, event: rain.expected, resource: { prefect.resource.id: "sky.{{ event.id }}" } }]
  - name: rain
    trigger: { expect: [rain.expected], for_each: [prefect.resource.id] }
    actions: [{ type: do-nothing }]
  - name: calm
    trigger: { posture: Proactive, after: [rain.expected], expect: [rain.over], within: 30s }
    actions: [{ type: emit-event, event: roof.flooded, resource: { prefect.resource.id: roof.1 } }]
  - name: flood
    trigger: { expect: [roof.flooded] }
    actions: [{ type: do-nothing }]
`;

  test("is seen by other automations at once, and so is one that an absence emits", () => {
    const expected = `    until: 10m
    expect:
      - { automation: roof, at: 0s }
      - { automation: rain, at: 0s, labels: { prefect.resource.id: sky.open } }
      - { automation: calm, at: 35s }
      - { automation: flood, at: 35s }
`;
    const { exitCode, out, err } = runCaseText(steps + expected, files(chain));
    expect(out + err).toContain("all passed");
    expect(exitCode).toBe(0);
  });

  test("never makes an automation react to itself, and ends by the loop guard", () => {
    const loop = `automations:
  - name: ping
    trigger: { expect: [roof.open, pong] }
    actions: [{ type: emit-event, event: ping, resource: { prefect.resource.id: roof.1 } }]
  - name: pong
    trigger: { expect: [ping] }
    actions: [{ type: emit-event, event: pong, resource: { prefect.resource.id: roof.1 } }]
`;
    const expected = `    expect: [{ automation: ping, at: 0s }, { automation: pong, at: 0s }]\n`;
    const { exitCode, out, err } = runCaseText(steps + expected, files(loop));
    expect(out + err).toContain("all passed");
    expect(exitCode).toBe(0);
  });
});
