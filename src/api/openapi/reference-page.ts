/**
 * `GET /docs`: the OpenAPI document as a web page. The page is self-contained, and its Content-Security-Policy allows
 * nothing else to load or run.
 */

import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import { z } from "zod";
import { type Route, route } from "../http/route.ts";
import type { OpenApiDocument } from "./document.ts";
import type { JsonSchema } from "./json-schemas.ts";
import { pageScript, pageStyle } from "./reference-page-assets.ts";
import { type Html, marked, shape, typeOf } from "./reference-page-schemas.ts";

interface Content {
  readonly schema: JsonSchema;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Readonly<Record<string, Content>> }>
  >;
}

interface PlacedOperation {
  readonly method: string;
  readonly path: string;
  readonly operation: OperationObject;
}

const methods: readonly string[] = ["get", "post", "put", "patch", "delete"];

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const policy = [
  "default-src 'none'",
  `style-src ${hashOf(pageStyle)}`,
  `script-src ${hashOf(pageScript)}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page of a document. */
export function referencePageRoute(document: () => OpenApiDocument): Route {
  let page: string | null = null;
  return route(
    {
      method: "get",
      path: "/docs",
      outside: true,
      id: "referencePage",
      summary: "Read this document as a web page",
      tag: "server",
      scope: null,
      answers: { 200: { description: "A web page.", schema: z.string(), type: "text/html" } },
    },
    (_input, context) => {
      page ??= String(pageOf(document()));
      return context.html(page, 200, { "Content-Security-Policy": policy });
    },
  );
}

function pageOf(document: OpenApiDocument): Html {
  const { info, tags, components } = document;
  const operations = operationsOf(document);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title><style>${raw(pageStyle)}</style></head>
<body><header><h1>${info.title} API <small>${info.version}</small></h1>
<nav>${tags.map(({ name }) => html`<a href="#tag-${name}">${name}</a> `)}<a href="#schemas">schemas</a></nav>
<label><span>Search</span> <input id="search" type="search" placeholder="path, word or schema" autofocus></label></header>
<main><p>${marked(info.description)}</p><p>As JSON: <a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p id="nothing" hidden>No operation or schema has all of these words.</p>
${tags.map(
  ({ name, description }) => html`<section><h2 id="tag-${name}">${name}</h2><p>${description}</p>
${operations.filter(({ operation }) => operation.tags.includes(name)).map(operationPart)}</section>`,
)}
<section><h2 id="schemas">Schemas</h2>${Object.entries(components.schemas).map(schemaPart)}</section></main>
<script>${raw(pageScript)}</script></body></html>`;
}

function operationsOf({ paths, servers }: OpenApiDocument): PlacedOperation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => methods.includes(method))
      .map(([method, operation]) => ({
        method,
        path: "servers" in item ? path : `${servers[0]?.url ?? ""}${path}`,
        operation: operation as OperationObject,
      })),
  );
}

function operationPart({ method, path, operation }: PlacedOperation): Html {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const searched = `${method} ${path} ${operationId} ${summary} ${description ?? ""}`.toLowerCase();
  return html`<details class="entry" id="${operationId}" data-text="${searched}"><summary><b class="${method}">${method.toUpperCase()}</b> <code>${path}</code> <span>${summary}</span></summary>
${description === undefined ? "" : html`<p>${marked(description)}</p>`}
${parameters.length === 0 ? "" : html`<h3>Parameters</h3><table>${parameters.map(parameterRow)}</table>`}
${Object.entries(requestBody?.content ?? {}).map(([type, content]) => bodyPart(type, content, requestBody?.required !== false))}
<h3>Responses</h3><table>${Object.entries(responses).map(
    ([status, { description: about, content = {} }]) =>
      html`<tr><td><code>${status}</code></td><td>${marked(about)}</td><td>${Object.values(content).map(({ schema }) => typeOf(schema))}</td></tr>`,
  )}</table></details>
`;
}

function parameterRow({ name, in: place, required, schema, description = "" }: Parameter): Html {
  return html`<tr><td><code>${name}</code></td><td>${place}${required ? ", required" : ""}</td><td>${typeOf(schema)}</td><td>${marked(description)}</td></tr>`;
}

function bodyPart(type: string, { schema, examples = {} }: Content, required: boolean): Html {
  const shown = Object.entries(examples).map(
    ([name, { value }]) =>
      html`<h3>Example <small>${name}</small></h3><pre><code>${JSON.stringify(value, null, 2)}</code></pre>`,
  );
  return html`<h3>Body <small>${type}${required ? "" : ", optional"}</small></h3>${shape(schema)}${shown}`;
}

function schemaPart([name, schema]: [string, JsonSchema]): Html {
  const { description = "" } = schema as { readonly description?: string };
  return html`<details class="entry" id="schema-${name}" data-text="${name.toLowerCase()}"><summary><code>${name}</code> <span>${description}</span></summary>${shape(schema)}</details>
`;
}
