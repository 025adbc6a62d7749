/** `GET /docs`: the OpenAPI document as a page for people. It is whole: nothing is fetched from anywhere. */

import { Hono } from "hono";
import { docsScript, docsStyle } from "./docs-assets.ts";
import type { JsonSchema } from "./json-schemas.ts";
import { theDocument } from "./openapi.ts";

interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly (JsonSchema & {
    name: string;
    in: string;
    required: boolean;
    schema: JsonSchema;
  })[];
  readonly requestBody?: { required: boolean; content: Record<string, { schema: JsonSchema }> };
  readonly responses: Record<
    string,
    { description: string; content?: Record<string, { schema: JsonSchema }> }
  >;
}

interface Document {
  readonly info: { title: string; version: string; description: string };
  readonly servers: readonly { url: string }[];
  readonly tags: readonly { name: string; description: string }[];
  readonly paths: Record<string, Record<string, OperationObject>>;
  readonly components: { readonly schemas: Record<string, JsonSchema> };
}

const methods: readonly string[] = ["get", "post", "put", "patch", "delete"];

let page: string | null = null;

export function docsRoutes(): Hono {
  const routes = new Hono();
  routes.get("/docs", (context) => {
    page ??= docsPage(theDocument().document as unknown as Document);
    // Nothing but what is in the page itself may run or be loaded.
    const policy =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    return context.html(page, 200, { "Content-Security-Policy": policy });
  });
  return routes;
}

function docsPage({ info, tags, paths, components, servers }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methodsOf]) =>
    Object.entries(methodsOf)
      .filter(([method]) => methods.includes(method))
      .map(([method, operation]) => ({
        method,
        path: "servers" in methodsOf ? path : `${servers[0]?.url ?? ""}${path}`,
        operation,
      })),
  );
  const sections = tags.map(({ name, description }) => {
    const ofTag = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<section><h2 id="tag-${escaped(name)}">${escaped(name)}</h2><p>${escaped(description)}</p>${ofTag
      .map(({ method, path, operation }) => operationPart(method, path, operation))
      .join("")}</section>`;
  });
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details class="entry" id="schema-${escaped(name)}" data-text="${escaped(name.toLowerCase())}"><summary><code>${escaped(name)}</code> <span>${escaped(text(schema["description"]))}</span></summary>${shape(schema)}</details>`,
  );
  const links = [
    ...tags.map(({ name }) => `<a href="#tag-${escaped(name)}">${escaped(name)}</a>`),
    '<a href="#schemas">shapes</a>',
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)} API</title><style>${docsStyle}</style></head>
<body><header><h1>${escaped(info.title)} API <small>${escaped(info.version)}</small></h1>
<nav>${links.join(" ")}</nav>
<label><span>Search</span> <input id="search" type="search" placeholder="path, word or shape" autofocus></label></header>
<main><p>${marked(info.description)}</p><p>As a document for programs: <a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p id="nothing" hidden>Nothing here has all of these words.</p>
${sections.join("\n")}
<section><h2 id="schemas">Shapes</h2>${schemas.join("\n")}</section></main>
<script>${docsScript}</script></body></html>`;
}

function operationPart(method: string, path: string, operation: OperationObject): string {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const parts = [description === undefined ? "" : `<p>${marked(description)}</p>`];
  if (parameters.length > 0) {
    const rows = parameters.map(
      ({ name, in: place, required, schema, description: about }) =>
        `<tr><td><code>${escaped(name)}</code></td><td>${escaped(place)}${required ? ", required" : ""}</td><td>${typeOf(schema)}</td><td>${marked(text(about ?? schema["description"]))}</td></tr>`,
    );
    parts.push(`<h4>Parameters</h4><table>${rows.join("")}</table>`);
  }
  for (const [type, { schema }] of Object.entries(requestBody?.content ?? {})) {
    const optional = requestBody?.required === false ? ", may be left out" : "";
    parts.push(`<h4>Body <small>${escaped(type)}${optional}</small></h4>${shape(schema)}`);
  }
  const rows = Object.entries(responses).map(([status, { description: about, content = {} }]) => {
    const schemas = Object.values(content).map(({ schema }) => typeOf(schema));
    return `<tr><td><code>${escaped(status)}</code></td><td>${marked(about)}</td><td>${schemas.join(", ")}</td></tr>`;
  });
  parts.push(`<h4>Answers</h4><table>${rows.join("")}</table>`);
  const searched = `${method} ${path} ${operationId} ${summary} ${description ?? ""}`.toLowerCase();
  return `<details class="entry" id="${escaped(operationId)}" data-text="${escaped(searched)}"><summary><b class="${method}">${method.toUpperCase()}</b> <code>${escaped(path)}</code> <span>${escaped(summary)}</span></summary>${parts.join("")}</details>`;
}

/** A schema with its properties. */
function shape(schema: JsonSchema): string {
  const options = (schema["oneOf"] ?? schema["anyOf"]) as JsonSchema[] | undefined;
  if (options !== undefined) {
    return `<p>One of:</p><ul>${options.map((option) => `<li>${typeOf(option)}${inner(option)}</li>`).join("")}</ul>`;
  }
  return `<p>${typeOf(schema)}</p>${inner(schema)}`;
}

function inner(schema: JsonSchema): string {
  const required = (schema["required"] ?? []) as string[];
  const properties = Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>);
  if (properties.length === 0) return "";
  const rows = properties.map(([name, property]) => {
    const fallback =
      property["default"] === undefined
        ? ""
        : ` Default <code>${escaped(JSON.stringify(property["default"]))}</code>.`;
    return `<tr><td><code>${escaped(name)}</code>${required.includes(name) ? " <i>required</i>" : ""}</td><td>${typeOf(property)}${nested(property)}</td><td>${marked(text(property["description"]))}${fallback}</td></tr>`;
  });
  return `<table>${rows.join("")}</table>`;
}

function nested(property: JsonSchema): string {
  const items = property["items"];
  const parts = [property, ...((property["anyOf"] ?? []) as JsonSchema[])];
  if (typeof items === "object" && items !== null) parts.push(items as JsonSchema);
  return parts.map(inner).join("");
}

/** A schema in a few words. */
function typeOf(schema: JsonSchema): string {
  const reference = schema["$ref"];
  if (typeof reference === "string") {
    const name = escaped(reference.replace("#/components/schemas/", ""));
    return `<a href="#schema-${name}">${name}</a>`;
  }
  if (schema["const"] !== undefined) return `<code>${escaped(JSON.stringify(schema["const"]))}</code>`;
  const values = schema["enum"] as unknown[] | undefined;
  if (values !== undefined)
    return values.map((value) => `<code>${escaped(JSON.stringify(value))}</code>`).join(" or ");
  const options = (schema["oneOf"] ?? schema["anyOf"]) as JsonSchema[] | undefined;
  if (options !== undefined) return [...new Set(options.map(typeOf))].join(" or ");
  const { type, items, format } = schema;
  if (type === "array")
    return `list of ${typeof items === "object" && items !== null ? typeOf(items as JsonSchema) : "anything"}`;
  const types = Array.isArray(type) ? type.join(" or ") : text(type);
  return escaped(typeof format === "string" ? format : types === "" ? "anything" : types);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Text with `code` in it. */
function marked(written: string): string {
  return escaped(written)
    .replaceAll(/`([^`]+)`/g, "<code>$1</code>")
    .replaceAll("\n\n", "</p><p>");
}

function escaped(written: string): string {
  return written
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
