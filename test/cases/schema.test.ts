/** rules/tripline.test.schema.json, which editors use to check and complete cases. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { casesSchemaText } from "../../scripts/write-schema.ts";

const folder = join(import.meta.dirname, "../../rules");
const files = readdirSync(folder).filter((name) => name.endsWith(".test.yaml"));
const textOf = (name: string) => readFileSync(join(folder, name), "utf8");
const validate = new Ajv2020({ strict: false, allErrors: true }).compile(JSON.parse(casesSchemaText()));

test("the schema of cases is the one that npm run schema writes", () => {
  expect(textOf("tripline.test.schema.json")).toBe(casesSchemaText());
});

describe("the schema of cases", () => {
  test.each(files)("accepts %s, which names it for editors", (name) => {
    const text = textOf(name);
    expect(text.split("\n")[0]).toBe("# yaml-language-server: $schema=tripline.test.schema.json");
    validate(parse(text, { version: "1.2" }));
    expect(validate.errors ?? []).toEqual([]);
  });

  test.each([
    ["a misspelled key of a case", { cases: [{ name: "a", expcet: [] }] }],
    ["a case without a name", { cases: [{ expect: [] }] }],
    ["no cases", { cases: [] }],
    ["an unknown key of a step", { cases: [{ name: "a", expect: [], steps: [{ evnt: "x" }] }] }],
    ["an unknown key of a request", { cases: [{ name: "a", expect: [{ at: 0, request: { uri: "x" } }] }] }],
    [
      "an unknown key of a notification",
      { cases: [{ name: "a", expect: [{ at: 0, notification: { text: "x" } }] }] },
    ],
  ])("refuses %s", (_what, value) => {
    expect(validate(value)).toBe(false);
  });

  test("accepts every way to write a step and a firing", () => {
    const steps = [
      {
        at: "0s",
        event: "a",
        resource: "r",
        related: { role: "x" },
        payload: {},
        id: "i",
        every: "5s",
        times: 2,
      },
      { event: "a", resource: { "prefect.resource.id": "r" }, related: [{ "prefect.resource.id": "x" }] },
      { at: 5, restart: true },
      { disable: "a" },
      { enable: ["a", "b"] },
    ];
    const expect_ = [
      { at: "1m", requests: [{ method: "POST", url: "u", headers: { a: null }, body: null }], late: true },
      { at: "2026-01-05T00:00:00Z", notification: { body_includes: "x" }, event: null, labels: { a: "b" } },
    ];
    validate({
      rules: "x.yaml",
      env: { A: "b" },
      cases: [{ name: "a", steps, expect: expect_, until: "1d" }],
    });
    expect(validate.errors ?? []).toEqual([]);
  });
});
