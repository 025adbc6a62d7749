/** Finds the part of a zod schema that is in charge of a place in a value. */

import type { z } from "zod";

interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly getter?: () => z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly options?: readonly z.ZodType[];
  readonly discriminator?: string;
  readonly values?: readonly unknown[];
}

/** The keys that a mapping at `path` may have, or null when it may have any, or is no mapping. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[], value: unknown): string[] | null {
  const definition = definitionAt(schema, path, value);
  return definition?.shape === undefined ? null : Object.keys(definition.shape);
}

function definitionAt(schema: z.ZodType, path: readonly PropertyKey[], value: unknown): Definition | null {
  const definition = unwrap(schema, value);
  const [step, ...rest] = path;
  if (step === undefined) return definition;
  const child = definition.shape?.[String(step)] ?? definition.element ?? definition.valueType;
  return child === undefined ? null : definitionAt(child, rest, childOf(value, step));
}

/** Goes through defaults, transformations and the like, and chooses the option that `value` names by its type. */
function unwrap(schema: z.ZodType, value: unknown): Definition {
  const definition = schema._zod.def as unknown as Definition;
  const inner = definition.innerType ?? definition.in ?? definition.getter?.();
  if (inner !== undefined) return unwrap(inner, value);
  const { discriminator, options } = definition;
  if (discriminator === undefined || options === undefined) return definition;
  const named = childOf(value, discriminator);
  const candidates = options.map((option) => unwrap(option, value));
  return candidates.find(({ shape }) => takes(shape?.[discriminator], named)) ?? definition;
}

function takes(schema: z.ZodType | undefined, value: unknown): boolean {
  return schema?.safeParse(value).success ?? false;
}

function childOf(value: unknown, step: PropertyKey): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
  return (value as Record<PropertyKey, unknown>)[step];
}
