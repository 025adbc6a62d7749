/**
 * Writes src/client/wire-types.ts, the types of the API's requests and answers, from the API's own schemas:
 * `npm run client-types`.
 *
 * The types that TypeScript derives from the schemas would bring zod and the server's packages into every project that
 * uses the client. These need no package. The file is checked in; test/client/wire-types.test.ts fails if it is out of
 * date, or if one of its types differs from the derived one.
 */

import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { ActivitySchema } from "../src/api/automations/activity.ts";
import { AppliedRulesSchema, AutomationViewSchema } from "../src/api/automations/automation-answers.ts";
import { AutomationCreateSchema, AutomationUpdateSchema } from "../src/api/automations/automation-input.ts";
import { AutomationChangesSchema } from "../src/api/automations/changes.ts";
import { RuleSourceSchema, RulesSchema } from "../src/api/automations/rule-answers.ts";
import { SummariesSchema } from "../src/api/automations/summaries.ts";
import { DeliveryCountsSchema, DeliveryPageSchema } from "../src/api/deliveries/delivery-answers.ts";
import { DeliveryOutcomesSchema } from "../src/api/deliveries/delivery-changes.ts";
import { DestinationTestSchema } from "../src/api/deliveries/message-answers.ts";
import { DestinationsHealthSchema } from "../src/api/destinations/destination-health.ts";
import { DestinationViewSchema } from "../src/api/destinations/destinations.ts";
import { DisabledEndpointSchema } from "../src/api/endpoints/endpoints.ts";
import { EventChainSchema, EventCountSchema, EventPageSchema } from "../src/api/events/event-answers.ts";
import {
  AllExplanationsSchema,
  AllWindowsSchema,
  ExplanationSchema,
  LookupSchema,
  WindowCountsSchema,
  WindowsSchema,
} from "../src/api/explain/explain-answers.ts";
import { TimelineSchema } from "../src/api/explain/timeline-answers.ts";
import { TraceSchema } from "../src/api/explain/trace-answers.ts";
import { ApiKeysSchema, CreatedApiKeySchema, NewApiKeySchema } from "../src/api/keys/keys.ts";
import { AutomationMapSchema } from "../src/api/map/map-answers.ts";
import { asAnswered } from "../src/api/openapi/json-schemas.ts";
import { OverviewSchema } from "../src/api/overview/overview-answers.ts";
import { DoctorReportSchema } from "../src/api/server/doctor.ts";
import { ServerSettingsSchema } from "../src/api/server/settings.ts";
import { SessionSchema } from "../src/api/session/session.ts";
import { ShardsSchema } from "../src/api/shards/shards.ts";
import { DestinationSchema } from "../src/core/model/destination.ts";
import { EventSchema } from "../src/core/model/event.ts";
import { CountRequestSchema } from "../src/history/count-by.ts";

const file = new URL("../src/client/wire-types.ts", import.meta.url);

const sentSchemas = [
  EventSchema,
  AutomationCreateSchema,
  AutomationUpdateSchema,
  DestinationSchema,
  CountRequestSchema,
  NewApiKeySchema,
];
const answeredSchemas = [
  EventPageSchema,
  EventCountSchema,
  EventChainSchema,
  AutomationViewSchema,
  ActivitySchema,
  SummariesSchema,
  AppliedRulesSchema,
  WindowsSchema,
  AllWindowsSchema,
  WindowCountsSchema.element,
  ExplanationSchema,
  AllExplanationsSchema,
  LookupSchema,
  TraceSchema,
  TimelineSchema,
  DeliveryPageSchema,
  DeliveryCountsSchema,
  DeliveryOutcomesSchema,
  DestinationTestSchema,
  DestinationsHealthSchema,
  DestinationViewSchema,
  DisabledEndpointSchema,
  ShardsSchema,
  SessionSchema,
  OverviewSchema,
  RuleSourceSchema,
  RulesSchema,
  AutomationChangesSchema,
  AutomationMapSchema,
  ApiKeysSchema,
  CreatedApiKeySchema,
  ServerSettingsSchema,
  DoctorReportSchema,
];

/** The parts of JSON Schema that zod writes for these schemas. */
interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
}

/** The text of the module. */
export function wireTypesText(): string {
  const sent = definitionsOf(sentSchemas, false);
  const answered = definitionsOf(answeredSchemas, true);
  // Requests and answers differ: answers have all defaults, and durations are seconds.
  const sentName = (name: string) => sentNames.get(name) ?? (answered.has(name) ? `New${name}` : name);
  const declarations = [
    ...[...sent].map(
      ([name, schema]) => [sentName(name), declaration(sentName(name), schema, sentName)] as const,
    ),
    ...[...answered].map(([name, schema]) => [name, declaration(name, schema, (part) => part)] as const),
  ];
  declarations.sort(([a], [b]) => (a < b ? -1 : 1));
  return [header, ...declarations.map(([, text]) => text)].join("\n");
}

const header = `/**
 * Generated from the schemas of the API's requests and answers by \`npm run client-types\`. Edit those instead.
 *
 * @module
 */
`;

/** Without these, the names would suggest the stored form. */
const sentNames = new Map([
  ["Event", "EmittedEvent"],
  ["Destination", "NewDestination"],
]);

/** These schemas by name, and the ones that they refer to. */
function definitionsOf(schemas: readonly z.ZodType[], isAnswer: boolean): Map<string, JsonSchema> {
  const definitions = new Map<string, JsonSchema>();
  for (const schema of schemas) {
    const { $defs = {} } = z.toJSONSchema(schema, {
      io: "input",
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        if (isAnswer) asAnswered(zodSchema as unknown as z.ZodType, jsonSchema as Record<string, unknown>);
      },
    }) as JsonSchema;
    const needed = new Set([schema.meta()?.id ?? ""]);
    for (const name of needed) {
      const found = $defs[name];
      if (found === undefined) throw new Error(`A schema of the API has no id: ${name}`);
      definitions.set(name, found);
      for (const [, reference = ""] of JSON.stringify(found).matchAll(/"#\/\$defs\/([^"]+)"/g))
        needed.add(reference);
    }
  }
  return definitions;
}

type NameOf = (definition: string) => string;

function declaration(name: string, schema: JsonSchema, nameOf: NameOf): string {
  const type = typeText(schema, nameOf);
  const isObject = type.startsWith("{") && schema.properties !== undefined;
  return `${comment(schema.description)}export ${isObject ? `interface ${name} ${type}` : `type ${name} = ${type};`}\n`;
}

/** A schema as a TypeScript type. Everything is readonly: the client never changes its arguments. */
function typeText(schema: JsonSchema, nameOf: NameOf): string {
  const { $ref, anyOf, oneOf, type } = schema;
  if ($ref !== undefined) return nameOf($ref.replace("#/$defs/", ""));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return unionOf(schema.enum.map((value) => JSON.stringify(value)));
  // Next to a type, `oneOf` only says which keys exclude each other.
  const options = anyOf ?? (type === undefined ? oneOf : undefined);
  if (options !== undefined) return unionOf(options.map((option) => typeText(option, nameOf)));
  if (typeof type === "object")
    return unionOf(type.map((option) => typeText({ ...schema, type: option }, nameOf)));
  switch (type) {
    case "string":
    case "boolean":
    case "null":
      return type;
    case "number":
    case "integer":
      return "number";
    case "array":
      return arrayText(schema, nameOf);
    case "object":
      return objectText(schema, nameOf);
    default:
      return "unknown";
  }
}

function unionOf(types: readonly string[]): string {
  return [...new Set(types)].join(" | ");
}

function arrayText({ items, prefixItems }: JsonSchema, nameOf: NameOf): string {
  if (prefixItems !== undefined) {
    return `readonly [${prefixItems.map((item) => typeText(item, nameOf)).join(", ")}]`;
  }
  const item = items === undefined ? "unknown" : typeText(items, nameOf);
  return /^[\w"]+$/.test(item) ? `readonly ${item}[]` : `readonly (${item})[]`;
}

function objectText(schema: JsonSchema, nameOf: NameOf): string {
  const { properties, additionalProperties, required = [] } = schema;
  const others =
    typeof additionalProperties === "object" ? typeText(additionalProperties, nameOf) : "unknown";
  // Labels: which ones are required is not part of the type, as in the server.
  if (properties === undefined) return `{ readonly [key: string]: ${others} }`;
  const lines = Object.entries(properties).map(([key, property]) => {
    const name = /^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key);
    const isRequired = required.includes(key);
    const type = typeText(property, nameOf);
    // JSON omits undefined, so undefined is the same as leaving the key out.
    return `${comment(property.description)}readonly ${name}${isRequired ? "" : "?"}: ${type}${isRequired ? "" : " | undefined"};`;
  });
  return `{\n${lines.join("\n")}\n}`;
}

function comment(description: string | undefined): string {
  return description === undefined ? "" : `/** ${description.replaceAll("*/", "*\\/")} */\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) writeFileSync(file, wireTypesText());
