/** The document says what the API does, and the page shows it. */

import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv } from "ajv";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { JsonSchemas } from "../../../src/api/openapi/json-schemas.ts";
import { RedisEngineStore } from "../../../src/engine/redis-engine-store.ts";
import { connect } from "../../../src/store/connection.ts";
import { asJsonSchema } from "../../support/documented-answers.ts";
import { allOperations, allRoutes, document, wholeApp } from "../all-routes.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

describe("the OpenAPI document", () => {
  test("is valid OpenAPI 3.0", async () => {
    const result = await new Validator().validate(structuredClone(document) as never);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  // A validator in another language rejects the whole document for one pattern that it cannot read.
  test("has only patterns that programs in every language read alike", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = ""]) => JSON.parse(text) as string,
    );
    expect(patterns.length).toBeGreaterThan(3);
    expect(patterns.filter((pattern) => /\\[pPu]\{|\(\?<?[=!]/.test(pattern))).toEqual([]);
  });

  // Client generators fail at such keywords; scripts/openapi-check.ts runs four of them.
  test("has no keyword that is new in 3.1", () => {
    const text = JSON.stringify(document);
    expect(text).not.toMatch(/"(?:const|prefixItems|propertyNames|\$defs|\$schema)":/);
    expect(text).not.toMatch(/"type":(?:\[|"null")/);
    expect(text).not.toMatch(/"items":(?:false|true)/);
  });

  // Go's ogen makes one type of each alternative, and cannot name two alike.
  test("has no two alternatives of the same plain type", () => {
    const unions = [...JSON.stringify(document).matchAll(/"(?:anyOf|oneOf)":\[/g)];
    expect(unions.length).toBeGreaterThan(10);
    expect(unionsWithTwins(document)).toEqual([]);
    expect(unionsWithTwins({ anyOf: [{ type: "string" }, { type: "string", maxLength: 3 }] })).toEqual([""]);
  });

  test("has an operation for every route of the app, and the app a route for every operation", () => {
    const declared = allOperations.map(
      ({ method, path, outside }) => `${method} ${outside ? "" : "/api"}${path}`,
    );
    expect(declared.toSorted()).toEqual(pathsIn(wholeApp).toSorted());
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((method) => method !== "servers")
        .map((method) => `${method} ${"servers" in item ? "" : "/api"}${path}`),
    );
    expect(documented.toSorted()).toEqual(declared.toSorted());
  });

  test("is compared with every handler, even with one that has no declaration", () => {
    const app = new Hono().get("/api/vents/:id{.+}", (context) => context.text(""));
    expect(pathsIn(app)).toEqual(["get /api/vents/{id}"]);
  });

  test("gives every operation its own id", () => {
    const ids = allOperations.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("refers to no missing component, and contains no unused one", () => {
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name,
    );
    expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
  });

  test("has examples for every operation with a body, and the schema accepts them", () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    ajv.addSchema(asJsonSchema({ components: document.components }), "document");
    const withBody = allRoutes.filter(({ operation }) => operation.body !== undefined);
    expect(withBody.length).toBeGreaterThan(10);
    for (const { operation } of withBody) {
      const { content, examples } = operation.body!;
      const [schema] = Object.values(content);
      expect([operation.id, Object.keys(examples).length]).not.toEqual([operation.id, 0]);
      const documented = requestSchemaOf(operation.id);
      for (const value of Object.values(examples)) {
        expect([operation.id, schema?.safeParse(value).error?.issues ?? []]).toEqual([operation.id, []]);
        const validate = ajv.compile(asJsonSchema(documented));
        expect([operation.id, validate(value), validate.errors]).toEqual([operation.id, true, null]);
      }
    }
  });
});

/** The schema of a request's body, for its first media type. */
function requestSchemaOf(id: string): object {
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item) as OperationObject[]) {
      if (operation.operationId !== id) continue;
      return Object.values(operation.requestBody?.content ?? {})[0]?.schema ?? {};
    }
  }
  throw new Error(`No operation has the id ${id}`);
}

interface OperationObject {
  readonly operationId?: string;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
}

describe("the API", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history: true });
  });
  afterAll(async () => {
    await api?.stop();
  });

  test("answers as documented about an automation with everything in it", async () => {
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
      ["GET", "/windows?unresolved=any&search=pump"],
      ["GET", "/windows/counts"],
      ["GET", "/overview"],
      ["POST", `/automations/${id}/explain`, { event: pumpEvent({ event: "vent.opened" }) }],
      ["POST", "/explain", { event: pumpEvent({ event: "vent.opened" }) }],
      ["POST", "/automations/apply", { automations: [], dry_run: true }],
      ["GET", "/deliveries"],
      ["GET", "/deliveries?state=retrying&limit=1"],
      ["POST", "/destinations", { type: "slack", name: "ops", url: "https://example.org/hook" }],
      ["GET", "/destinations/ops"],
      ["GET", "/destinations"],
    ] as const) {
      expect((await send(method, path, body)).status).toBe(
        method === "POST" && path === "/destinations" ? 201 : 200,
      );
    }
  });

  test("answers as documented about events", async () => {
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
    ["GET", "/deliveries?state=lost", undefined, 422],
    ["POST", "/explain", { event: "00000000-0000-4000-8000-000000000000" }, 404],
    ["POST", "/explain", { event: "00000000-0000-4000-8000-000000000000", limit: 1_000 }, 422],
  ])("answers as documented when %s %s is rejected", async (method, path, body, status) => {
    expect((await send(method, path, body)).status).toBe(status);
  });

  test("serves the document, and a page that loads nothing from elsewhere", async () => {
    const served = await fetch(`${api.url}/api/openapi.json`);
    expect(await served.json()).toEqual(JSON.parse(JSON.stringify(document)));
    const page = await fetch(`${api.url}/docs`);
    expect(page.headers.get("content-type")).toMatch("text/html");
    // Nothing may load or run but the page's own style and script, nothing may be sent, and no other page may frame it.
    expect(page.headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    const html = await page.text();
    for (const { id } of allOperations) expect(html).toContain(`id="${id}"`);
    for (const name of Object.keys(document.components.schemas))
      expect(html).toContain(`id="schema-${name}"`);
    expect(html).not.toMatch(/(?:src|href)="(?!#|\/api\/openapi\.json)/);
    const anchors = [...html.matchAll(/href="#([^"]+)"/g)].map(([, anchor]) => `id="${anchor}"`);
    for (const anchor of anchors) expect(html).toContain(anchor);
  });

  test("serves a page that shows everything that the document says of an operation", async () => {
    const html = await (await fetch(`${api.url}/docs`)).text();
    const text = html.replaceAll(/&(amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? entity);
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const { operationId, summary, parameters = [], requestBody, responses } = operation as ShownOperation;
        if (operationId === undefined) continue; // `servers`, not a method
        const start = text.indexOf(`id="${operationId}"`);
        const entry = text.slice(start, text.indexOf("</details>", start));
        expect(entry).toContain(`>${method.toUpperCase()}</b>`);
        expect(entry).toContain(`${path}</code> <span>${summary}</span>`);
        expect(entry).toContain(`data-text="${method} `);
        expect(entry.includes("<h3>Parameters</h3>")).toBe(parameters.length > 0);
        for (const { name, in: place, required } of parameters) {
          expect(entry).toContain(
            `<code>${name}</code></td><td>${place}${required ? ", required" : ""}</td>`,
          );
        }
        for (const type of Object.keys(requestBody?.content ?? {})) {
          const optional = requestBody?.required === false ? ", optional" : "";
          expect(entry).toContain(`<h3>Body <small>${type}${optional}</small></h3>`);
        }
        for (const status of Object.keys(responses)) expect(entry).toContain(`<code>${status}</code></td>`);
      }
    }
  });

  // The examples are what people try first.
  test("accepts the examples in the document", async () => {
    const { body: automation } = await send(
      "POST",
      "/automations",
      exampleOf("createAutomation", "failures"),
    );
    const { id } = automation as { id: string };
    // Something that changes the number of shards when it is asked to.
    const redis = connect(api.redis.url);
    const engines = new RedisEngineStore(redis, { workspace: "default", firstCount: 1 });
    await engines.beat({ name: "engine", wants: [] }, 60_000);
    redis.disconnect();
    const statuses: Record<string, number> = {};
    for (const { operation } of allRoutes) {
      const { method, path, body, id: name } = operation;
      // The server of this test has no hooks, no canary and no keys.
      if (body === undefined || ["/hooks/:name", "/canary", "/session"].includes(path)) continue;
      const place = path.startsWith("/destinations/") ? "alarms" : id;
      const filled = path.replace(":countable", "time").replaceAll(/:\w+/g, place);
      const [type = ""] = Object.keys(body.content);
      for (const [example, value] of Object.entries(body.examples)) {
        const named = path.startsWith("/destinations/") ? { ...(value as object), name: "alarms" } : value;
        statuses[`${name} ${example}`] = (await send(method.toUpperCase(), filled, named, type)).status;
      }
    }
    const failed = Object.entries(statuses).filter(([, status]) => status >= 300);
    expect(failed).toEqual([]);
    expect(Object.keys(statuses).length).toBeGreaterThan(14);
  });

  // The document must not allow a body that the server rejects, nor the other way around.
  test("rejects an unknown key exactly where the document allows no further keys", async () => {
    for (const { operation } of allRoutes) {
      const { method, path, body, id } = operation;
      if (body === undefined || method !== "post" || path === "/hooks/:name") continue;
      const [example] = Object.values(body.examples);
      const [type = ""] = Object.keys(body.content);
      if (typeof example !== "object" || example === null || Array.isArray(example)) continue;
      const filled = path.replace(":countable", "time").replaceAll(/:\w+/g, unknownId);
      const { status, body: answer } = await send(
        "POST",
        filled,
        { ...example, surplus: "key", name: "Surplus" },
        type,
      );
      const isRejected = status === 422 && JSON.stringify(answer).includes('"surplus"],"msg":"Extra');
      expect([id, isRejected]).toEqual([id, isClosed(requestSchemaOf(id))]);
    }
  });

  /** Sends a request. An answer that differs from the document gets the status 555. */
  async function send(
    method: string,
    path: string,
    body?: unknown,
    type = "application/json",
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${api.url}/api${path}`, {
      method,
      headers: { "Content-Type": type },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status === 555) expect(text).toBe("");
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }
});

const unknownId = "00000000-0000-4000-8000-000000000000";

function exampleOf(id: string, name: string): unknown {
  return allRoutes.find(({ operation }) => operation.id === id)?.operation.body?.examples[name];
}

/** Whether a schema allows no keys but its own, in each of its alternatives. */
function isClosed(schema: object): boolean {
  const { $ref, oneOf, additionalProperties } = schema as {
    $ref?: string;
    oneOf?: object[];
    additionalProperties?: unknown;
  };
  if ($ref !== undefined) {
    return isClosed(document.components.schemas[$ref.replace("#/components/schemas/", "")] ?? {});
  }
  return oneOf === undefined ? additionalProperties === false : oneOf.every(isClosed);
}

// The two directions differ wherever a default is filled in; a mix-up would tell clients that fields may be missing.
test("a component has two forms if what is answered differs from what is sent", () => {
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

function pathsIn(app: Hono): string[] {
  const routes = app.routes
    // The handlers for all methods answer 404.
    .filter(({ method, path }) => method !== "ALL" && !path.startsWith("/api/accounts/"))
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")}`);
  return [...new Set(routes)];
}

const entities: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

/** The parts of an operation that the page shows. */
interface ShownOperation {
  readonly operationId?: string;
  readonly summary: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: object };
  readonly responses: object;
}

/** The places of unions in which two alternatives have the same type, other than an object. */
function unionsWithTwins(schema: unknown, place = ""): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) => {
    const further = unionsWithTwins(value, `${place}/${key}`);
    if ((key !== "anyOf" && key !== "oneOf") || !Array.isArray(value)) return further;
    const plain = value.map(({ type }) => type).filter((type) => type !== undefined && type !== "object");
    return new Set(plain).size === plain.length ? further : [place, ...further];
  });
}
