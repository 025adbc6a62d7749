/**
 * Zod's schemas as JSON Schema for an OpenAPI document: named ones are shared components.
 *
 * A schema reads one thing and yields another: defaults are filled in, durations become seconds. So what is sent and
 * what is answered differ, and where they do, the answer's component has a name of its own.
 */

import { z } from "zod";
import { DurationSchema } from "../../core/model/trigger.ts";

export type JsonSchema = Record<string, unknown>;

/** Whether a schema says what is sent to the server, or what is answered. */
export type Direction = "sent" | "answered";

/** Gathers the components of one document. */
export class JsonSchemas {
  readonly #found: Record<Direction, Map<string, JsonSchema>> = { sent: new Map(), answered: new Map() };
  readonly #references: JsonSchema[] = [];

  /** The schema as the document may hold it. It is complete once `components` was called. */
  of(schema: z.ZodType, direction: Direction): JsonSchema {
    const {
      $schema: _,
      $defs = {},
      ...root
    } = z.toJSONSchema(schema, {
      io: "input", // the output of a transformation is known to nobody
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        if (direction === "answered") asAnswered(zodSchema as unknown as z.ZodType, jsonSchema as JsonSchema);
      },
    });
    for (const [name, definition] of Object.entries($defs)) {
      if (!this.#found[direction].has(name)) {
        this.#found[direction].set(name, this.#mended(definition, direction));
      }
    }
    return this.#mended(root, direction);
  }

  /** All components, by name. Gives every reference its final name. */
  components(): Record<string, JsonSchema> {
    const { sent, answered } = this.#found;
    const own = new Set(
      [...answered].filter(([name, schema]) => differs(schema, sent.get(name))).map(([name]) => name),
    );
    // What refers to a component with two forms has two forms itself.
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
      const [direction = "", name = ""] = String(reference["$ref"]).split(" ");
      reference["$ref"] = `#/components/schemas/${finalName(name, direction)}`;
    }
    // A part that a schema was derived from is among its definitions, though nothing refers to it.
    const needed = new Set(this.#references.map((reference) => reference["$ref"]));
    this.#references.length = 0;
    const referred = components.filter(([name]) => needed.has(`#/components/schemas/${name}`));
    return Object.fromEntries(referred.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  }

  /** Without zod's own keys, and with references that say in which direction they are meant. */
  #mended(value: unknown, direction: Direction): JsonSchema {
    const visit = (part: unknown, isSchema: boolean): unknown => {
      if (Array.isArray(part)) return part.map((item) => visit(item, true));
      if (typeof part !== "object" || part === null) return part;
      const mended: JsonSchema = {};
      for (const [key, inner] of Object.entries(part)) {
        if (isSchema && key === "id" && typeof inner === "string") continue;
        if (isSchema && (inner === Number.MAX_SAFE_INTEGER || inner === Number.MIN_SAFE_INTEGER)) continue;
        // Keys below `properties` are names, those of a schema are words.
        const isVerbatim = key === "default" || key === "const" || key === "enum" || key === "examples";
        mended[key] = isVerbatim && isSchema ? inner : visit(inner, !(isSchema && key === "properties"));
      }
      if (isSchema && typeof mended["$ref"] === "string") {
        mended["$ref"] = `${direction} ${mended["$ref"].replace("#/$defs/", "")}`;
        this.#references.push(mended);
      }
      // The pattern cannot say that case makes no difference.
      if (isSchema && mended["format"] === "uuid") delete mended["pattern"];
      return mended;
    };
    return visit(value, true) as JsonSchema;
  }
}

/** Makes of what may be sent what is answered: all defaults are there, and more keys may come in later versions. */
function asAnswered(zodSchema: z.ZodType, jsonSchema: JsonSchema): void {
  if (zodSchema === DurationSchema) {
    for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
    Object.assign(jsonSchema, { type: "number", description: "Seconds." });
  }
  // A masked secret need not look like one.
  delete jsonSchema["pattern"];
  if (!(zodSchema instanceof z.ZodObject)) return;
  const required = Object.entries(zodSchema.shape).flatMap(([key, field]) =>
    (field as z.ZodType)._zod.optout === undefined ? [key] : [],
  );
  delete jsonSchema["required"];
  if (required.length > 0) jsonSchema["required"] = required;
  if (jsonSchema["additionalProperties"] === false) delete jsonSchema["additionalProperties"];
}

function differs(answered: JsonSchema, sent: JsonSchema | undefined): boolean {
  const comparable = (schema: JsonSchema) =>
    JSON.stringify(schema, (key, value: unknown) =>
      key === "$ref" && typeof value === "string" ? (value.split(" ")[1] ?? value) : value,
    );
  return sent !== undefined && comparable(answered) !== comparable(sent);
}

function referencesIn(schema: JsonSchema): string[] {
  return [...JSON.stringify(schema).matchAll(/"\$ref":"(?:sent|answered) ([^"]+)"/g)].map(
    ([, name = ""]) => name,
  );
}
