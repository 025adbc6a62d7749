/**
 * Zod schemas as JSON Schema for an OpenAPI 3.0 document. Named schemas are shared components.
 *
 * The input of a schema can differ from its output: defaults are filled in, and durations become seconds. Where the two
 * differ, the component for answers gets a different name.
 */

import { z } from "zod";
import { DurationSchema } from "../../core/model/trigger.ts";
import { asOpenApi30, definitions, withNamedOptions } from "./open-api-30.ts";

export type JsonSchema = Record<string, unknown>;

/** Whether a schema describes what is sent to the server, or what it answers. */
export type Direction = "sent" | "answered";

/** Collects the components of one document. */
export class JsonSchemas {
  readonly #found: Record<Direction, Map<string, JsonSchema>> = { sent: new Map(), answered: new Map() };
  readonly #references: JsonSchema[] = [];

  /** Converts a schema. Its references are complete once `components` has been called. */
  of(schema: z.ZodType, direction: Direction): JsonSchema {
    const { definitions: parts = {}, ...root } = z.toJSONSchema(schema, {
      target: "openapi-3.0",
      io: "input", // the output of a transformation is unknown
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        if (direction === "answered") asAnswered(zodSchema as unknown as z.ZodType, jsonSchema as JsonSchema);
      },
    }) as { definitions?: Record<string, JsonSchema> } & JsonSchema;
    const converted = Object.entries(parts).map(([name, part]) => [name, asOpenApi30(part)] as const);
    for (const [name, part] of Object.entries(withNamedOptions(Object.fromEntries(converted)))) {
      if (this.#found[direction].has(name)) continue;
      this.#found[direction].set(name, this.#withReferences(part, direction));
    }
    return this.#withReferences(asOpenApi30(root), direction);
  }

  /** Returns all components by name, and gives every reference its final name. */
  components(): Record<string, JsonSchema> {
    const { sent, answered } = this.#found;
    const own = new Set(
      [...answered].filter(([name, schema]) => differs(schema, sent.get(name))).map(([name]) => name),
    );
    // A component that refers to one with two forms has two forms itself.
    for (let before = -1; before !== own.size; ) {
      before = own.size;
      for (const [name, schema] of answered) {
        if (sent.has(name) && referencesIn(schema).some((reference) => own.has(reference))) own.add(name);
      }
    }
    const finalName = (name: string, direction: string) =>
      direction === "answered" && own.has(name) ? `${name}Output` : name;
    const components = [
      ...[...sent].map(([name, schema]) => [name, schema] as const),
      ...[...answered].map(([name, schema]) => [finalName(name, "answered"), schema] as const),
    ];
    for (const reference of this.#references) {
      for (const [key, place] of Object.entries(reference)) {
        const [direction = "", name = ""] = String(place).split(" ");
        reference[key] = `#/components/schemas/${finalName(name, direction)}`;
      }
    }
    // Zod also defines the schemas that a schema was derived from, even if nothing refers to them.
    const needed = new Set(this.#references.flatMap((reference) => Object.values(reference)));
    this.#references.length = 0;
    const referred = components.filter(([name]) => needed.has(`#/components/schemas/${name}`));
    return Object.fromEntries(referred.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  }

  /** Copies a schema, with references that hold the direction until they get their final names. */
  #withReferences(value: unknown, direction: Direction): JsonSchema {
    const visit = (part: unknown): unknown => {
      if (Array.isArray(part)) return part.map(visit);
      if (typeof part !== "object" || part === null) return part;
      const copy = Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, visit(inner)]));
      const places = Object.values(copy);
      if (places.length > 0 && places.every(isReference)) {
        for (const [key, place] of Object.entries(copy)) {
          copy[key] = `${direction} ${String(place).replace(definitions, "")}`;
        }
        this.#references.push(copy);
      }
      return copy;
    };
    return visit(value) as JsonSchema;
  }
}

/** True for `#/definitions/Name`, as `$ref` or in the mapping of a discriminator. */
function isReference(value: unknown): boolean {
  return typeof value === "string" && value.startsWith(definitions);
}

/** What is always there once these were transformed: of what a transformation yields, zod knows nothing. */
const requiredOf: Readonly<Record<string, readonly string[]>> = {
  EventTrigger: [
    ...["type", "id", "match", "match_related", "after", "expect", "for_each"],
    ...["posture", "threshold", "within"],
  ],
  CompoundTrigger: ["type", "id", "triggers", "within", "require"],
  SequenceTrigger: ["type", "id", "triggers", "within"],
};

/** Turns an input schema into an output schema: defaults are present, and later versions may add keys. */
export function asAnswered(zodSchema: z.ZodType, jsonSchema: JsonSchema): void {
  if (isDuration(zodSchema)) {
    for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
    Object.assign(jsonSchema, { type: "number", description: "Seconds." });
  }
  // A masked secret need not match the pattern of a secret.
  delete jsonSchema["pattern"];
  const transformed = requiredOf[zodSchema.meta()?.id ?? ""];
  if (transformed !== undefined) jsonSchema["required"] = [...transformed];
  if (!(zodSchema instanceof z.ZodObject)) return;
  const required = Object.entries(zodSchema.shape).flatMap(([key, field]) =>
    isAnswered(field as z.ZodType) ? [key] : [],
  );
  delete jsonSchema["required"];
  if (required.length > 0) jsonSchema["required"] = required;
  if (jsonSchema["additionalProperties"] === false) delete jsonSchema["additionalProperties"];
}

/** True for the schema of durations, and for those with further checks. */
function isDuration(schema: z.ZodType): boolean {
  for (let part: unknown = schema; part !== undefined; part = (part as z.ZodType)._zod.parent) {
    if (part === DurationSchema) return true;
  }
  return false;
}

/** Whether a field is there in every answer: it was required, or has a default. */
function isAnswered(field: z.ZodType): boolean {
  const withoutValue = field.safeParse(undefined);
  return !withoutValue.success || withoutValue.data !== undefined;
}

function differs(answered: JsonSchema, sent: JsonSchema | undefined): boolean {
  const comparable = (schema: JsonSchema) =>
    JSON.stringify(schema, (_key, value: unknown) =>
      typeof value === "string" ? value.replace(/^(?:sent|answered) /, "") : value,
    );
  return sent !== undefined && comparable(answered) !== comparable(sent);
}

function referencesIn(schema: JsonSchema): string[] {
  return [...JSON.stringify(schema).matchAll(/"(?:sent|answered) ([^"]+)"/g)].map(([, name = ""]) => name);
}
