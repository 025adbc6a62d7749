/** `tripline endpoints`, against a real server and a receiver that is gone. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { DisabledEndpoint } from "../../src/client/index.ts";
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

test("tripline endpoints shows what responded 410 Gone, and enables it by id, name or URL", async () => {
  expect(await tripline("endpoints", "ls")).toMatchObject({
    code: 0,
    stdout: "No endpoint is disabled.\n",
  });
  let status = 410;
  const gone = await misbehavingServer((response) => answer(status, {})(response));
  const rules = sandbox.write(
    "siren.yaml",
    `destinations: [{name: siren, type: slack, url: '${gone.url}/secret-path-of-it'}]
automations:
  - name: Siren
    trigger: {expect: [siren.rang]}
    actions: [{type: send-notification, destination: siren, body: rang}, {type: call-webhook, url: '${gone.url}/plain'}]
`,
  );
  await tripline("apply", rules);
  await tripline("emit", "-e", "siren.rang", "-r", "siren.1");
  const endpoints = async (): Promise<DisabledEndpoint[]> =>
    JSON.parse((await tripline("endpoints", "ls", "--output", "json")).stdout);
  await expect.poll(endpoints).toHaveLength(2);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('tripline_disabled_endpoints{workspace="default"} 2');
  const shown = (await tripline("endpoints", "ls")).stdout;
  expect(shown).toMatch(/^SINCE +ENDPOINT/);
  expect(shown).toContain('destination "siren"');
  expect(shown).toContain(`${gone.url}/plain`);
  expect(shown).not.toContain("secret-path");
  expect(await tripline("endpoints", "enable", "bell")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("tripline endpoints ls"),
  });

  status = 200;
  const [one] = await endpoints();
  const other = one?.destination === null ? "siren" : `${gone.url}/plain`;
  expect(await tripline("endpoints", "enable", one?.id.slice(0, 10) ?? "")).toMatchObject({ code: 0 });
  expect((await tripline("endpoints", "enable", other)).stderr).toContain("tripline deliveries redeliver");
  expect(await endpoints()).toEqual([]);
  await expect
    .poll(async () => (await tripline("audit")).stdout)
    .toMatch(/anyone \(no key\) +enabled endpoint siren/);
  expect(await tripline("deliveries", "redeliver", "--all")).toMatchObject({ code: 0 });
  await expect
    .poll(async () => (await tripline("deliveries", "ls")).stdout)
    .toBe("There are no dead letters.\n");
  await gone.stop();
});
