/** The key that a timeline is restricted to. */

import { z } from "zod";
import { parseExactJson } from "../../core/json/exact-json.ts";
import { coveringTriggers } from "../../core/machine/firing-events.ts";
import type { Automation } from "../../core/model/automation.ts";
import { isRecord } from "../../core/model/record.ts";

/** Values by label. A label that is not in it may have any value. */
export type TimelineKey = ReadonlyMap<string, string>;

const remedy = 'write label=value, or an object of labels such as {"prefect.resource.id":"pump.1"}';

/** A key as it is written in a URL. */
export const TimelineKeySchema = z
  .string()
  .refine((text) => keyOfText(text) !== null, `Input should be a key: ${remedy}`)
  .transform((text): TimelineKey => keyOfText(text) ?? new Map())
  .meta({
    description:
      "Only this key: `label=value`, or a JSON object of labels and their values. A label that is left out may have any value.",
    example: "prefect.resource.id=pump.1",
  });

function keyOfText(text: string): TimelineKey | null {
  if (text.trimStart().startsWith("{")) return keyOfJson(text);
  const end = text.indexOf("=");
  return end < 1 ? null : new Map([[text.slice(0, end), text.slice(end + 1)]]);
}

function keyOfJson(text: string): TimelineKey | null {
  let value: unknown;
  try {
    value = parseExactJson(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const entries = Object.entries(value);
  return entries.every((entry): entry is [string, string] => typeof entry[1] === "string")
    ? new Map(entries)
    : null;
}

/** Whether something belongs to a key. A label that its trigger does not tell apart restricts nothing. */
export function isOfKey(labels: Readonly<Record<string, string>>, key: TimelineKey): boolean {
  for (const [label, value] of key) if (Object.hasOwn(labels, label) && labels[label] !== value) return false;
  return true;
}

/** What is wrong with a key of an automation; null if nothing is. */
export function unknownLabels(automation: Automation, key: TimelineKey): string | null {
  const known = new Set(coveringTriggers(automation).flatMap(({ keyLabels }) => keyLabels));
  const unknown = [...key.keys()].find((label) => !known.has(label));
  if (unknown === undefined) return null;
  const labels = known.size === 0 ? "it has no for_each" : `its for_each has ${[...known].join(", ")}`;
  return `The automation has no key with the label ${JSON.stringify(unknown)}: ${labels}`;
}
