/**
 * Request bodies, as routes declare them: the schema, examples, and how the body is read.
 *
 * The OpenAPI document and the check both use the declared schema. A handler that checks the body itself receives
 * that schema together with the body.
 */

import type { z } from "zod";
import { readJson, readOptionalJson } from "./body.ts";
import { nestsDeeper } from "./json-depth.ts";
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
  /** Maximum nesting depth. Required for schemas that refer to themselves. */
  readonly depthMax?: number;
  /** True if the body may hold secrets. A refusal then repeats none of it. */
  readonly holdsSecrets?: boolean;
}

/** A JSON body that its schema checks completely before the handler runs. */
export function jsonBody<S extends z.ZodType>(
  schema: S,
  { examples, optional = false, depthMax, holdsSecrets = false }: JsonBodyOptions,
): RequestBody<z.output<S>> {
  return {
    content: { "application/json": schema },
    required: !optional,
    examples,
    read: async (request) => {
      const { value } = await (optional ? readOptionalJson(request) : readJson(request));
      if (depthMax !== undefined) checkDepth(value, depthMax);
      const parsed = schema.safeParse(optional ? (value ?? {}) : value);
      if (parsed.success) return parsed.data;
      const shown = holdsSecrets ? null : value;
      throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], shown), shown);
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
  { examples, depthMax }: Pick<JsonBodyOptions, "examples" | "depthMax">,
): RequestBody<UncheckedBody<S>> {
  return {
    content: { "application/json": schema },
    required: true,
    examples,
    read: async (request) => {
      const { value } = await readJson(request);
      if (depthMax !== undefined) checkDepth(value, depthMax);
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

/** @throws Refusal 422, without an excerpt: a deeply nested value is expensive to print */
function checkDepth(value: unknown, depthMax: number): void {
  if (!nestsDeeper(value, depthMax)) return;
  const msg = `The body nests more than ${depthMax} levels deep`;
  throw invalidRequest([{ type: "too_deep", loc: ["body"], msg, input: null }], null);
}
