/** The document says what there is, and the page shows it. */

import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { createApp } from "../../../src/api/http/app.ts";
import { Metrics } from "../../../src/api/http/metrics.ts";
import { JsonSchemas } from "../../../src/api/openapi/json-schemas.ts";
import { openApiDocument } from "../../../src/api/openapi/openapi.ts";
import { allOperations } from "../../../src/api/openapi/operations/all.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

interface Document {
  readonly paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  readonly components: { readonly schemas: Record<string, object> };
}

const document = openApiDocument() as unknown as Document;

describe("the OpenAPI document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const result = await new Validator().validate(structuredClone(document) as never);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  // A validator in another language refuses the whole document over one pattern that it cannot read.
  test("has patterns that programs in every language read alike", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = ""]) => JSON.parse(text) as string,
    );
    expect(patterns.length).toBeGreaterThan(3);
    expect(patterns.filter((pattern) => /\\[pPu]\{|\(\?<?[=!]/.test(pattern))).toEqual([]);
  });

  test("names every route of the app, and no other", () => {
    const documented = allOperations.map(
      ({ method, path, outside }) => `${method} ${outside ? "" : "/api"}${path}`,
    );
    expect(documented.sort()).toEqual(routesOf(wholeApp()).sort());
  });

  test("would be found lacking if a route were added", () => {
    const app = new Hono().get("/api/vents/:id{.+}", (context) => context.text(""));
    expect(routesOf(app)).toEqual(["get /api/vents/{id}"]);
  });

  test("gives every operation a name of its own", () => {
    const ids = allOperations.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("refers to no component that is missing, and holds none that nobody needs", () => {
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name,
    );
    expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
  });
});

describe("what the API answers", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history: true });
  });
  afterAll(async () => {
    await api?.stop();
  });

  test("is as the document says, of an automation with everything in it", async () => {
    const created = await send("POST", "/automations/", {
      name: "Pumps and vents",
      tags: ["greenhouse"],
      trigger: {
        type: "compound",
        within: "10m",
        require: "any",
        triggers: [
          { posture: "Proactive", expect: ["pump.beat"], within: "90s", schedule: { cron: "0 * * * *" } },
          { type: "sequence", within: null, triggers: [{ expect: ["vent.opened"], lateness: "1s" }] },
        ],
      },
      actions: [
        { type: "call-webhook", url: "https://example.org", secret: "whsec_c2VjcmV0", payload: { a: ["b"] } },
        { type: "emit-event", event: "seen" },
        { type: "pause-automation", source: "inferred" },
      ],
    });
    expect(created.status).toBe(201);
    const { id } = created.body as { id: string };
    for (const [method, path, body] of [
      ["GET", `/automations/${id}`],
      ["GET", "/automations/"],
      ["POST", "/automations/filter", {}],
      ["GET", `/automations/${id}/windows`],
      ["POST", `/automations/${id}/explain`, { event: pumpEvent({ event: "vent.opened" }) }],
      ["POST", "/automations/apply", { automations: [], dry_run: true }],
      ["GET", "/deliveries"],
      ["POST", "/destinations", { type: "slack", name: "ops", url: "https://example.org/hook" }],
      ["GET", "/destinations/ops"],
      ["GET", "/destinations"],
    ] as const) {
      expect((await send(method, path, body)).status).toBe(
        method === "POST" && path === "/destinations" ? 201 : 200,
      );
    }
  });

  test("is as the document says, of events", async () => {
    expect(
      (
        await send(
          "POST",
          "/events",
          [1, 2].map(() => pumpEvent({ occurred: new Date().toISOString() })),
        )
      ).status,
    ).toBe(204);
    const found = await send("POST", "/events/filter", { limit: 1 });
    expect(found.status).toBe(200);
    const next = (found.body as { next_page: string }).next_page;
    expect((await send("GET", `/events/filter/next${new URL(next).search}`)).status).toBe(200);
    expect((await send("POST", "/events/count-by/event", { filter: {} })).status).toBe(200);
  });

  test.each([
    ["POST", "/events", [{ event: 1 }], 422],
    ["POST", "/events/filter", { filter: { order: "UP" } }, 422],
    ["GET", "/events/filter/next?page-token=x", undefined, 403],
    ["POST", "/automations/", { name: 5 }, 422],
    ["POST", "/automations/apply", { automations: [{}] }, 422],
    ["GET", "/automations/00000000-0000-4000-8000-000000000000", undefined, 404],
    ["GET", "/deliveries/00000000-0000-4000-8000-000000000000", undefined, 404],
    ["GET", "/deliveries?limit=-1", undefined, 422],
  ])("is as the document says when %s %s is refused", async (method, path, body, status) => {
    expect((await send(method, path, body)).status).toBe(status);
  });

  test("includes the document and a page that needs nothing from elsewhere", async () => {
    const served = await fetch(`${api.url}/api/openapi.json`);
    expect(await served.json()).toEqual(JSON.parse(JSON.stringify(document)));
    const page = await fetch(`${api.url}/docs`);
    expect(page.headers.get("content-type")).toMatch("text/html");
    expect(page.headers.get("content-security-policy")).toMatch("default-src 'none'");
    const html = await page.text();
    for (const { id } of allOperations) expect(html).toContain(`id="${id}"`);
    for (const name of Object.keys(document.components.schemas))
      expect(html).toContain(`id="schema-${name}"`);
    expect(html).not.toMatch(/(?:src|href)="(?!#|\/api\/openapi\.json)/);
    const anchors = [...html.matchAll(/href="#([^"]+)"/g)].map(([, anchor]) => `id="${anchor}"`);
    for (const anchor of anchors) expect(html).toContain(anchor);
  });

  /** Sends a request and holds the answer to the document. */
  async function send(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${api.url}/api${path}`, {
      method,
      headers: { "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === "" ? undefined : JSON.parse(text);
    expect(mistakesIn(method, path.replace(/\?.*/, ""), response.status, answer)).toEqual([]);
    return { status: response.status, body: answer };
  }
});

// The two directions differ wherever a default is filled in; a mix-up would tell clients that fields may be missing.
test("a component has two forms where what is answered differs from what is sent", () => {
  const Vent = z.object({ open: z.boolean().default(false) }).meta({ id: "Vent" });
  const House = z.object({ vents: z.array(Vent) }).meta({ id: "House" });
  const Pump = z.object({ id: z.string() }).meta({ id: "Pump" });
  const schemas = new JsonSchemas();
  const forms = [
    schemas.of(House, "sent"),
    schemas.of(House, "answered"),
    schemas.of(Pump, "sent"),
    schemas.of(Pump, "answered"),
  ];
  const components = schemas.components();
  expect(Object.keys(components)).toEqual(["House", "HouseOutput", "Pump", "Vent", "VentOutput"]);
  expect(forms).toEqual(
    ["House", "HouseOutput", "Pump", "Pump"].map((name) => ({ $ref: `#/components/schemas/${name}` })),
  );
  expect(components["Vent"]).not.toHaveProperty("required");
  expect(components["VentOutput"]).toHaveProperty("required", ["open"]);
});

function mistakesIn(method: string, path: string, status: number, answer: unknown): unknown[] {
  const [template, operations] =
    Object.entries(document.paths).find(
      ([candidate, operations]) => pathPattern(candidate).test(path) && method.toLowerCase() in operations,
    ) ?? [];
  const operation = operations?.[method.toLowerCase()];
  const response = operation?.responses[status] as
    | { content?: Record<string, { schema: object }> }
    | undefined;
  if (response === undefined) return [`${method} ${template ?? path} does not document the status ${status}`];
  const schema = response.content?.["application/json"]?.schema;
  if (schema === undefined) return answer === undefined ? [] : ["a body that is not documented"];
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const validate = ajv.compile({ ...schema, components: document.components });
  return validate(answer) ? [] : (validate.errors ?? []);
}

/** Longer templates match first: `/events/filter` before `/events/{id}`. */
function pathPattern(template: string): RegExp {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, "(?!filter$|count$|apply$)[^/]+")}$`);
}

function wholeApp(): Hono {
  return createApp({
    tenants: {} as never,
    deadLettersOf: () => null,
    explain: { latenessDefault: 0 },
    metrics: new Metrics(),
    readiness: async () => null,
    logger: console,
  });
}

function routesOf(app: Hono): string[] {
  const routes = app.routes
    .filter(({ method, path }) => method !== "ALL" && !path.startsWith("/api/accounts/"))
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")}`);
  return [...new Set(routes)];
}
