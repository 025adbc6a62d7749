/**
 * What a route declares about the body of its requests: the schema, which is checked and documented alike, examples,
 * and how the body is read.
 */

import type { z } from "zod";
import { readJson, readOptionalJson } from "./body.ts";
import { nestsDeeper } from "./json-depth.ts";
import { invalidRequest, mistakesOf } from "./refusal.ts";

/** A request body that reads as a `T`. */
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
  /** A request without a body means the same as one with `{}`. */
  readonly optional?: boolean;
  /** How deep the body may nest: a bound for schemas that refer to themselves. */
  readonly depthMax?: number;
  /** The body may hold secrets, so no refusal repeats any of it. */
  readonly holdsSecrets?: boolean;
}

/** A JSON body that its schema checks completely. */
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

/**
 * A JSON body that the handler checks with the same schema, because that takes more than the request: what is stored
 * already, or who is asking.
 */
export function jsonBodyForHandler(
  schema: z.ZodType,
  { examples, depthMax }: JsonBodyOptions,
): RequestBody<unknown> {
  return {
    content: { "application/json": schema },
    required: true,
    examples,
    read: async (request) => {
      const { value } = await readJson(request);
      if (depthMax !== undefined) checkDepth(value, depthMax);
      return value;
    },
  };
}

/** A body that the handler reads from the request itself: not always JSON, or counted while it is read. */
export function bodyForHandler(
  content: RequestBody<unknown>["content"],
  { examples, optional = false }: Pick<JsonBodyOptions, "examples" | "optional">,
): RequestBody<undefined> {
  return { content, required: !optional, examples, read: async () => undefined };
}

/** @throws Refusal 422, which repeats nothing: what nests so deep is expensive to show */
function checkDepth(value: unknown, depthMax: number): void {
  if (!nestsDeeper(value, depthMax)) return;
  const msg = `The body nests more than ${depthMax} levels deep`;
  throw invalidRequest([{ type: "too_deep", loc: ["body"], msg, input: null }], null);
}
