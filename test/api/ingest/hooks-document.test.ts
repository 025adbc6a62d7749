/** docs/ingest.md: its rules are loaded, and its commands run as they are written there. */

import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fencesOf } from "../../docs/fences.ts";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

const blocks = fencesOf("docs/ingest.md")
  .filter(({ note }) => note === "")
  .map(({ language, text }) => ({ kind: language, body: text }));
const commands = blocks.flatMap(({ kind, body }, index) =>
  kind === "sh" ? [{ command: body, output: blocks[index + 1]?.body ?? "" }] : [],
);
const env = { GITHUB_WEBHOOK_SECRET: "hush" };
const rules = blocks.filter(({ kind }) => kind === "yaml").map(({ body }) => loadText(body, { env }));
const hasTools = ["curl", "openssl"].every((tool) => spawnSync(tool, ["version"]).error === undefined);

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
  await api.log.hooks.replaceAll(rules.flatMap(({ hooks }) => hooks));
});

afterAll(() => api.stop());

test("the rules in docs/ingest.md have no mistakes", () => {
  expect(rules.flatMap(({ diagnostics }) => diagnostics)).toEqual([]);
  expect(rules.flatMap(({ hooks }) => hooks).map(({ name }) => name)).toEqual([
    "github",
    "backup",
    "nightly-backup",
  ]);
});

// They need curl and openssl, which a small machine may lack.
describe.skipIf(!hasTools)("the commands in docs/ingest.md", () => {
  test.each(commands)("print the documented output: $command", async ({ command, output }) => {
    const here = command.replaceAll("http://127.0.0.1:4200", api.url);
    const { stdout } = await promisify(execFile)("bash", ["-euc", here]);
    expect(stdout.trim()).toBe(output.trim());
  });

  test("create the documented events", async () => {
    const names = (await api.events()).map(({ event }) => event.name);
    expect(names).toEqual(["github.issues.opened", "tripline.webhook.failed", "pump.stopped"]);
    const [opened] = await api.events();
    expect(Object.fromEntries(opened?.event.resource ?? [])).toEqual({
      "prefect.resource.id": "github.repository.pumps/north",
      sender: "ada",
    });
  });

  test("are all found", () => {
    expect(commands).toHaveLength(3);
  });
});

test("the template of the backup hook creates an event for each broken disk", async () => {
  const body = JSON.stringify({
    disks: [{ name: "a", error: true }, { name: "b" }, { name: "c", error: true }],
  });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${api.url}/api/hooks/backup`, { method: "POST", body, headers });
  expect(((await response.json()) as { events: string[] }).events).toHaveLength(2);
});
