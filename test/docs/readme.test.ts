/** The first examples of README.md work as shown. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { checkRules } from "../../src/cli/check.ts";
import { testRules } from "../../src/cli/test.ts";
import { Sandbox } from "../cli/support.ts";
import { startRedis } from "../support/redis.ts";
import { commandsIn } from "./commands.ts";
import { fencesOf, root, textOf } from "./fences.ts";

const fences = fencesOf("README.md");
const sandbox = new Sandbox();
afterAll(() => sandbox.close());

/** Readers copy this rule first, so it must behave like the full rule in rules/. */
describe("the first rule of README.md", () => {
  const [rule] = fencesOf("README.md").filter(({ language }) => language === "yaml");
  const folder = mkdtempSync(join(tmpdir(), "tripline-readme-"));
  writeFileSync(join(folder, "service-silent.yaml"), rule?.text ?? "");
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is valid and gets no warnings", () => {
    let printed = "";
    const stdout = { write: (text: string) => (printed += text) };
    const exitCode = checkRules([folder], { stdout, env: {}, cwd: root, color: false }, { strict: true });
    expect(exitCode === 0 ? "" : printed).toBe("");
  });

  test("has the trigger and the messages of rules/service-silent.yaml", () => {
    const [short, full] = [rule?.text ?? "", textOf("rules/service-silent.yaml")].map((text) => parse(text));
    expect(Object.entries(full.trigger)).toEqual(expect.arrayContaining(Object.entries(short.trigger)));
    expect(short.trigger).toMatchObject({ posture: "Proactive", refire: "once" });
    for (const list of ["actions", "actions_on_resolve"]) {
      expect(short[list].map(messageOf)).toEqual(full[list].map(messageOf));
      expect(short[list]).toHaveLength(1);
    }
  });

  // A rule without `refire: once` would send 2,880 messages a day.
  test("sends one message for an absence of a day, and one when the service is back", () => {
    const cases = {
      cases: [
        {
          name: "a day",
          steps: [
            { at: "0s", event: "service.heartbeat", resource: "service.shop" },
            { at: "1d", event: "service.heartbeat", resource: "service.shop" },
          ],
          expect: [
            {
              at: "35s",
              labels: { "prefect.resource.id": "service.shop" },
              request: { body: { message: "service.shop is silent" } },
            },
            {
              at: "1d",
              state: "Resolved",
              labels: { "prefect.resource.id": "service.shop" },
              request: { body: { message: "service.shop is back" } },
            },
          ],
        },
      ],
    };
    writeFileSync(join(folder, "service-silent.test.yaml"), JSON.stringify(cases));
    let printed = "";
    const output = { write: (text: string) => (printed += text) };
    const io = { stdout: output, stderr: output, cwd: folder, color: false };
    const exitCode = testRules(["service-silent.test.yaml"], io);
    expect(exitCode === 0 ? "" : printed).toBe("");
  });
});

function messageOf(action: { payload: { message: string } }): string {
  return action.payload.message;
}

describe("the output in README.md", () => {
  const outputs = fences.filter(({ language }) => language === "console").map(({ text }) => text);

  test("is the failure of the case that it shows", () => {
    const [rule, cases] = fences.filter(({ language }) => language === "yaml");
    const folder = mkdtempSync(join(tmpdir(), "tripline-readme-"));
    try {
      writeFileSync(join(folder, "service-silent.yaml"), rule?.text ?? "");
      writeFileSync(join(folder, "service-silent.test.yaml"), cases?.text ?? "");
      let printed = "";
      const output = { write: (text: string) => (printed += text) };
      const io = { stdout: output, stderr: output, cwd: folder, color: false };
      expect(testRules(["service-silent.test.yaml"], io)).toBe(1);
      const expected = `$ bin/tripline test service-silent.test.yaml\n${printed}`;
      expect(outputs.map(normalized)).toContain(normalized(expected));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("is the explanation of an event that does not match", async () => {
    const [example = ""] = outputs.filter((text) => text.includes("explain"));
    const [, id = ""] = /explain (\S+)/.exec(example) ?? [];
    const event = {
      id,
      occurred: "2026-01-05T09:00:00Z",
      event: "service.heartbeat",
      resource: { "prefect.resource.id": "svc.shop" },
    };
    const events = sandbox.write("svc.ndjson", `${JSON.stringify(event)}\n`);
    const [command] = commandsIn(example, "console");
    const words = [...(command?.words.slice(1) ?? []), "--rules", "rules", "--events", events];
    const { stdout } = await sandbox.output(words);
    expect(normalized(example)).toBe(normalized(`$ ${command?.text}\n${stdout}`));
  });
});

test("the first event of README.md arrives as shown", async () => {
  const redis = await startRedis();
  try {
    const listening = sandbox.tripline(["listen", "--port", "0"]);
    const url = await listening.until(() => /http:\S+/.exec(listening.stdout)?.[0]);
    const server = await sandbox.serve(redis.url, ["--rules", join(root, "rules")], {
      TRIPLINE_WEBHOOK_URL: url,
    });
    const { text } = fences.find(
      ({ heading, language }) => heading === "Something happens" && language === "sh",
    )!;
    const [emit] = commandsIn(text, "sh").filter(({ words }) => words[1] === "emit");
    await sandbox.output(emit?.words.slice(1) ?? [], { TRIPLINE_API_URL: server.api });
    const delivered = await listening.until(() => /^\d\d:\d\d[\s\S]*^ {2}\}$/m.exec(listening.stdout)?.[0]);
    const outputs = fences.filter(
      ({ heading, language }) => heading === "Something happens" && language === "",
    );
    expect(outputs.map((output) => normalized(output.text))).toEqual([normalized(`${delivered}\n`)]);
    await server.process.end();
  } finally {
    await redis.stop();
  }
});

test("the messages about an absence in README.md are those of rules/service-silent.yaml", () => {
  const rule = parse(textOf("rules/service-silent.yaml"));
  const keys = [...rule.actions, ...rule.actions_on_resolve].map(({ payload }) => Object.keys(payload));
  const outputs = fences.filter(
    ({ heading, language }) => heading === "Something fails to happen" && language === "",
  );
  const shownKeys = outputs.map(({ text }) => Object.keys(JSON.parse(text.slice(text.indexOf("{")))));
  expect(shownKeys).toEqual(keys);
});

/** Replaces times, ids and durations, which differ from run to run. */
function normalized(text: string): string {
  return text
    .replaceAll(/\d+ ms\b/g, "0 ms")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<id>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g, "<time>")
    .replaceAll(/^\d\d:\d\d:\d\d/gm, "<clock>");
}
