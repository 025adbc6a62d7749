/** Limits how deep JSON nests, for code that recurses into it. */

import { ExactNumber } from "../../core/json/exact-number.ts";

/** True if a JSON value nests more than `levels` deep. */
export function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return false;
  if (levels === 0) return true;
  for (const key in value) {
    if (nestsDeeper((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}
