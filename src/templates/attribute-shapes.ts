/** What the attributes and methods of values are, as far as it is known before a template is rendered. */

import { nearMiss } from "../core/model/near-miss.ts";
import type { Argument, AttributePath } from "./ast.ts";
import { filters } from "./filters.ts";
import { mappingMethods, numberMethods, textMethods } from "./methods.ts";
import {
  any,
  certain,
  knownAttributes,
  maybe,
  number,
  resource,
  type Shape,
  shownShape,
  text,
} from "./shapes.ts";
import { timeAttributes } from "./times.ts";
import { resourceAttributes } from "./values.ts";

/** Reports a mistake. @param at where it is in the template */
export type ReportTypeMistake = (at: number, problem: string) => void;

/** A chain of attributes, such as `firing.window.count`. */
export function attributesShape(
  owner: Shape,
  { names, places }: Pick<AttributePath, "names" | "places">,
  report: ReportTypeMistake,
): Shape {
  let shape = owner;
  let isMaybe = false;
  for (const [index, name] of names.entries()) {
    if (shape.kind === "maybe") isMaybe = true;
    const object = certain(shape);
    const rest = names.slice(index);
    if (
      object.kind === "mapping" &&
      object.of !== "any" &&
      rest.length > 1 &&
      !isResourceAttribute(object, name)
    ) {
      return maybe(text); // a label with dots, such as labels.prefect.resource.id
    }
    shape = attributeShape(object, name, places[index] ?? 0, report);
    if (shape.kind === "any") return any;
  }
  return isMaybe ? maybe(shape) : shape;
}

function attributeShape(object: Shape, name: string, at: number, report: ReportTypeMistake): Shape {
  switch (object.kind) {
    case "any":
    case "missing":
    case "namespace":
      return any;
    case "record":
      return fieldShape(object, name, at, report, true);
    case "mapping":
      if (object.of === "any") return maybe(object.entry);
      if (isResourceAttribute(object, name)) return name === "labels" ? resource : maybe(text);
      if (mappingMethods.has(name)) {
        report(at, `${name} is a method: write ${name}(), or ["${name}"] for a label of that name`);
        return any;
      }
      return maybe(text);
    case "text":
      if (timeAttributes.some((known) => known === name) && object.of !== "id")
        return object.of === "time" ? number : maybe(number);
      break;
    case "tuple": {
      // The pairs of groupby.
      const [key = any, items] = object.items;
      if (object.items.length === 2 && items?.kind === "list" && (name === "grouper" || name === "list"))
        return name === "list" ? items : key;
      break;
    }
    default:
      break;
  }
  const known = knownAttributes(object);
  const near = nearMiss(name, known)?.word;
  const remedy = isMethodOf(object, name)
    ? `; it is a method: write ${name}()`
    : filters.has(name)
      ? `; use the filter: … | ${name}`
      : near !== undefined
        ? ` (did you mean ${near}?)`
        : known.length > 0
          ? `; it has ${known.join(", ")}`
          : isListShape(object)
            ? `; take it from each item: … | map(attribute="${name}")`
            : "; it would print nothing";
  report(at, `${shownShape(object)} has no attribute ${name}${remedy}`);
  return any;
}

/** A field of a mapping whose keys are known. @param orMethod whether a method of that name may be meant */
export function fieldShape(
  record: Extract<Shape, { kind: "record" }>,
  name: string,
  at: number,
  report: ReportTypeMistake,
  orMethod = false,
): Shape {
  const fields = record.fields();
  if (Object.hasOwn(fields, name)) return fields[name] ?? any;
  const known = Object.keys(fields);
  const near = nearMiss(name, known)?.word;
  const remedy =
    orMethod && mappingMethods.has(name)
      ? `; it is a method: write ${name}()`
      : near === undefined
        ? `; it has ${known.join(", ")}`
        : ` (did you mean ${near}?)`;
  report(at, `${record.name} has no ${name}${remedy}`);
  return any;
}

/** The attribute of each item that a dotted path names. */
export function itemAttributeShape(item: Shape, path: string, at: number, report: ReportTypeMistake): Shape {
  const shape = certain(item);
  if (shape.kind !== "record") {
    if (
      shape.kind === "number" ||
      shape.kind === "truth" ||
      (shape.kind === "text" && !timeAttributes.some((name) => name === path))
    ) {
      report(at, `${shownShape(shape)} has no attribute ${path}`);
      return any;
    }
    return shape.kind === "mapping" ? maybe(shape.of === "any" ? any : text) : any;
  }
  const [name = "", ...rest] = path.split(".");
  const field = fieldShape(shape, name, at, report);
  return rest.length === 0 ? field : itemAttributeShape(field, rest.join("."), at, report);
}

function isResourceAttribute(mapping: Extract<Shape, { kind: "mapping" }>, name: string): boolean {
  return mapping.of === "resource" && resourceAttributes.some((known) => known === name);
}

export function methodsOfShape(shape: Shape): typeof textMethods | null | "unknown" {
  switch (shape.kind) {
    case "any":
    case "missing":
      return "unknown";
    case "text":
      return textMethods;
    case "number":
      return numberMethods;
    case "mapping":
    case "record":
      return mappingMethods;
    default:
      return null;
  }
}

function isMethodOf(shape: Shape, name: string): boolean {
  const methods = methodsOfShape(shape);
  return methods !== null && methods !== "unknown" && methods.has(name);
}

export function isListShape({ kind }: Shape): boolean {
  return kind === "list" || kind === "tuple";
}

export function isTime(shape: Shape): boolean {
  return shape.kind === "text" && shape.of === "time";
}

export function areComparable(a: Shape, b: Shape): boolean {
  if (a.kind === "missing" || b.kind === "missing") return true; // and the result is false
  const isUnknown = ({ kind }: Shape) => kind === "any";
  const isOrdered = ({ kind }: Shape) => kind === "number" || kind === "truth";
  if (isUnknown(a) || isUnknown(b))
    return [a, b].every(
      (each) => isUnknown(each) || isOrdered(each) || each.kind === "text" || isListShape(each),
    );
  if (isListShape(a) && isListShape(b)) return true; // it depends on their items
  return (isOrdered(a) && isOrdered(b)) || (a.kind === "text" && b.kind === "text");
}

/** An argument that is written as a string. */
export function literalArgument(
  args: readonly Argument[],
  parameters: readonly string[],
  name: string,
): { readonly value: string; readonly at: number } | null {
  const positional = args[parameters.indexOf(name)];
  const named = args.find((argument) => argument.type === "KeywordArgument" && argument.name === name);
  const found = named ?? positional;
  const value = found?.type === "KeywordArgument" ? (found.name === name ? found.value : undefined) : found;
  return value?.type === "Literal" && typeof value.value === "string"
    ? { value: value.value, at: value.at }
    : null;
}
