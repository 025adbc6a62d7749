/** What is known about the values of a template before it is rendered. */

import type { ReceivedEvent } from "../core/model/event.ts";
import type { hookContextNames } from "../core/model/hook.ts";
import type { ShownAutomation, ShownFiring } from "../core/model/invocation.ts";
import { timeAttributes } from "./times.ts";
import type { eventAttributes } from "./values.ts";

export type Shape =
  /** Anything that JSON can hold, or nothing. */
  | { readonly kind: "any" }
  /** A missing value or none, for certain. */
  | { readonly kind: "missing" }
  | { readonly kind: "text"; readonly of: "time" | "id" | "word" | "any" }
  | { readonly kind: "number" }
  | { readonly kind: "truth" }
  | { readonly kind: "list"; readonly item: Shape }
  /** A list of this length, such as a pair. */
  | { readonly kind: "tuple"; readonly items: readonly Shape[] }
  /** A mapping with any keys, whose values are alike. `labels`: its keys may have dots. */
  | { readonly kind: "mapping"; readonly entry: Shape; readonly of: "labels" | "resource" | "any" }
  /** A mapping with exactly these keys. */
  | { readonly kind: "record"; readonly name: string; readonly fields: () => Readonly<Record<string, Shape>> }
  | { readonly kind: "namespace" }
  /** Not every event or firing has it. */
  | { readonly kind: "maybe"; readonly value: Shape };

export const any: Shape = { kind: "any" };
export const missing: Shape = { kind: "missing" };
export const text: Shape = { kind: "text", of: "any" };
export const time: Shape = { kind: "text", of: "time" };
/** One of a few words, such as Triggered. */
const word: Shape = { kind: "text", of: "word" };
const id: Shape = { kind: "text", of: "id" };
export const number: Shape = { kind: "number" };
export const truth: Shape = { kind: "truth" };
export const resource: Shape = { kind: "mapping", entry: text, of: "resource" };
const labels: Shape = { kind: "mapping", entry: text, of: "labels" };

export function listOfShape(item: Shape): Shape {
  return { kind: "list", item };
}

export function mappingOfShape(entry: Shape): Shape {
  return { kind: "mapping", entry, of: "any" };
}

export function maybe(value: Shape): Shape {
  return value.kind === "maybe" || value.kind === "any" || value.kind === "missing"
    ? value
    : { kind: "maybe", value };
}

/** The shape of the value where there is one. */
export function certain(shape: Shape): Shape {
  return shape.kind === "maybe" ? shape.value : shape;
}

/** The shape of a value that is one or the other. */
export function either(a: Shape, b: Shape): Shape {
  if (a.kind === "missing") return maybe(b);
  if (b.kind === "missing") return maybe(a);
  const [left, right] = [certain(a), certain(b)];
  const isMaybe = left !== a || right !== b;
  const joined = left === right ? left : sameKind(left, right);
  return isMaybe ? maybe(joined) : joined;
}

function sameKind(a: Shape, b: Shape): Shape {
  if (a.kind === "text" && b.kind === "text") return a.of === b.of ? a : text;
  if (a.kind === "list" && b.kind === "list") return listOfShape(either(a.item, b.item));
  if (a.kind === "record" && b.kind === "record" && a.name === b.name) return a;
  return a.kind === b.kind && (a.kind === "number" || a.kind === "truth") ? a : any;
}

type FieldsOf<T> = Readonly<Record<keyof T & string, Shape>>;

const eventFields = {
  occurred: time,
  event: text,
  resource,
  related: listOfShape(resource),
  payload: mappingOfShape(any),
  id,
  follows: maybe(id),
  received: time,
  resource_in_role: mappingOfShape(resource),
  resources_in_role: mappingOfShape(listOfShape(resource)),
  involved_resources: listOfShape(resource),
} satisfies FieldsOf<ReceivedEvent> & Readonly<Record<(typeof eventAttributes)[number], Shape>>;

const automationFields = {
  id,
  name: text,
  description: text,
  tags: listOfShape(text),
  enabled: truth,
  posture: maybe(word),
} satisfies FieldsOf<ShownAutomation>;

const windowFields = {
  start: time,
  end: maybe(time),
  count: number,
  threshold: number,
} satisfies FieldsOf<NonNullable<ShownFiring["window"]>>;

const firingFields = (): Readonly<Record<string, Shape>> =>
  ({
    id,
    trigger_id: id,
    trigger_states: listOfShape(word),
    triggered: time,
    triggering_labels: labels,
    triggering_event: maybe(event),
    window: maybe({ kind: "record", name: "firing.window", fields: () => windowFields }),
    late: truth,
    triggering_firings: listOfShape(firing),
  }) satisfies FieldsOf<ShownFiring>;

const event: Shape = { kind: "record", name: "event", fields: () => eventFields };
const firing: Shape = { kind: "record", name: "firing", fields: firingFields };

/** The fields of `loop` in a loop over such items. */
export function loopShape(item: Shape): Shape {
  const numbers = ["index", "index0", "revindex", "revindex0", "length", "depth", "depth0"].map((name) => [
    name,
    number,
  ]);
  const fields = {
    ...(Object.fromEntries(numbers) as Record<string, Shape>),
    first: truth,
    last: truth,
    previtem: maybe(item),
    nextitem: maybe(item),
  };
  return { kind: "record", name: "loop", fields: () => fields };
}

/** Every variable that a template may have, of an action or a hook. */
export const variableShapes: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ["automation", { kind: "record", name: "automation", fields: () => automationFields }],
  ["event", maybe(event)],
  ["labels", labels],
  ["firing", firing],
  ["firings", listOfShape(firing)],
  ["events", listOfShape(event)],
  ...Object.entries({
    body: any,
    headers: mappingOfShape(text),
    query: mappingOfShape(any),
    method: text,
    received: time,
  } satisfies Record<(typeof hookContextNames)[number], Shape>),
]);

/** A shape as a message names it, such as `a text`. */
export function shownShape(shape: Shape): string {
  switch (shape.kind) {
    case "maybe":
      return shownShape(shape.value);
    case "any":
      return "a value";
    case "missing":
      return "none";
    case "text":
      return shape.of === "time" ? "a time" : shape.of === "id" ? "an id" : "a text";
    case "truth":
      return "a truth value";
    case "tuple":
      return "a list";
    case "record":
    case "namespace":
      return "a mapping";
    default:
      return `a ${shape.kind}`;
  }
}

/** What to do about a part that a value does not have. */
export function knownAttributes(shape: Shape): readonly string[] {
  if (shape.kind === "record") return Object.keys(shape.fields());
  return shape.kind === "text" && shape.of === "time" ? timeAttributes : [];
}
