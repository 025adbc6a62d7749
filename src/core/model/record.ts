import { ExactNumber } from "../json/exact-number.ts";

/** True for a JSON object: neither null, nor a list, nor a number. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  );
}
