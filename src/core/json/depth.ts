/** Limits how deep JSON nests and how long it is, for code that would recurse into it or copy it. */

import { ExactNumber } from "./exact-number.ts";

/** True if a JSON value nests more than `levels` deep. */
export function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === "object" && nestsDeeper(item, levels - 1)) return true;
    return false;
  }
  for (const key in value) {
    if (nestsDeeper((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

/**
 * True if a JSON value is certainly longer than `length` characters as JSON. Looks no further than that, so it is quick
 * for the longest value.
 */
export function isLongerThan(value: unknown, length: number): boolean {
  let left = length;
  const visit = (part: unknown): boolean => {
    if (typeof part === "string") left -= part.length + 2;
    else if (part instanceof ExactNumber) left -= part.text.length;
    else if (typeof part !== "object" || part === null) left -= 1;
    else if (Array.isArray(part)) {
      left -= 2 + Math.max(part.length - 1, 0);
      for (const item of part) {
        if (typeof item === "number") left -= 1;
        else if (visit(item)) return true;
      }
    } else {
      left -= 2;
      for (const key in part) {
        left -= key.length + 3;
        if (left < 0 || visit((part as Record<string, unknown>)[key])) return true;
      }
    }
    return left < 0;
  };
  return visit(value);
}
