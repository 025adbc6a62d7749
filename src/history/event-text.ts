/**
 * Takes the JSON text of an event apart without rebuilding it.
 *
 * The log holds events as Tripline writes them: in one order of fields, without spaces. Such a text is cut at its fields,
 * and only the payload is parsed, to be sure that it is JSON. Whatever looks different is parsed as a whole.
 */

import { nestsDeeper } from "../core/json/depth.ts";
import type { WireEvent } from "../core/model/event.ts";
import { isRecord } from "../core/model/record.ts";
import { payloadDepthMax } from "../store/entry.ts";
import { isWellFormedJson } from "../store/json.ts";

/** The fields of an event. `resource`, `related` and `payload` are JSON. */
export interface EventText {
  /** Whether `id` and `follows` are UUIDs as Tripline writes them. */
  readonly hasUuids: boolean;
  readonly id: string;
  readonly occurred: string;
  readonly name: string;
  readonly resource: string;
  readonly related: string;
  readonly payload: string;
  readonly follows: string | null;
}

/** The labels in a JSON text. @throws Error if it does not hold labels */
export function labelsOf(resource: string): Readonly<Record<string, string>> {
  const labels: unknown = JSON.parse(resource);
  if (!isLabels(labels)) throw new Error("the body is not an event");
  return labels;
}

/** The texts of the label sets in a JSON list. @throws Error if it holds something else */
export function relatedOf(related: string): string[] {
  const list: unknown = JSON.parse(related);
  if (!Array.isArray(list) || !list.every(isLabels)) throw new Error("the body is not an event");
  return list.map((labels) => JSON.stringify(labels));
}

function isLabels(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((text) => typeof text === "string");
}

/** Takes a parsed event apart. */
export function writtenText({
  id,
  occurred,
  event,
  resource,
  related,
  payload,
  follows,
}: WireEvent): EventText {
  return {
    hasUuids: isUuidText(id) && (follows === null || isUuidText(follows)),
    id,
    occurred,
    name: event,
    resource: JSON.stringify(resource),
    related: JSON.stringify(related),
    payload: JSON.stringify(payload),
    follows,
  };
}

const start = '{"occurred":"';
const afterOccurred = '","event":"';
const afterName = '","resource":{';
const afterResource = '},"related":[';
const afterRelated = '],"payload":{';
const afterPayload = '},"id":"';
const withoutFollows = '","follows":null}';
const beforeFollows = '","follows":"';
const uuidLength = 36;

/**
 * Cuts a text at its fields; null if it is not of the usual form.
 *
 * None of the separators above can occur inside a string, where quotes are escaped, nor in labels, which do not nest. In a
 * payload they can, so its end is found from behind. What is between the separators is checked: the payload here, labels
 * by `labelsOf` and `relatedOf`, and texts for backslashes, without which they are what they seem. If all are valid, the
 * whole is; if one is not, the fields may be in another order, and only parsing the whole text can tell.
 */
export function cutEventText(text: string): EventText | null {
  if (!text.startsWith(start) || !isWellFormedJson(text)) return null;
  const occurredEnd = text.indexOf('"', start.length);
  const nameStart = occurredEnd + afterOccurred.length;
  if (!text.startsWith(afterOccurred, occurredEnd)) return null;
  const nameEnd = text.indexOf('"', nameStart);
  if (!text.startsWith(afterName, nameEnd)) return null;
  const resourceStart = nameEnd + afterName.length - 1;
  const resourceEnd = text.indexOf(afterResource, resourceStart) + 1;
  if (resourceEnd === 0) return null;
  const relatedStart = resourceEnd + afterResource.length - 2;
  const relatedEnd = text.indexOf(afterRelated, relatedStart) + 1;
  if (relatedEnd === 0) return null;
  const payloadStart = relatedEnd + afterRelated.length - 2;

  const isFirst = text.endsWith(withoutFollows);
  const followsStart = text.length - 2 - uuidLength;
  const idEnd = isFirst ? text.length - withoutFollows.length : followsStart - beforeFollows.length;
  const payloadEnd = idEnd - uuidLength - afterPayload.length + 1;
  if (payloadEnd <= payloadStart || !text.startsWith(afterPayload, payloadEnd - 1)) return null;
  if (!isFirst && !(text.startsWith(beforeFollows, idEnd) && text.endsWith('"}'))) return null;

  const occurred = text.slice(start.length, occurredEnd);
  const name = text.slice(nameStart, nameEnd);
  const id = text.slice(idEnd - uuidLength, idEnd);
  const follows = isFirst ? null : text.slice(followsStart, followsStart + uuidLength);
  const payload = text.slice(payloadStart, payloadEnd);
  if (hasSpecial(occurred) || hasSpecial(name) || !isUuidText(id)) return null;
  if (follows !== null && !isUuidText(follows)) return null;
  if (!isPayload(payload)) return null;
  return {
    hasUuids: true,
    id,
    occurred,
    name,
    resource: text.slice(resourceStart, resourceEnd),
    related: text.slice(relatedStart, relatedEnd),
    payload,
    follows,
  };
}

/** Whether a text would not be itself as JSON. */
function hasSpecial(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 92) return true;
  }
  return false;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether it is a UUID as Tripline writes it. */
export function isUuidText(text: string): boolean {
  return uuid.test(text);
}

function isPayload(text: string): boolean {
  try {
    const payload: unknown = JSON.parse(text);
    return !(text.length > 2 * payloadDepthMax && nestsDeeper(payload, payloadDepthMax));
  } catch {
    return false;
  }
}
