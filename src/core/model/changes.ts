/** What differs between two versions of something that people define, without showing secrets. */

import { canonicalJson } from "./automation.ts";
import { cut } from "./cut.ts";
import { isRecord } from "./record.ts";

/** A field that differs. A side that does not have it leaves its value out. */
export interface FieldChange {
  /** Such as `trigger.within` or `actions[0].url`. */
  readonly field: string;
  readonly old?: unknown;
  readonly new?: unknown;
}

/** A version: as it is stored, and as readers see it, with secrets masked and in the same shape. */
export interface Version {
  readonly stored: unknown;
  readonly shown: unknown;
}

/** So that an event about a change stays small. A change with more is one that no one reads field by field. */
const changeCountMax = 50;
const valueLengthMax = 500;

/** The fields that differ, each with the value that readers see. A secret that changed is masked on both sides. */
export function changesBetween(before: Version, after: Version): FieldChange[] {
  const found: FieldChange[] = [];
  collect("", before, after, found);
  return found.slice(0, changeCountMax);
}

function collect(field: string, before: Version, after: Version, found: FieldChange[]): void {
  if (found.length > changeCountMax || canonicalJson(before.stored) === canonicalJson(after.stored)) return;
  const keys = keysOf(before, after);
  if (keys === null) {
    found.push({
      field,
      ...(before.stored === undefined ? {} : { old: bounded(before.shown) }),
      ...(after.stored === undefined ? {} : { new: bounded(after.shown) }),
    });
    return;
  }
  for (const key of keys) {
    const inner = typeof key === "number" ? `${field}[${key}]` : field === "" ? key : `${field}.${key}`;
    collect(inner, childOf(before, key), childOf(after, key), found);
  }
}

/** The keys of two mappings or lists that can be compared one by one; null if they can only be shown as a whole. */
function keysOf(before: Version, after: Version): readonly (string | number)[] | null {
  const sides = [before.stored, before.shown, after.stored, after.shown];
  if (sides.every(Array.isArray)) {
    const length = Math.max(...sides.map((side) => (side as unknown[]).length));
    return Array.from({ length }, (_, index) => index);
  }
  if (!sides.every((side) => isRecord(side))) return null;
  return [...new Set(sides.flatMap((side) => Object.keys(side as object)))];
}

function childOf({ stored, shown }: Version, key: string | number): Version {
  return { stored: own(stored, key), shown: own(shown, key) };
}

function own(value: unknown, key: string | number): unknown {
  return Object.hasOwn(value as object, key) ? (value as Record<string | number, unknown>)[key] : undefined;
}

function bounded(value: unknown): unknown {
  const text = canonicalJson(value) ?? "";
  return text.length <= valueLengthMax ? value : cut(text, valueLengthMax);
}
