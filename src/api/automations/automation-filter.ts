/** Which automations a query selects, and in what order: the body of `POST /automations/filter`. */

import { z } from "zod";
import type { Automation } from "../../core/model/automation.ts";
import { UuidSchema } from "../../core/model/event.ts";
import { type Micros, parseTime } from "../../core/model/time.ts";
import { mapInSlices } from "../../retry/slices.ts";
import { Refusal } from "../http/refusal.ts";

const Texts = z.array(z.string()).nullish();

const FilterSchema = z.strictObject({
  id: z
    .strictObject({ any_: z.array(UuidSchema).nullish() })
    .nullish()
    .meta({ description: "By id." }),
  name: z.strictObject({ any_: Texts }).nullish().meta({ description: "By whole names, case-sensitive." }),
  tags: z
    .strictObject({
      operator: z.enum(["and_", "or_"]).nullish(),
      all_: Texts.meta({ description: "Has all of these." }),
      any_: Texts.meta({ description: "Has at least one of these." }),
      is_null_: z.boolean().nullish().meta({ description: "true: has no tags; false: has some." }),
    })
    .nullish(),
  created: z
    .strictObject({
      before_: z
        .string()
        .refine((text) => parseTime(text) !== null, "Input should be an RFC 3339 date-time")
        .nullish(),
    })
    .nullish()
    .meta({ description: "By the time of creation." }),
  operator: z
    .enum(["and_", "or_"])
    .nullish()
    .meta({ description: "Whether all criteria must hold (and_), or one." }),
});

export const automationSorts = ["NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC"] as const;

export const automationsPerPageMax = 200;

export const AutomationQuerySchema = z
  .object({
    automations: FilterSchema.nullish(),
    sort: z.enum(automationSorts).nullish().meta({ description: "Default NAME_ASC." }),
    limit: z
      .int()
      .nullish()
      .meta({ description: "The default is the maximum.", minimum: 0, maximum: automationsPerPageMax }),
    offset: z.int().min(0, "Input should be greater than or equal to 0").nullish(),
  })
  .meta({ id: "AutomationQuery" });

export type AutomationFilter = z.infer<typeof FilterSchema>;

export interface AutomationQuery {
  readonly filter: AutomationFilter;
  readonly sort: (typeof automationSorts)[number];
  readonly limit: number;
  readonly offset: number;
}

/**
 * Reads a checked body.
 *
 * @throws Refusal 422 for a limit out of range, in the form of Prefect's server
 */
export function automationQueryOf(body: z.infer<typeof AutomationQuerySchema>): AutomationQuery {
  const { automations, sort, offset } = body;
  const limit = body.limit ?? automationsPerPageMax;
  if (limit < 0 || limit > automationsPerPageMax) {
    const detail = `Invalid limit: ${limit}; it must be from 0 to ${automationsPerPageMax}.`;
    throw new Refusal(422, "invalid", { detail });
  }
  return { filter: automations ?? {}, sort: sort ?? "NAME_ASC", limit, offset: offset ?? 0 };
}

/** The page that a query asks for. */
export async function selectAutomations(
  automations: readonly Automation[],
  { filter, sort, limit, offset }: AutomationQuery,
): Promise<Automation[]> {
  const isWanted = compileFilter(filter);
  const wanted = await mapInSlices(automations, (automation) => isWanted(automation));
  const found = automations.filter((_, index) => wanted[index]);
  return found.sort(orders[sort]).slice(offset, offset + limit);
}

/** An empty list of alternatives is met by nothing, as in Prefect. */
function compileFilter(filter: AutomationFilter): (automation: Automation) => boolean {
  const { tags, created } = filter;
  const [ids, names] = [setOf(filter.id?.any_), setOf(filter.name?.any_)];
  const [allTags, anyTags] = [setOf(tags?.all_), setOf(tags?.any_)];
  return (automation) => {
    const own = new Set(automation.tags);
    const ofTags = [
      verdict(allTags, (all) => all.size <= own.size && [...all].every((tag) => own.has(tag))),
      verdict(anyTags, (any) => automation.tags.some((tag) => any.has(tag))),
      verdict(tags?.is_null_, (none) => (own.size === 0) === none),
    ].flat();
    return combined(
      [
        verdict(ids, (wanted) => wanted.has(automation.id)),
        verdict(names, (wanted) => wanted.has(automation.name)),
        verdict(created?.before_, (time) => automation.created <= (parseTime(time) ?? 0)),
        ofTags.length === 0 ? [] : [combined(ofTags, tags?.operator)],
      ].flat(),
      filter.operator,
    );
  };
}

function setOf(texts: readonly string[] | null | undefined): ReadonlySet<string> | null {
  return texts === null || texts === undefined ? null : new Set(texts);
}

/** The verdict of a criterion; none if it is not given. */
function verdict<T>(given: T | null | undefined, holds: (given: T) => boolean): boolean[] {
  return given === null || given === undefined ? [] : [holds(given)];
}

function combined(found: readonly boolean[], operator: "and_" | "or_" | null | undefined): boolean {
  if (found.length === 0) return true;
  return operator === "or_" ? found.includes(true) : !found.includes(false);
}

type Order = (a: Automation, b: Automation) => number;

const byId: Order = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const byName: Order = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : byId(a, b));
const latestFirst =
  (timeOf: (automation: Automation) => Micros): Order =>
  (a, b) =>
    timeOf(b) - timeOf(a) || byId(a, b);

const orders: Readonly<Record<(typeof automationSorts)[number], Order>> = {
  NAME_ASC: byName,
  NAME_DESC: (a, b) => byName(b, a),
  CREATED_DESC: latestFirst(({ created }) => created),
  UPDATED_DESC: latestFirst(({ updated }) => updated),
};
