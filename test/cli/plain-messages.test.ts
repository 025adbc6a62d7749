import { afterAll, beforeAll, expect, test } from "vitest";
import type { Delivery } from "../../src/client/index.ts";
import { answer, misbehavingServer } from "../client/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await sandbox.serve(redis.url);
});

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
});

const tripline = (...words: string[]) => sandbox.output(words, { TRIPLINE_API_URL: server.api });

test("tripline deliveries marks a message that is plain because its template failed", async () => {
  const endpoint = await misbehavingServer(answer(200, {}));
  const action = `{type: call-webhook, url: '${endpoint.url}', payload: {text: '{{ 1 / event.payload.zero }}'}}`;
  const rules = sandbox.write(
    "cymbal.yaml",
    `name: Cymbal\ntrigger: {expect: [cymbal.rang]}\nactions: [${action}]\n`,
  );
  await tripline("apply", rules);
  await tripline("emit", "-e", "cymbal.rang", "-r", "c", "--payload", '{"zero": 0}');
  const delivered = async () =>
    (
      JSON.parse(
        (await tripline("deliveries", "ls", "--state", "delivered", "-o", "json")).stdout,
      ) as Delivery[]
    ).filter(({ automation }) => automation.name === "Cymbal");
  const failure = { field: "payload.text", reason: "division by zero" };
  await expect.poll(delivered).toMatchObject([{ template_failures: [failure] }]);
  const [delivery] = await delivered();
  expect((await tripline("deliveries", "ls", "--state", "delivered")).stdout).toMatch(
    /ID +MESSAGE\n[\s\S]*Cymbal .* plain: template failed\n/,
  );
  expect((await tripline("deliveries", "show", delivery?.id ?? "")).stdout).toMatch(
    /template failed +payload\.text: division by zero/,
  );
  await endpoint.stop();
});
