/**
 * JSON Schema in the dialect of OpenAPI 3.0, in forms that all client generators understand: null becomes `nullable`, and
 * the options of a union by `type` become components with a discriminator.
 */

import type { JsonSchema } from "./json-schemas.ts";

/** Keywords whose values are data, not schemas. */
const verbatim: readonly string[] = ["default", "enum", "example", "mapping"];

/** Converts a schema, and removes what OpenAPI 3.0 does not know. */
export function asOpenApi30(schema: JsonSchema): JsonSchema {
  const visit = (value: unknown, isSchema: boolean): unknown => {
    if (Array.isArray(value)) return value.map((item) => visit(item, true));
    if (typeof value !== "object" || value === null) return value;
    const copy: JsonSchema = {};
    for (const [key, inner] of Object.entries(value)) {
      // Below `properties`, keys are names. In a schema, they are keywords.
      if (isSchema && isLeftOut(key, inner)) continue;
      copy[key] =
        isSchema && verbatim.includes(key) ? inner : visit(inner, !(isSchema && key === "properties"));
    }
    return isSchema ? normalized(copy) : copy;
  };
  return visit(schema, true) as JsonSchema;
}

function isLeftOut(key: string, value: unknown): boolean {
  // The first is Zod's, and 3.0 does not know the second.
  if (key === "id" || key === "propertyNames") return true;
  if (key === "maximum" || key === "minimum") return Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER;
  // Defaults of lists and objects are always empty ones, and ogen cannot express them.
  if (key === "default") return typeof value === "object";
  // These say which fields exclude each other. Generators mistake them for types.
  return (
    key === "oneOf" && (value as JsonSchema[]).every((option) => Object.keys(option).join() === "required")
  );
}

function normalized(schema: JsonSchema): JsonSchema {
  // The pattern does not allow for uppercase letters.
  if (schema["format"] === "uuid") delete schema["pattern"];
  const { prefixItems, ...others } = schema;
  if (Array.isArray(prefixItems)) return { ...others, items: anyOf(prefixItems) };
  // Lists of anything: 3.0 requires `items`.
  if (schema["type"] === "array") schema["items"] ??= {};
  for (const key of ["anyOf", "oneOf"]) {
    const options = schema[key] as JsonSchema[] | undefined;
    if (options === undefined) continue;
    const others = options.filter((option) => !isNull(option));
    if (others.length === options.length) continue;
    delete schema[key];
    const [only] = others;
    if (others.length > 1 || only === undefined) schema[key] = others;
    else if ("$ref" in only) schema["allOf"] = [only];
    else Object.assign(schema, { ...only, ...schema });
    schema["nullable"] = true;
  }
  // Absent says the same as null, and oapi-codegen's Go does not compile with both.
  const further = schema["additionalProperties"];
  if (typeof further === "object" && further !== null && "anyOf" in further) {
    delete (further as JsonSchema)["nullable"];
  }
  // ogen cannot express the default of a value with several types.
  if ("default" in schema && ("anyOf" in schema || "oneOf" in schema)) {
    const { default: fallback, description = "", ...others } = schema;
    return { ...others, description: `${description} Default: \`${fallback}\`.`.trim() };
  }
  return schema;
}

function isNull({ type, enum: values }: JsonSchema): boolean {
  return type === "null" || (Array.isArray(values) && values.length === 1 && values[0] === null);
}

/** A schema that accepts what any of these accepts. */
function anyOf(schemas: readonly JsonSchema[]): JsonSchema {
  const distinct = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  const [only = {}] = distinct;
  return distinct.length === 1 ? only : { anyOf: distinct };
}

/**
 * Makes each option of a union by `type` a component, and the union one with a discriminator: in `Action` the option
 * `call-webhook` becomes `CallWebhookAction`.
 *
 * @param components by name
 */
export function withNamedOptions(
  components: Readonly<Record<string, JsonSchema>>,
): Record<string, JsonSchema> {
  const found: Record<string, JsonSchema> = { ...components };
  for (const [name, schema] of Object.entries(components)) {
    const options = (schema["oneOf"] ?? []) as readonly JsonSchema[];
    const named = options.map((option) => namedOption(option, name, components));
    if (named.length === 0 || !named.every((option) => option !== null)) continue;
    for (const { component, option } of named) found[component] = requiringType(option);
    const mapping = Object.fromEntries(named.map(({ type, reference }) => [type, reference]));
    found[name] = {
      ...schema,
      oneOf: named.map(({ reference }) => ({ $ref: reference })),
      discriminator: { propertyName: "type", mapping },
    };
  }
  return found;
}

interface NamedOption {
  readonly type: string;
  readonly component: string;
  readonly reference: string;
  readonly option: JsonSchema;
}

/** @returns null when the option has no single `type` */
function namedOption(
  option: JsonSchema,
  union: string,
  components: Readonly<Record<string, JsonSchema>>,
): NamedOption | null {
  const known = typeof option["$ref"] === "string" ? option["$ref"].replace(definitions, "") : null;
  const schema = known === null ? option : components[known];
  const { type } = (schema?.["properties"] ?? {}) as {
    readonly type?: { readonly enum?: readonly unknown[] };
  };
  const [only, ...others] = type?.enum ?? [];
  if (schema === undefined || typeof only !== "string" || others.length > 0) return null;
  const component = known ?? `${pascalCase(only)}${union}`;
  return { type: only, component, reference: `${definitions}${component}`, option: schema };
}

/** The server treats a missing `type` as one of the options, but clients should always send it. */
function requiringType(schema: JsonSchema): JsonSchema {
  const required = (schema["required"] ?? []) as readonly string[];
  return required.includes("type") ? schema : { ...schema, required: ["type", ...required] };
}

/** Zod puts named schemas here. */
export const definitions = "#/definitions/";

function pascalCase(text: string): string {
  return text.replaceAll(/(?:^|-)([a-z])/g, (_found, letter: string) => letter.toUpperCase());
}
