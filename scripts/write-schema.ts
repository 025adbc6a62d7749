/** Writes the JSON Schemas that editors use to check and complete rule files, and the cases that test them. */

import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { CaseFileSchema, CaseSchema } from "../src/cases/case-schema.ts";
import { AutomationSchema } from "../src/core/model/automation.ts";
import { DestinationSchema } from "../src/core/model/destination.ts";
import { HookSchema } from "../src/core/model/hook.ts";

type JsonSchema = Record<string, unknown>;

const listNames = ["automations", "destinations", "hooks", "webhooks"];

/** The schema for a document of a rule file, as text. */
export function rulesSchemaText(): string {
  const all = z.object({ automation: AutomationSchema, destination: DestinationSchema, hook: HookSchema });
  const schema = z.toJSONSchema(all, { io: "input", unrepresentable: "any" });
  const { Trigger, Action, Destination, Signature, ...definitions } = forEditors(schema.$defs) as Record<
    string,
    JsonSchema
  >;
  const file = {
    $schema: schema.$schema,
    $id: "tripline.schema.json",
    title: "Tripline rules",
    description: "An automation, or lists of automations, destinations and hooks.",
    ...choice({ anyOf: listNames.map((name) => ({ required: [name] })) }, reference("Lists"), {
      ...choice({ required: ["type"] }, reference("Destination"), reference("Automation")),
    }),
    $defs: {
      ...definitions,
      Lists: {
        type: "object",
        properties: {
          automations: {
            description: "What to watch for, and what to do about it.",
            type: "array",
            items: reference("Automation"),
          },
          destinations: {
            description: "Named places that webhooks and notifications go to.",
            type: "array",
            items: reference("Destination"),
          },
          hooks: {
            description: "Requests that other services send, and the events to make from them.",
            type: "array",
            items: reference("Hook"),
          },
          webhooks: {
            description: "The former name of hooks.",
            deprecated: true,
            type: "array",
            items: reference("Hook"),
          },
        },
        additionalProperties: false,
      },
      ...chosenByType("Trigger", Trigger!, definitions, "event"),
      ...chosenByType("Action", Action!, definitions, null),
      ...chosenByType("Destination", Destination!, definitions, null),
      ...chosenByType("Signature", Signature!, definitions, null),
      Reference: {
        description: "A value from the environment: ${env.NAME} or ${env.NAME:-default}.",
        type: "string",
        pattern: "^\\$\\{env\\.",
      },
    },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** The schema for a document of a `*.test.yaml`, as text. */
export function casesSchemaText(): string {
  const all = z.object({ file: CaseFileSchema, case: CaseSchema.meta({ id: "Case" }) });
  const { $schema, $defs, properties } = z.toJSONSchema(all, { io: "input", unrepresentable: "any" });
  const { file } = properties as Record<string, JsonSchema & { properties: JsonSchema }>;
  const schema = {
    $schema,
    $id: "tripline.test.schema.json",
    title: "Tripline cases",
    description: "Cases that test rules: events at times, and the firings that are expected.",
    ...file,
    properties: {
      ...file?.properties,
      cases: { type: "array", minItems: 1, items: reference("Case") },
    },
    $defs,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** Adapts a schema to editors: allows references in place of numbers and enums, removes noise, and allows upper-case UUIDs. */
function forEditors(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(forEditors);
  if (typeof part !== "object" || part === null) return part;
  const schema = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, forEditors(value)]));
  if (schema["maximum"] === Number.MAX_SAFE_INTEGER) delete schema["maximum"];
  if (schema["minimum"] === Number.MIN_SAFE_INTEGER) delete schema["minimum"];
  if (typeof schema["pattern"] === "string")
    schema["pattern"] = schema["pattern"].replaceAll("a-f", "a-fA-F");
  const isText =
    schema["type"] === "string" && schema["enum"] === undefined && schema["pattern"] === undefined;
  const isScalar = ["string", "number", "integer", "boolean"].includes(String(schema["type"]));
  if (!isScalar || isText || schema["const"] !== undefined) return schema;
  const { description, default: fallback, ...rest } = schema;
  return { description, default: fallback, anyOf: [rest, reference("Reference")] };
}

/**
 * A definition that chooses an option by its `type`. For a plain union, an editor would show the mistakes of every option.
 * This way it shows only the mistakes of the chosen option, and completes its keys.
 *
 * @param typeDefault the type of the option that may leave it out
 */
function chosenByType(
  name: string,
  union: JsonSchema,
  known: Readonly<Record<string, JsonSchema>>,
  typeDefault: string | null,
): Record<string, JsonSchema> {
  const options = new Map<string, JsonSchema>();
  for (const option of union["oneOf"] as JsonSchema[]) {
    const definition = known[String(option["$ref"]).replace("#/$defs/", "")] ?? option;
    const { type } = definition["properties"] as Record<string, JsonSchema>;
    options.set(String(type?.["const"]), option);
  }
  const chosen = [...options].map(([type, option]) => {
    const isNamed = { required: ["type"], properties: { type: { const: type } } };
    const isMeant = type === typeDefault ? { anyOf: [isNamed, { not: { required: ["type"] } }] } : isNamed;
    return choice(isMeant, option);
  });
  const definition = {
    type: "object",
    properties: {
      type: {
        description: `Which kind of ${name.toLowerCase()} this is.`,
        default: typeDefault ?? undefined,
        enum: [...options.keys()],
      },
    },
    required: typeDefault === null ? ["type"] : undefined,
    allOf: chosen,
  };
  return { [name]: definition };
}

function reference(name: string): JsonSchema {
  return { $ref: `#/$defs/${name}` };
}

function choice(condition: JsonSchema, yes: JsonSchema, no?: JsonSchema): JsonSchema {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  return { if: condition, then: yes, else: no };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(new URL("../rules/tripline.schema.json", import.meta.url), rulesSchemaText());
  writeFileSync(new URL("../rules/tripline.test.schema.json", import.meta.url), casesSchemaText());
}
