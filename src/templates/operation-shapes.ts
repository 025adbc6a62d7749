/** What filters and methods take and give, as far as it is known before a template is rendered. */

import {
  any,
  certain,
  either,
  listOfShape,
  mappingOfShape,
  maybe,
  missing,
  number,
  type Shape,
  shownShape,
  text,
  time,
  truth,
} from "./shapes.ts";

/** What a filter does with its input. */
interface FilterShape {
  /** What it needs; left out if it takes anything. */
  readonly needs?: "number" | "size" | "list" | "mapping" | "time";
  readonly gives: (input: Shape) => Shape;
}

const gives = (shape: Shape) => () => shape;
const toText: FilterShape = { gives: gives(text) };
const toNumber: FilterShape = { gives: gives(number) };
const onNumber: FilterShape = {
  needs: "number",
  gives: (input) => (input.kind === "missing" ? missing : number),
};
const anItem: FilterShape = { needs: "list", gives: (input) => maybe(itemOf(input)) };
const sameList: FilterShape = { needs: "list", gives: (input) => listOfShape(itemOf(input)) };
const pairs: FilterShape = {
  needs: "mapping",
  gives: (input) => listOfShape({ kind: "tuple", items: [text, entryShape(input)] }),
};
const keys: FilterShape = { needs: "mapping", gives: gives(listOfShape(text)) };
const values: FilterShape = { needs: "mapping", gives: (input) => listOfShape(entryShape(input)) };

/** Every filter but those whose arguments decide: default, map, and those that take an attribute. */
const filterShapes: Readonly<Record<string, FilterShape>> = {
  abs: onNumber,
  batch: { needs: "list", gives: gives(listOfShape(listOfShape(any))) },
  capitalize: toText,
  center: toText,
  count: { needs: "list", gives: gives(number) },
  dictsort: pairs,
  e: toText,
  escape: toText,
  filesizeformat: { needs: "size", gives: gives(text) },
  first: anItem,
  float: toNumber,
  forceescape: toText,
  format: toText,
  groupby: {
    needs: "list",
    gives: (input) => listOfShape({ kind: "tuple", items: [any, listOfShape(itemOf(input))] }),
  },
  in_timezone: { needs: "time", gives: gives(time) },
  indent: toText,
  int: toNumber,
  items: pairs,
  join: { needs: "list", gives: gives(text) },
  keys,
  last: anItem,
  length: { needs: "list", gives: gives(number) },
  list: sameList,
  lower: toText,
  map: { needs: "list", gives: gives(listOfShape(any)) },
  max: anItem,
  min: anItem,
  reject: sameList,
  rejectattr: sameList,
  replace: toText,
  reverse: {
    needs: "list",
    gives: (input) => (certain(input).kind === "text" ? text : listOfShape(itemOf(input))),
  },
  round: onNumber,
  safe: { gives: (input) => input },
  select: sameList,
  selectattr: sameList,
  slice: { needs: "list", gives: (input) => listOfShape(listOfShape(itemOf(input))) },
  sort: sameList,
  strftime: { needs: "time", gives: gives(text) },
  string: toText,
  striptags: toText,
  title: toText,
  tojson: toText,
  trim: toText,
  truncate: toText,
  unique: sameList,
  upper: toText,
  urlencode: toText,
  values,
  wordcount: toNumber,
  wordwrap: toText,
};

/** What a filter gives, and what is wrong with its input; null if nothing is known to be. */
export function filterShape(
  name: string,
  input: Shape,
): { readonly gives: Shape; readonly problem: string | null } {
  const known = Object.hasOwn(filterShapes, name) ? filterShapes[name] : undefined;
  if (known === undefined) return { gives: any, problem: null };
  return {
    gives: known.gives(input),
    problem: known.needs === undefined ? null : inputProblem(name, known.needs, input),
  };
}

function inputProblem(name: string, needs: NonNullable<FilterShape["needs"]>, input: Shape): string | null {
  const shape = certain(input);
  const got = `${name} needs a ${needs === "size" ? "number" : needs}, not ${shownShape(shape)}`;
  switch (shape.kind) {
    case "any":
    case "missing":
      return null;
    case "text":
      if (needs === "time") return shape.of === "id" ? got : null;
      if (needs === "size") return shape.of === "any" ? null : got; // a label may hold one
      if (needs === "number") return `${got}; convert it with the filter int or float`;
      return needs === "mapping" ? got : null;
    case "number":
    case "truth":
      return needs === "number" || needs === "size" ? null : got;
    case "list":
    case "tuple":
      return needs === "list" ? null : got;
    default:
      return needs === "list" || needs === "mapping" ? null : got;
  }
}

const listMethods: ReadonlySet<string> = new Set([
  ...["split", "rsplit", "splitlines", "partition", "rpartition"],
]);
const numberTextMethods: ReadonlySet<string> = new Set(["timestamp", "weekday", "count", "find"]);

/** What a method of a text, number or mapping gives. */
export function methodShape(name: string, object: Shape, given: readonly Shape[]): Shape {
  const shape = certain(object);
  if (shape.kind === "number") return number;
  if (shape.kind === "text") {
    if (listMethods.has(name)) return listOfShape(text);
    if (name === "startswith" || name === "endswith" || name.startsWith("is"))
      return name === "isoformat" ? text : name === "isoweekday" ? number : truth;
    if (numberTextMethods.has(name)) return number;
    return name === "in_timezone" ? time : text;
  }
  if (name === "find_resource_label") return maybe(text);
  if (name === "get")
    return given.length < 2 ? maybe(entryShape(shape)) : either(entryShape(shape), given[1] ?? any);
  return filterShape(name, shape).gives;
}

/** What a loop with one name over this goes through: items, keys or characters. */
export function itemOf(input: Shape): Shape {
  const shape = certain(input);
  if (shape.kind === "list") return shape.item;
  if (shape.kind === "tuple") return shape.items.reduce(either, shape.items[0] ?? any);
  return shape.kind === "mapping" || shape.kind === "record" || shape.kind === "text" ? text : any;
}

/** The values of a mapping. */
function entryShape(input: Shape): Shape {
  const shape = certain(input);
  if (shape.kind === "mapping") return shape.entry;
  return any;
}

/** A mapping that a template writes. */
export function writtenMapping(entries: readonly Shape[]): Shape {
  return mappingOfShape(entries.length === 0 ? any : entries.reduce(either));
}
