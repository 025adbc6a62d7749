/** How a route declares itself for the OpenAPI document. */

import type { z } from "zod";
import type { Scope } from "../../../core/model/scope.ts";

export interface Answer {
  readonly description: string;
  /** Left out, the answer has no body. */
  readonly schema?: z.ZodType;
  /** By default application/json. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** As OpenAPI writes it (`/automations/{id}`), below the base of the API. */
  readonly path: string;
  /** True for a path that lies beside the API, such as /metrics. */
  readonly outside?: boolean;
  /** Unique: what generated clients call it. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  /** What a key needs for it; `any` when every key will do, null for what needs none. */
  readonly scope: Scope | "any" | null;
  /** An object of the parameters in the query. */
  readonly query?: z.ZodObject;
  /** What the parameters in the path are; a text by default. */
  readonly parameters?: Readonly<Record<string, z.ZodType>>;
  readonly body?: z.ZodType;
  /** By default application/json. */
  readonly bodyTypes?: readonly string[];
  readonly bodyOptional?: boolean;
  readonly answers: Readonly<Record<number, Answer>>;
}
