/** Schemas on the reference page. */

import { html, raw } from "hono/html";
import type { JsonSchema } from "./json-schemas.ts";

export type Html = ReturnType<typeof html>;

/** A schema with its properties. */
export function shape(schema: JsonSchema): Html {
  const options = optionsOf(schema);
  if (options === null) return html`<p>${typeOf(schema)}</p>${properties(schema)}`;
  const items = options.map((option) => html`<li>${typeOf(option)}${properties(option)}</li>`);
  return html`<p>One of:</p><ul>${items}</ul>`;
}

/** The type of a schema in a few words. */
export function typeOf(schema: JsonSchema): Html {
  const { nullable, ...rest } = schema;
  return nullable === true ? html`${typeOf(rest)} or null` : plainTypeOf(schema);
}

function plainTypeOf(schema: JsonSchema): Html {
  const { $ref: reference, allOf, enum: values, type, items, format } = schema;
  if (typeof reference === "string") {
    const name = reference.replace("#/components/schemas/", "");
    return html`<a href="#schema-${name}">${name}</a>`;
  }
  const [only] = (allOf ?? []) as JsonSchema[];
  if (only !== undefined) return typeOf(only);
  if (Array.isArray(values)) {
    return joined(values.map((value) => html`<code>${JSON.stringify(value)}</code>`));
  }
  const options = optionsOf(schema);
  if (options !== null) return joined(options.map(typeOf));
  if (type === "array") {
    return html`list of ${typeof items === "object" && items !== null ? typeOf(items as JsonSchema) : "anything"}`;
  }
  return html`${typeof format === "string" ? format : typeof type === "string" ? type : "anything"}`;
}

/** Prose with `code` in it. */
export function marked(text: string): Html {
  const parts = text.split(/`([^`]+)`/);
  return html`${parts.map((part, index) =>
    index % 2 === 1
      ? html`<code>${part}</code>`
      : part
          .split("\n\n")
          .map((line, position) => (position === 0 ? html`${line}` : html`${raw("</p><p>")}${line}`)),
  )}`;
}

function properties(schema: JsonSchema): Html {
  const required = (schema["required"] ?? []) as string[];
  const entries = Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>);
  if (entries.length === 0) return html``;
  return html`<table>${entries.map(([name, property]) => propertyRow(name, property, required.includes(name)))}</table>`;
}

function propertyRow(name: string, property: JsonSchema, isRequired: boolean): Html {
  const { description = "", default: fallback } = property as { description?: string; default?: unknown };
  const shownDefault = fallback === undefined ? "" : html` Default <code>${JSON.stringify(fallback)}</code>.`;
  return html`<tr><td><code>${name}</code>${isRequired ? html` <i>required</i>` : ""}</td><td>${typeOf(property)}${nested(property)}</td><td>${marked(description)}${shownDefault}</td></tr>`;
}

/** The properties of the objects inside a property. */
function nested(property: JsonSchema): Html {
  const { items } = property;
  const parts = [property, ...(optionsOf(property) ?? [])];
  if (typeof items === "object" && items !== null) parts.push(items as JsonSchema);
  return html`${parts.map(properties)}`;
}

function optionsOf(schema: JsonSchema): readonly JsonSchema[] | null {
  return (schema["oneOf"] ?? schema["anyOf"] ?? null) as readonly JsonSchema[] | null;
}

/** Several alternatives, each once. */
function joined(parts: readonly Html[]): Html {
  const distinct = [...new Map(parts.map((part) => [String(part), part])).values()];
  return html`${distinct.map((part, index) => (index === 0 ? part : html` or ${part}`))}`;
}
