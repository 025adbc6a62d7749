/**
 * Finds the first mistake in a text that JSON.parse has refused, whose errors do not always have a position. It runs only
 * after a failure, so it need not be fast.
 */

import { breathe } from "../../retry/slices.ts";

export interface JsonMistake {
  /** Characters from the start. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly expected: string;
}

const space = /[ \t\n\r]*/y;
const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// In pieces: one pattern for a whole string could overflow the stack.
const plainCharacters = /[^"\\\u0000-\u001f]{1,4096}/y;
const escapedCharacter = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The first place where `text` is not valid JSON, looked for in slices; null if it is valid. */
export async function jsonMistakeInSlices(text: string): Promise<JsonMistake | null> {
  for (const search = findMistake(text); ; ) {
    await breathe();
    const { done, value } = search.next();
    if (done === true) return value;
  }
}

/** How many values are looked at in one step. */
const valuesPerStep = 1_000;

function* findMistake(text: string): Generator<undefined, JsonMistake | null> {
  const open: ("[" | "{")[] = [];
  let position = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = position;
    if (!pattern.test(text)) return false;
    position = pattern.lastIndex;
    return true;
  };
  const takeChar = (char: string): boolean => {
    take(space);
    if (text[position] !== char) return false;
    position += 1;
    return true;
  };
  /** Reads a string. If it is incomplete, the position stays at its start. */
  const takeString = (): boolean => {
    const start = position;
    position += 1;
    while (take(plainCharacters) || take(escapedCharacter));
    if (text[position] === '"') {
      position += 1;
      return true;
    }
    position = start;
    return false;
  };
  const mistake = (expected: string): JsonMistake => {
    take(space);
    let line = 1;
    let lineStart = 0;
    for (let index = 0; index < position; index++) {
      if (text.charCodeAt(index) !== 0x0a) continue;
      line += 1;
      lineStart = index + 1;
    }
    return { position, line, column: position - lineStart + 1, expected };
  };
  /** Reads `"key":`. Returns what is missing, or null. */
  const missingOfKey = (): string | null => {
    take(space);
    if (text[position] !== '"') return "a key in double quotes";
    if (!takeString()) return "a complete string";
    return takeChar(":") ? null : "a colon after the key";
  };

  for (let valueCount = 1; ; valueCount++) {
    if (valueCount % valuesPerStep === 0) yield;
    // A value starts here.
    if (takeChar("[")) {
      if (!takeChar("]")) {
        open.push("[");
        continue;
      }
    } else if (takeChar("{")) {
      if (!takeChar("}")) {
        open.push("{");
        const missing = missingOfKey();
        if (missing !== null) return mistake(missing);
        continue;
      }
    } else {
      take(space);
      if (text[position] === '"') {
        if (!takeString()) return mistake("a complete string");
      } else if (!take(scalar)) {
        return mistake("a value");
      }
    }
    // A value has ended. Close the containers that end with it, up to the next comma.
    for (;;) {
      const container = open.at(-1);
      if (container === undefined) {
        take(space);
        return position === text.length ? null : mistake("the end of the text");
      }
      if (takeChar(",")) {
        const missing = container === "{" ? missingOfKey() : null;
        if (missing !== null) return mistake(missing);
        break;
      }
      const end = container === "[" ? "]" : "}";
      if (!takeChar(end)) return mistake(`a comma or ${end}`);
      open.pop();
    }
  }
}
