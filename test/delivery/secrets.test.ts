import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const secrets = {
  TOKEN: 'tok&en "of" gréenhouse',
  SIGNING: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  HOOK_PATH: "T00000000-B0000-secretpath",
  PASSWORD: "gardeners-password",
};

/** Every form in which a receiver could return a secret. */
const forms = Object.values(secrets).flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  JSON.stringify(secret).slice(1, -1),
  Buffer.from(secret).toString("base64"),
]);

// Through a receiver that echoes its request, a secret could come back to where it is shown.
test("secrets are sent, but appear in no event, log line or dead letter", async () => {
  const actions = startActions(redis.url);
  const receiver = await startReceiver((response, { path, headers, body }, index) => {
    const status = [500, 302, 400][index % 3]!;
    const location = `http://example.org${path}`;
    response
      .writeHead(status, status === 302 ? { location } : {})
      .end(`${path}\n${JSON.stringify(headers)}\n${body}`);
  });
  const action = (fields: object) =>
    webhook(
      `http://gardener:\${env.PASSWORD}@127.0.0.1:${receiver.port}/\${env.HOOK_PATH}?t={{ '\${env.TOKEN}' }}`,
      {
        secret: "${env.SIGNING}",
        headers: { "x-token": "${env.HOOK_PATH}" },
        payload: { token: "${env.TOKEN}", signing: "${env.SIGNING}" },
        ...fields,
      },
    );
  const invocations = [
    invocationOf(action({}), { secrets }),
    invocationOf(action({ payload: "${env.TOKEN}" }), { secrets }),
    invocationOf(action({ url: "ftp://${env.HOOK_PATH}/" }), { secrets }),
    invocationOf(action({ url: "${env.PASSWORD}" }), { secrets }),
    invocationOf(action({ url: "${env.HOOK_PATH}:x" }), { secrets }),
    invocationOf(action({ url: "http://127.0.0.1:1/${env.HOOK_PATH}" }), { secrets }),
    invocationOf(action({ headers: { "x-other": "\n${env.TOKEN}\n\n\0" } }), { secrets }),
    invocationOf(action({ url: "http://${env.HOOK_PATH}.invalid/" }), { secrets }),
  ];
  actions.work();
  await actions.queue.addInvocations(invocations);
  for (const invocation of invocations) {
    expect((await actions.outcome(invocation)).event).toBe("prefect-cloud.automation.action.failed");
  }
  expect(receiver.received[0]?.path).toContain(secrets.HOOK_PATH);
  await expect.poll(async () => (await actions.queue.counts()).deadLetters).toBe(invocations.length);

  const reader = connect(redis.url);
  const entries = await reader.xrange(workspaceKeys(actions.workspace).log, "-", "+");
  const jobFields = await Promise.all(
    invocations.map(({ id }) =>
      reader.hmget(`{tripline:${actions.workspace}}:actions:inv-${id}`, "failedReason", "stacktrace"),
    ),
  );
  reader.disconnect();
  const outputs = {
    log: JSON.stringify(entries),
    lines: actions.logger.lines.join("\n"),
    deadLetters: JSON.stringify(await actions.listed("dead")),
    jobs: JSON.stringify(jobFields),
  };
  for (const [where, text] of Object.entries(outputs)) {
    for (const form of forms) {
      expect.soft(text.toLowerCase().includes(form.toLowerCase()), `${form} in ${where}`).toBe(false);
      expect
        .soft(text.includes(JSON.stringify(form).slice(1, -1)), `${form} in ${where}, quoted`)
        .toBe(false);
    }
  }
  expect(outputs.deadLetters).toContain("${env.HOOK_PATH}");
});

test("a finished job keeps no secret", async () => {
  const actions = startActions(redis.url);
  const receiver = await startReceiver();
  const invocation = invocationOf(webhook(receiver.url, { payload: "${env.TOKEN}" }), { secrets });
  actions.work();
  await actions.queue.addInvocations([invocation]);
  await actions.outcome(invocation);
  const key = `{tripline:${actions.workspace}}:actions:inv-${invocation.id}`;
  await expect.poll(() => actions.redis.hget(key, "data")).toContain('"finished":true');
  const data = (await actions.redis.hget(key, "data")) ?? "";
  expect(data).toContain(invocation.automation.name);
  for (const secret of Object.values(secrets)) expect(data).not.toContain(secret);
});
