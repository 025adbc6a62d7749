/**
 * Request bodies, as routes declare them: the schema, examples, and how the body is read.
 *
 * The OpenAPI document and the check both use the declared schema. A handler that checks the body itself receives
 * that schema together with the body.
 */

import type { z } from "zod";
import { isRecord } from "../../core/model/record.ts";
import { breathe } from "../../retry/slices.ts";
import { type JsonLimits, readJson, readOptionalJson, requestLimits } from "./body.ts";
import { invalidRequest, mistakesOf } from "./refusal.ts";

/** A request body that is read as a `T`. */
export interface RequestBody<T> {
  /** The schema of each media type. */
  readonly content: Readonly<Record<string, z.ZodType>>;
  readonly required: boolean;
  /** Valid bodies of the first media type, by name. */
  readonly examples: Readonly<Record<string, unknown>>;
  /** @throws Refusal 413, 415 or 422 */
  read(request: Request): Promise<T>;
}

interface JsonBodyOptions {
  readonly examples: RequestBody<unknown>["examples"];
  /** Treats a missing body as `{}`. */
  readonly optional?: boolean;
  /** What the body may hold. Default: `requestLimits`. */
  readonly limits?: Partial<JsonLimits>;
  /** True if the body may hold secrets. A refusal then repeats none of it. */
  readonly holdsSecrets?: boolean;
}

/** A JSON body that its schema checks completely before the handler runs. */
export function jsonBody<S extends z.ZodType>(
  schema: S,
  { examples, optional = false, limits, holdsSecrets = false }: JsonBodyOptions,
): RequestBody<z.output<S>> {
  return {
    content: { "application/json": schema },
    required: !optional,
    examples,
    read: async (request) => {
      const allowed = { ...requestLimits, ...limits };
      const { value } = await (optional ? readOptionalJson(request, allowed) : readJson(request, allowed));
      const parsed = schema.safeParse(optional ? (value ?? {}) : value);
      if (parsed.success) return parsed.data;
      const shown = holdsSecrets ? null : value;
      throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], shown), shown);
    },
  };
}

/** The check of long lists stops after this many mistakes. */
const issuesMax = 100;

/**
 * A JSON body with secrets and long lists, whose items are checked one after the other, so that no body keeps the process
 * busy.
 *
 * @param lists the schemas of the items, by field. The items are checked with these instead of `schema`
 */
export function jsonBodyOfLists<S extends z.ZodObject>(
  schema: S,
  lists: Readonly<Record<string, z.ZodType>>,
  { examples, limits }: Pick<JsonBodyOptions, "examples" | "limits">,
): RequestBody<z.output<S>> {
  return {
    content: { "application/json": schema },
    required: true,
    examples,
    read: async (request) => {
      const { value } = await readJson(request, { ...requestLimits, ...limits });
      const sent = isRecord(value) ? value : {};
      const fields = Object.keys(lists).filter((field) => Array.isArray(sent[field]));
      const emptied = { ...sent, ...Object.fromEntries(fields.map((field) => [field, []])) };
      const whole = schema.safeParse(fields.length === 0 ? value : emptied);
      const issues = whole.success ? [] : [...whole.error.issues];
      const read: Record<string, unknown[]> = {};
      for (const field of fields) {
        read[field] = [];
        for (const [index, item] of (sent[field] as unknown[]).entries()) {
          if (issues.length >= issuesMax) break;
          await breathe();
          const parsed = lists[field]?.safeParse(item);
          if (parsed?.success === true) read[field].push(parsed.data);
          for (const issue of parsed?.error?.issues ?? [])
            issues.push({ ...issue, path: [field, index, ...issue.path] });
        }
      }
      if (issues.length > 0) throw invalidRequest(mistakesOf(issues, ["body"], null), null);
      return { ...(whole.data as object), ...read } as z.output<S>;
    },
  };
}

/** A JSON body that nothing has checked yet, with the schema that the document promises. */
export interface UncheckedBody<S extends z.ZodType> {
  readonly value: unknown;
  readonly schema: S;
}

/**
 * A JSON body that the handler checks itself, because the check depends on more than the request: what is already
 * stored, or who is asking. The handler gets the declared schema together with the value, so it has no reason to name
 * another one.
 */
export function jsonBodyForHandler<S extends z.ZodType>(
  schema: S,
  { examples, limits }: Pick<JsonBodyOptions, "examples" | "limits">,
): RequestBody<UncheckedBody<S>> {
  return {
    content: { "application/json": schema },
    required: true,
    examples,
    read: async (request) => {
      const { value } = await readJson(request, { ...requestLimits, ...limits });
      return { value, schema };
    },
  };
}

/** A body that is still in the request, with the schema that the document promises. */
export interface UnreadBody<S extends z.ZodType> {
  readonly request: Request;
  readonly schema: S;
}

/** A body that the handler reads itself: because it is not always JSON, or because the metrics count what it holds. */
export function bodyForHandler<S extends z.ZodType>(
  type: string,
  schema: S,
  { examples, optional = false }: Pick<JsonBodyOptions, "examples" | "optional">,
): RequestBody<UnreadBody<S>> {
  return {
    content: { [type]: schema },
    required: !optional,
    examples,
    read: async (request) => ({ request, schema }),
  };
}
