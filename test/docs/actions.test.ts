/** docs/actions.md: its tables are complete, its examples render as shown, and its numbers are right. */

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import rulesSchema from "../../rules/tripline.schema.json" with { type: "json" };
import { invocationsOf } from "../../src/core/machine/consequence.ts";
import { Simulation } from "../../src/core/machine/simulation.ts";
import { type CallWebhookDefinition, webhookTimeoutDefault } from "../../src/core/model/action.ts";
import { EventSchema } from "../../src/core/model/event.ts";
import { parseTime } from "../../src/core/model/time.ts";
import { renderRequest } from "../../src/delivery/actions/call-webhook.ts";
import { endpointLimits } from "../../src/delivery/http/endpoints.ts";
import { workerSettings } from "../../src/delivery/worker-settings.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { constants, functions } from "../../src/templates/evaluator.ts";
import { filters } from "../../src/templates/filters.ts";
import { mappingMethods, numberMethods, textMethods } from "../../src/templates/methods.ts";
import type { FilterOperation } from "../../src/templates/operations.ts";
import { Renderer } from "../../src/templates/renderer.ts";
import { tests } from "../../src/templates/value-tests.ts";
import { loadText } from "../rules/support.ts";
import { type Fence, fencesOf, textOf } from "./fences.ts";
import { rowsUnder } from "./tables.ts";

const page = "docs/actions.md";
const text = textOf(page);
const fences = fencesOf(page);
const shopErrors = fences.find(({ name }) => name === "shop-errors.yaml")?.text ?? "";
const [event = ""] = fences.flatMap(({ language, note, text: json }) =>
  language === "json" && note === "" ? [json] : [],
);

/** The firing of the page's example, as the program makes it. */
function invocation() {
  const start = parseTime("2026-01-05T10:00:00Z")!;
  const { automations, diagnostics } = loadText(shopErrors);
  if (diagnostics.length > 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  const simulation = new Simulation(automations, { latenessDefault: 0 });
  simulation.step({ received: start, event: null });
  const wire = EventSchema.parse({ follows: null, ...JSON.parse(event) });
  const [firing] = simulation.step({ received: parseTime("2026-01-05T10:30:00.250Z")!, event: wire });
  return invocationsOf(firing!)[0]!;
}

const exampleInvocation = invocation();
const defaultBody = JSON.parse(
  renderRequest(
    exampleInvocation.action as CallWebhookDefinition,
    exampleInvocation,
    new Renderer(exampleInvocation),
    new Date(0),
  ).request.body ?? "",
);

const render = (template: string): string => new Renderer(exampleInvocation).text(template);

describe("an example of docs/actions.md", () => {
  const examples = fences.flatMap((fence, index) =>
    fence.language === "jinja" ? [{ fence, output: fences[index + 1] }] : [],
  );

  test.each(examples)("on line $fence.line renders as shown", ({ fence, output }) => {
    expect(output?.language).toBe("text");
    expect(render(fence.text).trimEnd()).toBe(output?.text.trimEnd());
  });

  test("is one of many", () => expect(examples.length).toBeGreaterThan(10));

  const payloads = fences.flatMap((fence, index) =>
    fence.note === "payload" ? [{ fence, output: fences[index + 1] as Fence }] : [],
  );

  test.each(payloads)("of a payload, on line $fence.line, gives the body shown", ({ fence, output }) => {
    const action = { ...(exampleInvocation.action as CallWebhookDefinition), payload: parse(fence.text) };
    const { request } = renderRequest(
      action,
      exampleInvocation,
      new Renderer(exampleInvocation),
      new Date(0),
    );
    expect(request.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(request.body ?? "")).toEqual(JSON.parse(output.text));
  });

  test("with mistakes has those that are shown", () => {
    const index = fences.findIndex(({ note }) => note === "mistake");
    const { diagnostics } = loadText(fences[index]?.text ?? "");
    const printed = `${diagnostics.map(formatDiagnostic).join("\n")}\n`;
    expect(printed.replaceAll("greenhouse.yaml", fences[index]?.name ?? "")).toBe(fences[index + 1]?.text);
  });

  test("of the default body is the one that is sent", () => {
    const [body] = fences.filter(({ note }) => note === "body");
    expect(JSON.parse(body?.text ?? "")).toEqual(defaultBody);
  });
});

describe("the tables of what templates can use", () => {
  const rows = (heading: string, table = 0) =>
    rowsUnder(text, heading, table).map(([signature = "", _meaning, example = "", output = ""]) => {
      const [, name = "", parameters = ""] = /^(\w+)(?:\((.*)\))?$/.exec(signature) ?? [];
      const given = parameters.split(", ").filter((parameter) => parameter !== "");
      return { signature, name, parameters: given, example, output };
    });
  const parametersOf = (operations: ReadonlyMap<string, FilterOperation>) =>
    [...operations].map(([name, { parameters }]) => [name, [...parameters]]);
  const listed = (heading: string, table = 0) =>
    rows(heading, table).map(({ name, parameters }) => [name, parameters]);

  test("list every filter in alphabetical order, with its parameters", () => {
    expect(listed("Filters")).toEqual(parametersOf(filters).sort(byName));
  });

  test("list every test", () => {
    expect(listed("Tests").map(([name]) => name)).toEqual([...tests.keys()].sort());
  });

  test("list every method", () => {
    expect(listed("Methods", 0)).toEqual(parametersOf(textMethods).sort(byName));
    expect(listed("Methods", 1)).toEqual(parametersOf(mappingMethods).sort(byName));
    expect(listed("Methods", 2)).toEqual(parametersOf(numberMethods).sort(byName));
  });

  test("list every function and constant", () => {
    expect(listed("Functions and constants").map(([name]) => name)).toEqual([...functions].sort());
    const [, sentence = ""] = /^The constants are (.*)\.$/m.exec(text) ?? [];
    expect([...sentence.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual([...constants.keys()]);
  });

  const examples = [
    ...rows("Filters"),
    ...rows("Tests"),
    ...rows("Methods", 0),
    ...rows("Methods", 1),
    ...rows("Methods", 2),
    ...rows("Functions and constants"),
  ];

  test.each(examples)("say that $example prints $output", ({ name, example, output }) => {
    expect(example).toMatch(new RegExp(`\\b${name}\\b|[<>]`));
    expect(render(example)).toBe(output);
  });

  test("list every part of every variable", () => {
    const parts = [...partsOf("event"), "labels", ...partsOf("automation"), ...partsOf("firing")];
    expect(rowsUnder(text, "Variables").map(([name]) => name)).toEqual([...parts, "firings", "events"]);
  });

  function partsOf(name: "event" | "automation" | "firing"): string[] {
    const inner = (value: Record<string, unknown>, path: string): string[] =>
      Object.entries(value).flatMap(([key, part]) => [
        `${path}.${key}`,
        ...(key === "window" ? inner(part as Record<string, unknown>, `${path}.window`) : []),
      ]);
    const found = inner(defaultBody[name], name);
    const order = rowsUnder(text, "Variables").map(([row]) => row ?? "");
    return [name, ...found.sort((a, b) => order.indexOf(a) - order.indexOf(b))];
  }
});

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

describe("docs/actions.md", () => {
  const schemas = rulesSchema.$defs.Action.allOf.map(({ then }) => then as ActionSchema);
  const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, title = ""]) => title);
  const types = schemas.map(({ properties }) => properties.type.const);

  test("has a section for every type of action", () => {
    expect(types.length).toBeGreaterThanOrEqual(6);
    for (const type of types) expect(headings.join(" ")).toContain(type);
  });

  test.each(types)("lists the fields of %s", (type) => {
    const { properties } = schemas.find((schema) => schema.properties.type.const === type)!;
    const fields = Object.keys(properties).filter((key) => key !== "type");
    if (fields.length === 0) return expect(() => rowsUnder(text, type)).toThrow("there is no table");
    const heading = headings.find((title) => title.split(" ").includes(type)) ?? type;
    const listed = rowsUnder(text, heading).map(([name]) => name);
    expect(listed.sort()).toEqual(fields.sort());
  });

  test("has the defaults of the schema", () => {
    const [subject] = rowsUnder(text, "send-notification").filter(([name]) => name === "subject");
    expect(subject?.[1]).toBe(defaultOf("send-notification", "subject"));
    const [source] = rowsUnder(text, "pause-automation and resume-automation").filter(
      ([name]) => name === "source",
    );
    expect(source?.[1]).toBe(defaultOf("pause-automation", "source"));
    const timeout = rowsUnder(text, "call-webhook").find(([name]) => name === "timeout")?.[1];
    expect(timeout).toContain(`${webhookTimeoutDefault}s`);
  });

  function defaultOf(type: string, field: string): unknown {
    return schemas.find(({ properties }) => properties.type.const === type)?.properties[field]?.default;
  }
});

interface ActionSchema {
  readonly properties: { readonly type: { readonly const: string } } & Readonly<
    Record<string, { readonly default?: unknown }>
  >;
}

test("docs/actions.md has the default numbers of retries", () => {
  const { retryMs, retryMsMax, giveUpAfterMs } = workerSettings;
  const { concurrencyMax, failuresMax, restMs, restMsMax } = endpointLimits;
  expect([retryMs, retryMsMax, giveUpAfterMs, restMs, restMsMax]).toEqual([
    5_000,
    600_000,
    28 * 3_600_000,
    5_000,
    60_000,
  ]);
  const flowing = text.replaceAll(/\s+/g, " ");
  expect(flowing).toContain("begins at 5 seconds (`--retry`) and doubles up to 10 minutes");
  expect(flowing).toContain(`at most ${concurrencyMax} requests at a time`);
  expect(flowing).toContain(
    `After ${failuresMax} failures in a row the endpoint rests: 5 seconds at first, and a fortieth of the time that it has failed, up to a minute`,
  );
  expect(flowing).toContain("is tried for 28 hours (`--give-up-after`)");
});

describe("the limits of templates", () => {
  const limits = new Map(rowsUnder(text, "Limits").map(([name = "", limit = ""]) => [name, limit]));
  const numberOf = (name: string) => Number(/^[\d,]+/.exec(limits.get(name) ?? "")?.[0].replaceAll(",", ""));

  test("include the length of a template", () => {
    const max = numberOf("Length of one template");
    expect(render(`{{ 1 }}${"x".repeat(max - 7)}`)).toHaveLength(max - 6);
    expect(() => render(`{{ 1 }}${"x".repeat(max - 6)}`)).toThrow(String(max));
  });

  test("include the depth of nesting", () => {
    const nested = (depth: number) => `{{ ${"(1 + ".repeat(depth)}1${")".repeat(depth)} }}`;
    const max = numberOf("Depth of nesting");
    expect(() => render(nested(max + 1))).toThrow(/nested too deep/);
    expect(render(nested(200))).toBe("201");
  });

  test("include the work", () => {
    const max = numberOf("Work");
    expect(() => render(`{{ range(${max}) | length }}`)).toThrow(String(max));
    expect(render(`{{ range(${max / 5}) | length }}`)).toBe(String(max / 5));
  });

  test("include the output", () => {
    const max = numberOf("Output");
    const writes = (count: number) =>
      `{% set x = ${JSON.stringify("x".repeat(10_000))} %}{% for i in range(${count}) %}{{ x }}{% endfor %}`;
    expect(render(writes(max / 10_000))).toHaveLength(max);
    expect(() => render(writes(max / 10_000 + 1))).toThrow(String(max));
  });
});

describe("references to the environment", () => {
  const withText = (url: string, env: Record<string, string> = {}) => {
    const rule = {
      name: "a",
      trigger: { expect: ["b"] },
      actions: [{ type: "call-webhook", url, payload: url }],
    };
    const { automations, diagnostics } = loadText(JSON.stringify(rule), { env });
    if (diagnostics.length > 0) return diagnostics.map(({ message }) => message).join("; ");
    const [automation] = automations;
    return new Renderer({ ...exampleInvocation, secrets: automation!.secrets }).text(
      String((automation!.actions[0] as CallWebhookDefinition).payload),
    );
  };
  const forms = rowsUnder(text, "Secrets and `${env.NAME}`").map(
    ([form = ""]) => `https://example.com/${form}`,
  );

  test("are filled in as the table says", () => {
    expect(forms.map((form) => withText(form, { NAME: "x" }))).toEqual([
      "https://example.com/x",
      "https://example.com/x",
      "https://example.com/${env.NAME}",
    ]);
    expect(forms.map((form) => withText(form))).toEqual([
      expect.stringContaining("NAME"),
      "https://example.com/default",
      "https://example.com/${env.NAME}",
    ]);
  });

  test("are not taken from an event", () => {
    const template = "https://example.com/{{ '$' ~ '{env.NAME}' }} ${env.NAME}";
    expect(withText(template, { NAME: "x" })).toBe("https://example.com/${env.NAME} x");
  });

  test("are refused in an event", () => {
    const action = { type: "emit-event", event: "c ${env.NAME}" };
    const rule = { name: "a", trigger: { expect: ["b"] }, actions: [action] };
    const { diagnostics } = loadText(JSON.stringify(rule), { env: { NAME: "x" } });
    expect(diagnostics).toHaveLength(1);
  });
});
