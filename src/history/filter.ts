/**
 * Filters for events: Prefect's EventFilter as clients write it, and its resolved form.
 *
 * `EventFilterSchema` validates what clients send. `resolveFilter` fills in the times that were left out, and drops
 * conditions that restrict nothing. A resolved filter is plain JSON, so that a page token can hold it.
 */

import { z } from "zod";
import { UuidSchema } from "../core/model/event.ts";
import { filterConditionsMax } from "../core/model/limits.ts";
import { isRecord } from "../core/model/record.ts";
import { day, type Micros, parseTime } from "../core/model/time.ts";
import { SpecificationSchema } from "../core/model/trigger.ts";
import { comparable } from "./text.ts";
import { parseTextQuery, type TextQuery } from "./text-query.ts";

/** How far back a filter without `since` looks. */
const sinceDaysDefault = 180;
const textQueryLengthMax = 200;

export interface LabelTest {
  readonly label: string;
  /** Globs; the label's value must match one of them. If the list is empty, nothing passes. */
  readonly patterns: readonly string[];
}

/** Conditions on one resource. All must hold. Each list holds alternatives; an empty one restricts nothing. */
export interface ResourceTest {
  readonly ids: readonly string[];
  readonly idPrefixes: readonly string[];
  readonly roles: readonly string[];
  readonly idsInRoles: readonly (readonly [id: string, role: string])[];
  readonly labels: readonly LabelTest[];
}

export interface EventFilter {
  /** `since` and `until` are inclusive. */
  readonly since: Micros;
  readonly until: Micros;
  readonly prefixes: readonly string[];
  readonly names: readonly string[];
  readonly excludedPrefixes: readonly string[];
  readonly excludedNames: readonly string[];
  /** At most one test, which the primary resource must pass. */
  readonly resource: readonly ResourceTest[];
  /** Tests that must each be passed by some related resource. */
  readonly related: readonly ResourceTest[];
  /** Tests that must each be passed by the primary resource or some related one. */
  readonly anyResource: readonly ResourceTest[];
  /** Alternative event ids; any id if empty. */
  readonly ids: readonly string[];
  readonly text: TextQuery;
  readonly order: "ASC" | "DESC";
  /** Return only the first event, in this order, of each primary resource. Does not affect what matches. */
  readonly distinct: boolean;
}

const Texts = z.array(z.string()).nullish();

/** A time as people write it. */
export const WrittenTimeSchema = z
  .string()
  .refine(
    (text) => parseTime(text) !== null,
    "Input should be a valid RFC 3339 date-time, such as 2026-03-01T09:30:00Z",
  )
  .meta({ format: "date-time", description: "RFC 3339. Without an offset, it is in UTC." });

const Time = WrittenTimeSchema.nullish();

const Labels = SpecificationSchema.nullish().describe(
  "Maps a label to a pattern or a list of patterns. `*` matches any text, `?` one character; a leading `!` negates.",
);

const PrimaryResource = z.strictObject({
  id: Texts,
  id_prefix: Texts,
  labels: Labels,
  distinct: z.boolean().nullish(),
});
const AnyResource = z.strictObject({ id: Texts, id_prefix: Texts, labels: Labels });
const RelatedResource = z.strictObject({
  id: Texts,
  role: Texts,
  resources_in_roles: z.array(z.tuple([z.string(), z.string()])).nullish(),
  labels: Labels,
});

/** An object or a list of objects. Unlike a union, it reports exactly where a mistake is. */
function oneOrMany<T extends z.ZodType>(item: T) {
  const { $schema: _, ...shape } = z.toJSONSchema(item, { io: "input", unrepresentable: "any" });
  return z
    .custom<z.input<T> | readonly z.input<T>[] | null | undefined>()
    .transform((value: unknown, context): z.output<T>[] => {
      if (value === null || value === undefined) return [];
      const isSingle = !Array.isArray(value);
      const parsed = z.array(item).safeParse(isSingle ? [value] : value);
      if (parsed.success) return parsed.data;
      for (const issue of parsed.error.issues) {
        const path = isSingle ? issue.path.slice(1) : [...issue.path];
        context.issues.push({
          ...issue,
          path,
          input: valueAt(value, path),
        } as (typeof context.issues)[number]);
      }
      return z.NEVER;
    })
    .optional()
    .meta({ anyOf: [shape, { type: "array", items: shape }, { type: "null" }] });
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (parent, key) => (parent as Record<PropertyKey, unknown> | null | undefined)?.[key],
    value,
  );
}

/** Prefect's EventFilter. Every part may be left out or null. Unknown keys are errors at every level. */
export const EventFilterSchema = z
  .strictObject({
    occurred: z.strictObject({ since: Time, until: Time }).nullish(),
    event: z
      .strictObject({ prefix: Texts, exclude_prefix: Texts, name: Texts, exclude_name: Texts })
      .nullish(),
    resource: PrimaryResource.nullish(),
    related: oneOrMany(RelatedResource),
    any_resource: oneOrMany(AnyResource),
    id: z.strictObject({ id: z.array(UuidSchema).nullish() }).nullish(),
    text: z
      .strictObject({
        query: z
          .string()
          .refine(
            (text) => [...text].length <= textQueryLengthMax,
            `A text query may have at most ${textQueryLengthMax} characters`,
          )
          .meta({ maxLength: textQueryLengthMax })
          .nullish(),
      })
      .nullish(),
    order: z.enum(["ASC", "DESC"]).nullish(),
  })
  .superRefine((filter, context) => {
    const count = conditionsIn(filter);
    if (count <= filterConditionsMax) return;
    const message = `A filter may hold at most ${filterConditionsMax} prefixes, labels, patterns and tests of resources; this one holds ${count}. Ask in several requests`;
    context.addIssue({ code: "custom", message, params: { type: "too_long" } });
  })
  .meta({ id: "EventFilter", description: "Selects events. All conditions must hold." });

/** Whole names and ids. Databases look them up together, however many they are. */
const exactLists: ReadonlySet<string> = new Set(["name", "exclude_name", "id"]);

/** How many conditions a filter makes of what it holds: one for each text that is not a whole name or id. */
function conditionsIn(value: unknown, isLabels = false): number {
  if (typeof value === "string") return 1;
  if (Array.isArray(value))
    return value.reduce<number>((sum, part) => sum + Math.max(conditionsIn(part), 1), 0);
  if (!isRecord(value)) return 0;
  let count = 0;
  for (const [key, part] of Object.entries(value)) {
    if (isLabels || !exactLists.has(key) || isRecord(part)) count += conditionsIn(part, key === "labels");
  }
  return count;
}

/** A valid filter as a client wrote it. */
export type WrittenFilter = z.output<typeof EventFilterSchema>;

/**
 * Resolves a valid filter.
 *
 * @param now the default of `until`; the default of `since` is 180 days before the start of this day
 */
export function resolveFilter(written: WrittenFilter | null | undefined, now: Micros): EventFilter {
  const { occurred, event, resource, related, any_resource, id, text, order } = written ?? {};
  return {
    since: timeOr(occurred?.since, Math.floor(now / day) * day - sinceDaysDefault * day),
    until: timeOr(occurred?.until, now),
    prefixes: comparables(event?.prefix),
    names: comparables(event?.name),
    excludedPrefixes: comparables(event?.exclude_prefix),
    excludedNames: comparables(event?.exclude_name),
    resource: testsOf([resource ?? {}]),
    related: testsOf(related ?? []),
    anyResource: testsOf(any_resource ?? []),
    ids: id?.id ?? [],
    text: parseTextQuery(text?.query ?? ""),
    order: order ?? "DESC",
    distinct: resource?.distinct ?? false,
  };
}

/** As `resolveFilter`, for events of any time: those looked up by an id, whatever their sender's clock says. */
export function resolveFilterOfAllTime(written: WrittenFilter): EventFilter {
  return { ...resolveFilter(written, 0), since: 0, until: Number.MAX_SAFE_INTEGER };
}

type WrittenTest = Partial<Omit<z.output<typeof RelatedResource> & z.output<typeof AnyResource>, "distinct">>;

/** Resolves tests, without those that restrict nothing. */
function testsOf(written: readonly WrittenTest[]): ResourceTest[] {
  return written
    .map(({ id, id_prefix, role, resources_in_roles, labels }) => ({
      ids: comparables(id),
      idPrefixes: comparables(id_prefix),
      roles: comparables(role),
      idsInRoles: (resources_in_roles ?? []).map(([id, role]): [string, string] => [
        comparable(id),
        comparable(role),
      ]),
      labels: Object.entries(labels ?? {}).map(([label, patterns]) => ({
        label: comparable(label),
        patterns: comparables(typeof patterns === "string" ? [patterns] : patterns),
      })),
    }))
    .filter((test) => Object.values(test).some((list) => list.length > 0));
}

function comparables(texts: readonly string[] | null | undefined): string[] {
  return [...new Set((texts ?? []).map(comparable))];
}

function timeOr(text: string | null | undefined, otherwise: Micros): Micros {
  return (text === null || text === undefined ? null : parseTime(text)) ?? otherwise;
}
