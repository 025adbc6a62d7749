/** Reads what it can of JSON that cannot be read as a whole, because it is cut, too complex or broken. */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { endOfString, isClosing, isOpening } from "./parse-json.ts";

/** How many characters are looked at. */
const lengthMax = 128 * 1024;

/** The fields of an object that can be read, up to the first ones that are long; none for anything but an object. */
export function readableStart(text: string): Readonly<Record<string, unknown>> {
  const start = text.slice(0, lengthMax);
  const opening = start.indexOf("{");
  const fields: [string, unknown][] = [];
  if (opening === -1 || start.slice(0, opening).trim() !== "") return {};
  let depth = 0;
  for (let position = opening + 1, fieldStart = position; position < start.length; position++) {
    const char = start[position] ?? "";
    const code = start.charCodeAt(position);
    if (char === '"') position = endOfString(start, position);
    const isEnd = depth === 0 && (char === "," || char === "}");
    if (isEnd) {
      fields.push(...fieldsOf(start.slice(fieldStart, position)));
      fieldStart = position + 1;
      if (char === "}") break;
    } else if (isOpening(code)) depth += 1;
    else if (isClosing(code)) depth -= 1;
  }
  return Object.fromEntries(fields);
}

function fieldsOf(text: string): [string, unknown][] {
  try {
    return Object.entries(parseExactJson(`{${text}}`) as object);
  } catch {
    return [];
  }
}
