/** The API as an OpenAPI 3.1 document, made from the very schemas that requests are checked with. */

import { Hono } from "hono";
import { version } from "../../version.ts";
import { type JsonSchema, JsonSchemas } from "./json-schemas.ts";
import { allOperations, tags } from "./operations/all.ts";
import { commonAnswers } from "./operations/common.ts";
import type { Answer, Operation } from "./operations/operation.ts";

/** Where the API lies, and where Prefect Cloud's clients look for it. */
const servers = [
  { url: "/api" },
  {
    url: "/api/accounts/{account}/workspaces/{workspace}",
    description: "The same, as Prefect Cloud's clients address it: the workspace by its name or id.",
    variables: { account: { default: "tripline" }, workspace: { default: "default" } },
  },
];

const description = `Tripline acts on events, and on events that do not come. This is its whole API; events and
automations follow Prefect's, so that Prefect's clients work here. Bodies are JSON. Times are RFC 3339 in UTC with up
to six decimals; durations are seconds, or texts such as \`90s\` or \`PT90S\` where they are sent. While there are no
keys the server listens on this machine only and asks for none.`;

/** The document. */
export function openApiDocument(operations: readonly Operation[] = allOperations): Record<string, unknown> {
  const schemas = new JsonSchemas();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= operation.outside === true ? { servers: [{ url: "/" }] } : {};
    Object.assign(paths[operation.path]!, { [operation.method]: operationObject(operation, schemas) });
  }
  return {
    openapi: "3.1.1",
    info: { title: "Tripline", version, summary: "A reactive automations engine.", description },
    servers,
    tags,
    paths,
    components: {
      schemas: schemas.components(),
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "A key of `tripline keys create`, once there is any.",
        },
        basic: { type: "http", scheme: "basic", description: "The same key, as Prefect's auth string." },
      },
    },
  };
}

function operationObject(operation: Operation, schemas: JsonSchemas): JsonSchema {
  const { id, summary, tag, scope, body } = operation;
  const parameters = [...pathParameters(operation, schemas), ...queryParameters(operation, schemas)];
  const needed = scope === null || scope === "any" ? "" : `Needs a key with the scope \`${scope}\`.`;
  const told = [operation.description, needed].filter((text) => text !== undefined && text !== "");
  return {
    operationId: id,
    summary,
    ...(told.length === 0 ? {} : { description: told.join("\n\n") }),
    tags: [tag],
    ...(scope === null
      ? { security: [] }
      : {
          security: [{}, { key: [] }, { basic: [] }],
          ...(scope === "any" ? {} : { "x-tripline-scope": scope }),
        }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: operation.bodyOptional !== true,
            content: contentOf(operation.bodyTypes ?? [jsonType], schemas.of(body, "sent")),
          },
        }),
    responses: Object.fromEntries(
      Object.entries({ ...commonAnswers(operation), ...operation.answers }).map(([status, answer]) => [
        status,
        responseObject(answer, schemas),
      ]),
    ),
  };
}

const jsonType = "application/json";

function contentOf(types: readonly string[], schema: JsonSchema): JsonSchema {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function responseObject(answer: Answer, schemas: JsonSchemas): JsonSchema {
  const { schema, headers = {}, type = jsonType } = answer;
  const headerObjects = Object.entries(headers).map(([name, text]) => [
    name,
    { description: text, schema: { type: "string" } },
  ]);
  return {
    description: answer.description,
    ...(headerObjects.length === 0 ? {} : { headers: Object.fromEntries(headerObjects) }),
    ...(schema === undefined ? {} : { content: contentOf([type], schemas.of(schema, "answered")) }),
  };
}

function pathParameters({ path, parameters = {} }: Operation, schemas: JsonSchemas): JsonSchema[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => {
    const schema = parameters[name];
    return {
      name,
      in: "path",
      required: true,
      schema: schema === undefined ? { type: "string" } : schemas.of(schema, "sent"),
    };
  });
}

function queryParameters({ query }: Operation, schemas: JsonSchemas): JsonSchema[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemas.of(query, "sent") as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description: text, ...schema }]) => ({
    name,
    in: "query",
    required: required.includes(name),
    ...(text === undefined ? {} : { description: text }),
    schema,
  }));
}

let made: { readonly text: string; readonly document: Record<string, unknown> } | null = null;

/** The document, made once. */
export function theDocument(): { readonly text: string; readonly document: Record<string, unknown> } {
  if (made === null) {
    const document = openApiDocument();
    made = { text: `${JSON.stringify(document, null, 2)}\n`, document };
  }
  return made;
}

/** `GET /openapi.json`; open to everybody, since it says nothing about anybody. */
export function openApiRoutes(): Hono {
  const routes = new Hono();
  routes.get("/openapi.json", (context) =>
    context.body(theDocument().text, 200, { "Content-Type": "application/json" }),
  );
  return routes;
}
