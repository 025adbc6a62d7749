/** Finds the part of a zod schema that describes a place in a value. */

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

/** The keys that a mapping at `path` may have; null when any key is allowed, or the value is not a mapping. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[], value: unknown): string[] | null {
  const definition = definitionAt(schema, path, value);
  return definition?.shape === undefined ? null : Object.keys(definition.shape);
}

/** The types that would allow `key` in the mapping at `path`. Empty when the mapping gives its type. */
export function typesWith(
  schema: z.ZodType,
  path: readonly PropertyKey[],
  value: unknown,
  key: string,
): string[] {
  const found = partAt(schema, path, value);
  if (found === null) return [];
  const { discriminator, options = [] } = peel(found.schema);
  if (discriminator === undefined || childOf(found.value, discriminator) !== undefined) return [];
  return options.flatMap((option) => {
    const { shape } = peel(option);
    const type = shape?.[discriminator];
    return type === undefined || shape?.[key] === undefined ? [] : (peel(type).values ?? []).map(String);
  });
}

function definitionAt(schema: z.ZodType, path: readonly PropertyKey[], value: unknown): Definition | null {
  const found = partAt(schema, path, value);
  return found === null ? null : unwrap(found.schema, found.value);
}

/** The schema and the value at `path`. */
function partAt(
  schema: z.ZodType,
  [step, ...rest]: readonly PropertyKey[],
  value: unknown,
): { schema: z.ZodType; value: unknown } | null {
  if (step === undefined) return { schema, value };
  const { shape, element, valueType } = unwrap(schema, value);
  const child = shape?.[String(step)] ?? element ?? valueType;
  return child === undefined ? null : partAt(child, rest, childOf(value, step));
}

/** Unwraps defaults, transformations and other wrappers. */
function peel(schema: z.ZodType): Definition {
  const definition = schema._zod.def as unknown as Definition;
  const inner = definition.innerType ?? definition.in ?? definition.getter?.();
  return inner === undefined ? definition : peel(inner);
}

/** Unwraps a schema, and chooses the option of a union by the type in `value`. */
function unwrap(schema: z.ZodType, value: unknown): Definition {
  const definition = peel(schema);
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
