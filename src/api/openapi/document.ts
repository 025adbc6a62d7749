/**
 * The API as an OpenAPI document, made from the routes. Its schemas are the same objects that requests are checked with.
 *
 * The version is 3.0 because some client generators, such as those for Go, do not read 3.1, and those that read 3.1 also
 * read 3.0. A second document for 3.1 could disagree with this one.
 */

import { z } from "zod";
import { version } from "../../version.ts";
import { commonAnswers } from "../http/answers.ts";
import type { RequestBody } from "../http/request-body.ts";
import { type Answer, type Operation, type Route, route } from "../http/route.ts";
import { tags } from "../http/tags.ts";
import { type JsonSchema, JsonSchemas } from "./json-schemas.ts";

export type OpenApiDocument = ReturnType<typeof openApiDocument>;

/** The base of the API, and the one that clients of Prefect Cloud use. */
const servers = [
  { url: "/api" },
  {
    url: "/api/accounts/{account}/workspaces/{workspace}",
    description: "The same API for one workspace, by name or id, as clients of Prefect Cloud address it.",
    variables: { account: { default: "tripline" }, workspace: { default: "default" } },
  },
];

const description = `Tripline acts on events, and on events that do not come. This is its complete API. Events and
automations follow Prefect's, so Prefect's clients work with it. Bodies are JSON. Times are RFC 3339 in UTC with up to
six decimals. Durations are in seconds; requests may also use strings such as \`90s\` or \`PT90S\`. A trailing slash in a
path makes no difference. Until the first API key is created, the server listens on this machine only and requires no key.`;

/** Makes the document of these routes. */
export function openApiDocument(routes: readonly Route[]) {
  const schemas = new JsonSchemas();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { operation } of routes) {
    const path = pathOf(operation);
    paths[path] ??= operation.outside === true ? { servers: [{ url: "/" }] } : {};
    Object.assign(paths[path]!, { [operation.method]: operationObject(operation, schemas) });
  }
  return {
    openapi: "3.0.3",
    info: { title: "Tripline", version, description },
    servers,
    tags: Object.entries(tags).map(([name, about]) => ({ name, description: about })),
    paths,
    components: {
      schemas: schemas.components(),
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          description: "A key from `tripline keys create`. Required once a key exists.",
        },
        basic: { type: "http", scheme: "basic", description: "The same key, as Prefect's auth string." },
      },
    },
  };
}

/** The document of these routes, made when it is first asked for. */
export function documentOf(routes: readonly Route[]): () => OpenApiDocument {
  let made: OpenApiDocument | null = null;
  return () => {
    made ??= openApiDocument(routes);
    return made;
  };
}

/** `GET /openapi.json`. Open to everyone: it holds nothing private. */
export function documentRoute(document: () => OpenApiDocument): Route {
  let text: string | null = null;
  return route(
    {
      method: "get",
      path: "/openapi.json",
      id: "openApi",
      summary: "Read this document",
      tag: "server",
      scope: null,
      answers: { 200: { description: "An OpenAPI document.", schema: z.record(z.string(), z.unknown()) } },
    },
    (_input, context) => {
      text ??= `${JSON.stringify(document(), null, 2)}\n`;
      return context.body(text, 200, { "Content-Type": "application/json" });
    },
  );
}

/** A path as OpenAPI writes it: `/automations/{id}`. */
export function pathOf({ path }: Pick<Operation, "path">): string {
  return path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}");
}

function operationObject(operation: Operation, schemas: JsonSchemas): JsonSchema {
  const { id, summary, tag, scope, body, query } = operation;
  const parameters = [
    ...pathParameters(operation, schemas),
    ...(query === undefined ? [] : parametersOf(query, "query", schemas)),
  ];
  const needed = scope === null || scope === "any" ? "" : `Requires a key with the scope \`${scope}\`.`;
  const texts = [operation.description, needed].filter((text) => text !== undefined && text !== "");
  return {
    operationId: id,
    summary,
    ...(texts.length === 0 ? {} : { description: texts.join("\n\n") }),
    tags: [tag],
    ...(scope === null
      ? { security: [] }
      : {
          security: [{}, { key: [] }, { basic: [] }],
          ...(scope === "any" ? {} : { "x-tripline-scope": scope }),
        }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBodyObject(body, schemas) }),
    responses: Object.fromEntries(
      Object.entries({ ...commonAnswers(operation), ...operation.answers }).map(([status, answer]) => [
        status,
        responseObject(answer, schemas),
      ]),
    ),
  };
}

const jsonType = "application/json";

function requestBodyObject({ content, required, examples }: RequestBody<unknown>, schemas: JsonSchemas) {
  const named = Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
  const entries = Object.entries(content).map(([type, schema], index) => [
    type,
    { schema: schemas.of(schema, "sent"), ...(index === 0 ? { examples: named } : {}) },
  ]);
  return { required, content: Object.fromEntries(entries) };
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
    ...(schema === undefined ? {} : { content: { [type]: { schema: schemas.of(schema, "answered") } } }),
  };
}

function pathParameters({ path, params }: Operation, schemas: JsonSchemas): JsonSchema[] {
  const declared = params === undefined ? [] : parametersOf(params, "path", schemas);
  return [...path.matchAll(/:(\w+)/g)].map(
    ([, name]) =>
      declared.find((parameter) => parameter["name"] === name) ?? {
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      },
  );
}

function parametersOf(object: z.ZodObject, place: "path" | "query", schemas: JsonSchemas): JsonSchema[] {
  const { properties = {}, required = [] } = schemas.of(object, "sent") as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description: text, ...schema }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(text === undefined ? {} : { description: text }),
    schema,
  }));
}
